/* Previews of the newest micrographs, kept for the live view: files in STATE_DIRECTORY/previews.
 *
 *     SEQ.png, SEQ.small.png    of the outcome of that seq
 *     row-N.png, ...            not yet: the micrograph has no seq before its outcome is committed
 *
 * On disk rather than in memory, so that a view has its pictures after a restart too and the
 * service stays as small as it is; bounded by http.previews, for they are 0.5 MB each and the
 * journal shares their disk. They may be lost at any time and nobody misses more than a picture: so
 * none is waited for to reach the disk, and a failure is worth a log line, not an outcome.
 *
 * The worker writes both files before it hands in its outcome; the publisher then only renames
 * them, and drops those that are too old; the live view opens them. Each call is safe in any
 * thread; a micrograph (its row in the journal) is one worker's at a time.
 */
#ifndef PS_HTTP_PREVIEWS_H
#define PS_HTTP_PREVIEWS_H

#include "picture/preview.h"

#include <stdbool.h>

struct ps_previews;

/* Opens the directory, which is made if need be, and drops what an earlier run left of other
 * streams (the file `stream` there says of which they are), without a seq, or beyond the newest
 * `keep` up to `last_seq`. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_previews_open(const char *state_directory, const char *stream, uint64_t keep,
                     uint64_t last_seq, struct ps_previews **ret_previews, struct ps_error *error);
void ps_previews_close(struct ps_previews *previews);

/* Writes the files of a micrograph that has no seq yet. PS_E_SYSTEM: nothing is left of them. */
int ps_previews_stage(struct ps_previews *previews, int64_t row, const struct ps_preview *preview,
                      struct ps_error *error);

/* Gives them their seq, and drops those that are `keep` older; or drops them themselves. */
void ps_previews_keep(struct ps_previews *previews, int64_t row, uint64_t seq);
void ps_previews_drop(struct ps_previews *previews, int64_t row);

enum ps_preview_size { PS_PREVIEW_LARGE, PS_PREVIEW_SMALL };

/* Whether there is one, without opening it. */
bool ps_previews_has(struct ps_previews *previews, uint64_t seq);

/* Opens one for reading; -1: it is not kept (any more). */
int ps_previews_read(struct ps_previews *previews, uint64_t seq, enum ps_preview_size size);

#endif
