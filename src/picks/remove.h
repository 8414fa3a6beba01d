/* Removes files of picks of an earlier run or revision.
 *
 * A new result overwrites them. If the micrograph failed there is no new file, and the old ones
 * would look like the result of this run; so they are removed.
 */
#ifndef PS_PICKS_REMOVE_H
#define PS_PICKS_REMOVE_H

#include "config/config.h"
#include "picks/names.h"

/* Where the files of a micrograph are. Everything is borrowed. */
struct ps_picks_place {
    struct ps_names *names;
    const char *directory;
    const char *name;
    const char *path;
};

/* Removes the micrograph's existing files in `formats` (output.formats), and the one with the
 * suffix `other` if that is not NULL; files of other formats stay. Continues after a failure;
 * `error` has the first. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_picks_remove_all(const struct ps_picks_place *place, const struct ps_list *formats,
                        const char *other, struct ps_error *error);

#endif
