/* The set of known files, by path and identity: files that have their outcome or wait for it. The
 * watcher does not ask the sink about them, so that an idle service does nothing. A file whose
 * inode changed is not in the set: the sink compares its content.
 *
 * A file is remembered for a number of scans of everything, or as long as scans find it. So files
 * that were deleted from the disk leave the set too.
 *
 * One table with open addressing, 8 bytes a cell, up to 7/8 full and doubled then: 9 to 18 bytes
 * for each file, 131 kB for 10,000 files, 1 MB for 100,000.
 *
 * A cell has 60 bits of a hash and 4 bits for the time to remember. The probability that any two of
 * n files have the same 60 bits is n^2 / 2^61: 4e-9 for 100,000, 4e-7 for a million. The second of
 * two such files would be taken for known until it changes.
 */
#ifndef PS_WATCH_KNOWN_FILES_H
#define PS_WATCH_KNOWN_FILES_H

#include "watch/job.h"

#include <stddef.h>

/* Initialise to zeros. */
struct ps_known_files {
    uint64_t *cells; /* 0: free */
    size_t count;
    size_t capacity; /* a power of 2, or 0 */
};

/* How long a file is remembered: a number of scans, or as long as each scan finds it. */
enum { PS_MAX_KNOWN_SCANS = 13, PS_KNOWN_WHILE_SEEN = 15 };

/* Remembers a file for 1 to PS_MAX_KNOWN_SCANS scans or PS_KNOWN_WHILE_SEEN; replaces an earlier
 * value. Without memory the file is not remembered, which only costs time. */
void ps_known_files_add(struct ps_known_files *files, const char *path,
                        const struct ps_identity *identity, unsigned scans);

bool ps_known_files_has(struct ps_known_files *files, const char *path,
                        const struct ps_identity *identity);

/* A scan of everything begins. */
void ps_known_files_begin_scan(struct ps_known_files *files);

/* Empties and frees the set. */
void ps_known_files_clear(struct ps_known_files *files);

#endif
