/* Previews of the newest micrographs, kept for the live view: files in STATE_DIRECTORY/previews.
 *
 *     SEQ.png, SEQ.small.png    of the outcome of that seq
 *     row-N.png, ...            before the outcome is committed: the micrograph has no seq yet
 *
 * They are on disk, not in memory, so that they survive a restart and the service stays small.
 * http.previews limits their number: each has 0.5 MB and they share the disk with the journal. The
 * loss of a preview is harmless, so files are not synced, and a failure is logged but does not
 * affect the outcome.
 *
 * The worker writes both files before it submits its outcome; the publisher renames them and
 * removes old ones; the live view opens them. Every function is safe in any thread; only one worker
 * at a time has a micrograph (its row in the journal).
 */
#ifndef PS_HTTP_PREVIEWS_H
#define PS_HTTP_PREVIEWS_H

#include "picture/preview.h"

#include <stdbool.h>

struct ps_previews;

/* Opens the directory, and creates it if it is missing. Removes files of another stream (the file
 * `stream` names the current one), files without a seq, and all but the newest `keep` up to
 * `last_seq`. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_previews_open(const char *state_directory, const char *stream, uint64_t keep,
                     uint64_t last_seq, struct ps_previews **ret_previews, struct ps_error *error);
void ps_previews_close(struct ps_previews *previews);

/* Writes the files of a micrograph without a seq. PS_E_SYSTEM: no file is left. */
int ps_previews_stage(struct ps_previews *previews, int64_t row, const struct ps_preview *preview,
                      struct ps_error *error);

/* Renames the files to their seq and removes those that are `keep` older; or removes them. */
void ps_previews_keep(struct ps_previews *previews, int64_t row, uint64_t seq);
void ps_previews_drop(struct ps_previews *previews, int64_t row);

enum ps_preview_size { PS_PREVIEW_LARGE, PS_PREVIEW_SMALL };

/* True if the preview of this outcome is kept. */
bool ps_previews_has(struct ps_previews *previews, uint64_t seq);

/* Opens a preview for reading; -1: not kept, or no longer. */
int ps_previews_read(struct ps_previews *previews, uint64_t seq, enum ps_preview_size size);

#endif
