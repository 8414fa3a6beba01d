/* Removes files of picks of an earlier run or revision.
 *
 * A new result overwrites them. If the micrograph failed, or its new file cannot be written, the
 * old ones would look like the result of this run; so they are removed.
 */
#ifndef PS_PICKS_REMOVE_H
#define PS_PICKS_REMOVE_H

#include "config/config.h"
#include "picks/names.h"
#include "picks/picks.h"

/* Where the files of a micrograph are. Everything is borrowed. */
struct ps_picks_place {
    struct ps_names *names;
    const char *directory;
    const char *name;
    const char *path;
};

/* Removes the extracted particles of a stem, if they exist, the STAR file first. PS_E_SYSTEM,
 * PS_E_NOMEM. */
int ps_picks_remove_particles(const char *stem, struct ps_error *error);

/* Removes the micrograph's existing files in all output.formats and, with output.extract, its
 * particles, and the one with the suffix `other` if that is not NULL; files of other formats stay.
 * Continues after a failure; `error` has the first. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_remove_all(const struct ps_picks_place *place, const struct ps_config *config,
                        const char *other, struct ps_error *error);

/* Tells whether the earlier file at `path` may stay when the new one cannot be written. */
struct ps_picks_keep {
    bool (*is_current)(const void *context, const char *path);
    const void *context;
};

/* Removes the earlier file at `path`, because the new one could not be written. It stays if `keep`
 * says so, or without `keep` if it has the bytes that `file` has in `format`. Appends to the
 * message of `error` (can be NULL) that it was removed, or why it could not be. */
void ps_picks_withdraw(const char *path, const struct ps_picks_format *format,
                       const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                       struct ps_error *error);

/* The same for all files of a micrograph whose stem could not be claimed; of its particles none
 * stay. */
void ps_picks_withdraw_all(const struct ps_picks_place *place, const struct ps_config *config,
                           const struct ps_pick_file *file, const struct ps_picks_keep *keep,
                           struct ps_error *error);

#endif
