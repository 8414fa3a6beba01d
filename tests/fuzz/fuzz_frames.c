/* Fuzzes the messages of a journal, which can be damaged: frames are within the blob, do not
 * overlap, and packed again they are read again as they are. */
#include "journal/frames.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_bounds(const struct ps_frames *frames, const unsigned char *blob, size_t size)
{
    const unsigned char *end = blob;
    if (frames->count < 1 || frames->count > PS_MAX_FRAMES)
        abort();
    for (size_t i = 0; i < frames->count; i++) {
        const unsigned char *data = frames->frame[i].data;
        if (data < end || data + frames->frame[i].size > blob + size || (data - blob) % 8 != 0)
            abort();
        end = data + frames->frame[i].size;
    }
}

static void check_same(const struct ps_frames *left, const struct ps_frames *right)
{
    if (left->count != right->count)
        abort();
    for (size_t i = 0; i < left->count; i++)
        if (left->frame[i].size != right->frame[i].size ||
            memcmp(left->frame[i].data, right->frame[i].data, left->frame[i].size) != 0)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct ps_frames frames, again;
    struct ps_error error;
    unsigned char *blob =
        malloc(length ? length : 1); /* exact, so that a sanitizer sees overruns */
    unsigned char *packed = NULL;
    size_t size = 0;
    if (!blob)
        abort();
    if (length)
        memcpy(blob, bytes, length);
    if (ps_frames_unpack(blob, length, &frames)) {
        check_bounds(&frames, blob, length);
        if (ps_frames_pack(&frames, &packed, &size, &error) != 0 ||
            !ps_frames_unpack(packed, size, &again))
            abort();
        check_same(&frames, &again);
        free(packed);
    }
    free(blob);
    return 0;
}
