/* A set of files that need no attention, by path and identity, in 16 bytes or so each: what has its
 * outcome need not be asked about again and again, so that an idle service does nothing.
 *
 * It holds what one of the last two scans of everything came by: what is gone from the disk goes
 * from here too.
 *
 * Kept are hashes of 64 bits. That two of a million files have the same one has a probability of
 * 3e-8; the second would then not be found.
 */
#ifndef PS_STREAM_MEMO_H
#define PS_STREAM_MEMO_H

#include "stream/job.h"

#include <stddef.h>

struct ps_memo_set {
    uint64_t *slots; /* 0: free */
    size_t count;
    size_t room; /* a power of 2, or 0 */
};

/* Zeros: empty. */
struct ps_memo {
    struct ps_memo_set sets[2]; /* of this scan, and of the one before */
};

bool ps_memo_has(struct ps_memo *memo, const char *path, const struct ps_identity *identity);
void ps_memo_add(struct ps_memo *memo, const char *path, const struct ps_identity *identity);

/* A scan of everything begins: what was not asked for since the last one goes. */
void ps_memo_turn(struct ps_memo *memo);

/* Forgets everything, and frees it. */
void ps_memo_clear(struct ps_memo *memo);

#endif
