/* A set of files that need no attention, by path and identity: what has its outcome, or waits for
 * it, need not be asked about again and again, so that an idle service does nothing.
 *
 * A file is remembered for a number of turns, or for as long as scans come by it; a turn is the
 * begin of a scan of everything. So what is gone from the disk goes from here too.
 *
 * One table with open addressing, 8 bytes a slot, at most 7/8 full and doubled then: 9 to 18 bytes
 * a file, 131 kB for 10,000 of them, 1 MB for 100,000.
 *
 * Of a file 60 bits of a hash are kept, and 4 that tell how long. That any two of n files have the
 * same 60 bits has a probability of n^2 / 2^61: 4e-9 among 100,000, 4e-7 among a million. The
 * second of two such files would be taken for known until it changes.
 */
#ifndef PS_WATCH_KNOWN_FILES_H
#define PS_WATCH_KNOWN_FILES_H

#include "watch/job.h"

#include <stddef.h>

/* Zeros: empty. */
struct ps_memo {
    uint64_t *slots; /* 0: free */
    size_t count;
    size_t room; /* a power of 2, or 0 */
};

/* How long a file is remembered: so many turns, or as long as it is asked for between any two. */
enum { PS_MEMO_TURNS_MOST = 13, PS_MEMO_WHILE_SEEN = 15 };

/* Remembers a file for 1 to PS_MEMO_TURNS_MOST turns or PS_MEMO_WHILE_SEEN, whatever was said of it
 * before. Without memory it is not remembered, which costs time only. */
void ps_memo_add(struct ps_memo *memo, const char *path, const struct ps_identity *identity,
                 unsigned turns);

bool ps_memo_has(struct ps_memo *memo, const char *path, const struct ps_identity *identity);

/* A scan of everything begins. */
void ps_memo_turn(struct ps_memo *memo);

/* Forgets everything, and frees it. */
void ps_memo_clear(struct ps_memo *memo);

#endif
