#include "wire/message.h"

#include "base/error.h"
#include "wire/json.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void ps_frames_done(struct ps_frames *frames)
{
    for (size_t i = 0; i < frames->count; i++)
        free(frames->frame[i].data);
    *frames = (struct ps_frames){0};
}

const char *ps_time_text(int64_t wall_ns, char ret_text[PS_TIME_TEXT])
{
    int64_t fraction = wall_ns % 1000000000;
    time_t seconds = (time_t)(wall_ns / 1000000000);
    if (fraction < 0) {
        fraction += 1000000000;
        seconds--;
    }
    struct tm parts;
    (void)gmtime_r(&seconds, &parts); /* 64 bits of nanoseconds are years 1677 to 2262 */
    size_t length = strftime(ret_text, PS_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(ret_text + length, PS_TIME_TEXT - length, ".%06dZ", (int)(fraction / 1000));
    return ret_text;
}

/* Adds a frame and takes ownership of its bytes; false if `data` is NULL (no memory). */
static bool append(struct ps_frames *frames, void *data, size_t size)
{
    if (!data)
        return false;
    frames->frame[frames->count++] = (struct ps_frame){data, size};
    return true;
}

int ps_message_header(const char *topic, json_t *header, struct ps_frames *ret_frames,
                      struct ps_error *error)
{
    struct ps_frames frames = {0};
    char *text = ps_json_dump(header, PS_JSON_FORMAT);
    json_decref(header);
    bool complete = append(&frames, strdup(topic), strlen(topic));
    complete &= append(&frames, text, text ? strlen(text) : 0);
    if (!complete) {
        ps_frames_done(&frames);
        return ps_fail_memory(error, 1024, "the header of a message");
    }
    *ret_frames = frames;
    return 0;
}

/* The picks as rows of little-endian float32. */
static void *array_of(const struct ps_result *result, size_t *ret_size)
{
    size_t count = result ? result->count : 0;
    unsigned char *bytes = malloc(count ? count * PS_WIRE_COLUMNS * sizeof(float) : 1);
    if (!bytes)
        return NULL;
    unsigned char *at = bytes;
    for (size_t i = 0; i < count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        const float row[PS_WIRE_COLUMNS] = {pick->x, pick->y, pick->score, pick->area};
        for (int column = 0; column < PS_WIRE_COLUMNS; column++, at += sizeof(uint32_t)) {
            uint32_t bits;
            memcpy(&bits, &row[column], sizeof bits);
            bits = htole32(bits);
            memcpy(at, &bits, sizeof bits);
        }
    }
    *ret_size = (size_t)(at - bytes);
    return bytes;
}

static json_t *picks_header(const struct ps_outcome_facts *facts)
{
    char closed[PS_TIME_TEXT], detected[PS_TIME_TEXT], published[PS_TIME_TEXT];
    json_int_t count = facts->result ? (json_int_t)facts->result->count : 0;
    return json_pack(
        "{s:s, s:s, s:o, s:I, s:o, s:o, s:{s:s, s:s, s:s}, s:o, s:o, s:o, s:o, s:o, "
        "s:[{s:s, s:s, s:[I, i], s:o}]}",
        "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TOPIC_PICKS, "stream",
        ps_json_text(facts->stream), "seq", (json_int_t)facts->seq, "replaces",
        ps_json_known((int64_t)facts->replaces), "session", ps_json_text(facts->session), "time",
        "closed", ps_time_text(facts->closed_ns, closed), "detected",
        ps_time_text(facts->detected_ns, detected), "published",
        ps_time_text(facts->published_ns, published), "micrograph", ps_header_micrograph(facts),
        "coordinates", ps_header_coordinates(facts), "picker", ps_header_picker(facts), "result",
        ps_header_result(facts), "milliseconds", ps_header_milliseconds(facts), "arrays", "name",
        PS_WIRE_ARRAY_PICKS, "dtype", PS_WIRE_DTYPE, "shape", count, PS_WIRE_COLUMNS, "columns",
        ps_header_columns());
}

int ps_message_picks(const struct ps_outcome_facts *facts, struct ps_frames *ret_frames,
                     struct ps_error *error)
{
    struct ps_frames frames = {0};
    int status = ps_message_header(PS_WIRE_TOPIC_PICKS, picks_header(facts), &frames, error);
    if (status)
        return status;
    size_t size = 0;
    void *array = array_of(facts->result, &size);
    if (!append(&frames, array, size)) {
        ps_frames_done(&frames);
        return ps_fail_memory(error, facts->result->count * sizeof(struct ps_pick),
                              "the array of a message");
    }
    *ret_frames = frames;
    return 0;
}
