/* Removes files of picks of an earlier run or revision.
 *
 * A new result overwrites them. If the micrograph failed there is no new file, and the old ones
 * would look like the result of this run; so they are removed.
 */
#ifndef PS_PICKS_REMOVE_H
#define PS_PICKS_REMOVE_H

#include "config/config.h"

/* Removes the file of picks of a name and suffix (see ps_picks_path()), if it exists. PS_E_SYSTEM,
 * PS_E_NOMEM. */
int ps_picks_remove(const char *directory, const char *name, const char *suffix,
                    struct ps_error *error);

/* Removes the existing files in `formats` (output.formats); files of other formats stay. Continues
 * after a failure; `error` has the first. */
int ps_picks_remove_all(const char *directory, const struct ps_list *formats, const char *name,
                        struct ps_error *error);

#endif
