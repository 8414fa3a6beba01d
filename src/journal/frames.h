/* The frames of a message as one blob, as the journal keeps them.
 *
 *     u32  number of frames
 *     u32  length of each, in bytes
 *     ...  their bytes; each frame begins at a multiple of 8 from the start, zeros between
 *
 * Integers are little-endian. Aligned like this, a frame of numbers can be used where it lies.
 */
#ifndef PS_JOURNAL_FRAMES_H
#define PS_JOURNAL_FRAMES_H

#include "wire/message.h"

#include <stdbool.h>

/* Packs frames. PS_E_NOMEM; PS_E_BUG: no frames, too many, or larger than a blob may be (1 GB).
 * The blob is to be freed. */
int ps_frames_pack(const struct ps_frames *frames, unsigned char **ret_blob, size_t *ret_size,
                   struct ps_error *error);

/* Points `*ret_frames` into the blob. False: it is not what ps_frames_pack() makes. */
bool ps_frames_unpack(unsigned char *blob, size_t size, struct ps_frames *ret_frames);

#endif
