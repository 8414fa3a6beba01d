/* autopick.star: RELION's list of micrographs and the STAR files with their coordinates.
 *
 * RELION 4 and 5 import picks with it: a table of _rlnMicrographName and _rlnMicrographCoordinates,
 * both paths relative to RELION's project directory. The names must equal those in RELION's
 * micrographs STAR file, so paths below the project (picks/relion.h) are made relative to it, and
 * others absolute; without a project, paths are written as the user gave them.
 *
 * Saving merges with the existing file: runs that share an output directory, in sequence or in
 * parallel, produce one list of all. Entries whose coordinate file no longer exists are removed. A
 * file of this name that is not such a list is not overwritten.
 */
#ifndef PS_PICKS_AUTOPICK_H
#define PS_PICKS_AUTOPICK_H

#include "picks/relion.h"
#include "pickstream.h"

#include <stdbool.h>

struct ps_autopick;

/* Makes an empty list, to be saved as DIRECTORY/autopick.star. `project` can be "" or NULL: then it
 * is found. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_autopick_new(const char *directory, const char *project, struct ps_autopick **ret_list,
                    struct ps_error *error);
void ps_autopick_free(struct ps_autopick *list);

/* Adds a micrograph, or replaces the path of its coordinates. `listed`: its name is of a list of
 * RELION, and is not changed. If a STAR file cannot hold one of the paths, the entry is left out;
 * see ps_autopick_left_out(). PS_E_NOMEM. */
int ps_autopick_add(struct ps_autopick *list, const char *micrograph, bool listed,
                    const char *coordinates, struct ps_error *error);

/* Replaces the name of a micrograph by the one under which RELION looks for its picks, as
 * ps_relion_output(); *ret_replaced tells whether the micrograph is in the project. PS_E_NOMEM. */
int ps_autopick_rename(const struct ps_autopick *list, const char *path, char **name,
                       bool *ret_replaced, struct ps_error *error);

/* The project that the list is for, or NULL. */
const struct ps_relion *ps_autopick_relion(const struct ps_autopick *list);

/* Call after coordinate files were removed: the next save drops their entries. */
void ps_autopick_check(struct ps_autopick *list);

/* True if the list has changed since it was saved. */
bool ps_autopick_unsaved(const struct ps_autopick *list);

/* Saves the list if it has changed. PS_E_INPUT: the existing file is not such a list; PS_E_SYSTEM.
 */
int ps_autopick_save(struct ps_autopick *list, struct ps_error *error);

/* True, with a message, for each entry that was left out since the last calls; to be called until
 * it returns false. */
bool ps_autopick_left_out(struct ps_autopick *list, struct ps_error *ret_error);

#endif
