/* Fuzzes the reader of messages: bytes from the network must crash nothing, and what it accepts
 * must be within what message_read.h promises. An input is the header up to its first newline
 * (there is none in compact JSON), and behind it the frame of the array; the topic is "picks". */
#include "wire/envelope.h"
#include "wire/message_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A copy of exactly this size, so that a sanitizer sees overruns. */
static struct ps_frame frame_of(const void *bytes, size_t size)
{
    void *data = malloc(size ? size : 1);
    if (!data)
        abort();
    if (size)
        memcpy(data, bytes, size);
    return (struct ps_frame){data, size};
}

static void check(const struct ps_outcome_record *record)
{
    if (strlen(record->stream) != PS_STREAM_TEXT - 1 || record->seq == 0 || !*record->name ||
        !*record->path || record->result.warning_count > PS_MAX_WARNINGS ||
        record->status > PS_OUTCOME_FAILED)
        abort();
    if (record->status == PS_OUTCOME_PICKED ? !record->has_micrograph : record->result.count > 0)
        abort();
    for (size_t i = 0; i < record->result.count; i++)
        if (!isfinite(record->result.picks[i].x) || !isfinite(record->result.picks[i].y))
            abort();
    (void)ps_name_is_safe(record->name);
}

static void read_both(const struct ps_frames *frames)
{
    struct ps_error error = {0};
    struct ps_envelope envelope;
    struct ps_outcome_record *record = NULL;
    int status = ps_envelope_read(frames, &envelope, &error);
    if (status == 0 && memchr(envelope.reason, '\0', sizeof envelope.reason) == NULL)
        abort();
    if (ps_outcome_record_read(frames, &record, &error) == 0) {
        if (status != 0 || envelope.type != PS_MESSAGE_PICKS || envelope.seq != record->seq)
            abort(); /* whoever is read has an envelope that says the same */
        check(record);
    } else if (record || error.message[0] == '\0' || strchr(error.message, '\n')) {
        abort(); /* every fault is reported in one line */
    }
    ps_outcome_record_free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    const uint8_t *newline = length ? memchr(bytes, '\n', length) : NULL;
    size_t header = newline ? (size_t)(newline - bytes) : length;
    size_t rest = newline ? length - header - 1 : 0;
    struct ps_frames frames = {.count = newline ? 3 : 2};
    frames.frame[0] = frame_of("picks", 5);
    frames.frame[1] = frame_of(bytes, header);
    if (newline)
        frames.frame[2] = frame_of(newline + 1, rest);
    read_both(&frames);
    struct ps_frames alone = {.count = 1, .frame = {frames.frame[1]}};
    read_both(&alone); /* as the replay socket answers */
    for (size_t i = 0; i < frames.count; i++)
        free(frames.frame[i].data);
    return 0;
}
