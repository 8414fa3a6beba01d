#include "journal/frames.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_BLOB_BYTES = 1000000000 }; /* SQLite's own limit */

static size_t aligned(size_t offset)
{
    return (offset + 7) / 8 * 8;
}

static void put_u32(unsigned char *at, size_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(value >> (8 * i));
}

static size_t get_u32(const unsigned char *at)
{
    size_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= (size_t)at[i] << (8 * i);
    return value;
}

int ps_frames_pack(const struct ps_frames *frames, unsigned char **ret_blob, size_t *ret_size,
                   struct ps_error *error)
{
    if (frames->count < 1 || frames->count > PS_MAX_FRAMES)
        return ps_fail(error, PS_E_BUG, "a message of %zu frames", frames->count);
    size_t size = 4 + 4 * frames->count;
    for (size_t i = 0; i < frames->count; i++) {
        if (frames->frame[i].size > MAX_BLOB_BYTES - 8 - aligned(size))
            return ps_fail(error, PS_E_BUG, "a message larger than the journal can hold");
        size = aligned(size) + frames->frame[i].size;
    }
    unsigned char *blob = calloc(1, size);
    if (!blob)
        return ps_fail_memory(error, size, "a message");
    put_u32(blob, frames->count);
    size_t offset = 4 + 4 * frames->count;
    for (size_t i = 0; i < frames->count; i++) {
        const struct ps_frame *frame = &frames->frame[i];
        put_u32(blob + 4 + 4 * i, frame->size);
        offset = aligned(offset);
        if (frame->size)
            memcpy(blob + offset, frame->data, frame->size);
        offset += frame->size;
    }
    *ret_blob = blob;
    *ret_size = size;
    return 0;
}

bool ps_frames_unpack(unsigned char *blob, size_t size, struct ps_frames *ret_frames)
{
    size_t count = size >= 4 ? get_u32(blob) : 0;
    if (count < 1 || count > PS_MAX_FRAMES || size < 4 + 4 * count)
        return false;
    struct ps_frames frames = {.count = count};
    size_t offset = 4 + 4 * count;
    for (size_t i = 0; i < count; i++) {
        size_t length = get_u32(blob + 4 + 4 * i);
        offset = aligned(offset);
        /* an empty last frame is padded too */
        if (offset > size || length > size - offset)
            return false;
        frames.frame[i] = (struct ps_frame){.data = blob + offset, .size = length};
        offset += length;
    }
    if (offset != size)
        return false;
    *ret_frames = frames;
    return true;
}
