/* The frames of a message as one blob, as the journal stores them.
 *
 *     u32  number of frames
 *     u32  length of each, in bytes
 *     ...  their bytes; each frame begins at a multiple of 8 from the start, zeros between
 *
 * Integers are little-endian. The alignment lets a frame of numbers be used in place.
 */
#ifndef PS_JOURNAL_FRAMES_H
#define PS_JOURNAL_FRAMES_H

#include "wire/message.h"

#include <stdbool.h>

/* Packs frames. The caller frees the blob. PS_E_NOMEM; PS_E_BUG: no frames, too many, or more than
 * the 1 GB that SQLite allows in a blob. */
int ps_frames_pack(const struct ps_frames *frames, unsigned char **ret_blob, size_t *ret_size,
                   struct ps_error *error);

/* Points `*ret_frames` into the blob. False: the blob is malformed. */
bool ps_frames_unpack(unsigned char *blob, size_t size, struct ps_frames *ret_frames);

#endif
