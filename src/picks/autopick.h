/* autopick.star: RELION's list of micrographs and the STAR files with their coordinates.
 *
 * RELION 4 and 5 import picks by it: a table of _rlnMicrographName and _rlnMicrographCoordinates,
 * both paths from RELION's project directory. The names must be those of RELION's own micrographs
 * STAR file, so they are written as the user gave the paths; with a project directory, those below
 * it are shortened to begin there.
 *
 * Saving adds to the list that is there: runs that share an output directory, one after the other
 * or at the same time, end with one list of all. What is listed and has no coordinate file any more
 * is left out. A file of this name that is no such list is not touched.
 */
#ifndef PS_PICKS_AUTOPICK_H
#define PS_PICKS_AUTOPICK_H

#include "pickstream.h"

#include <stdbool.h>

struct ps_autopick;

/* A list to be saved as DIRECTORY/autopick.star. `project` may be "" or NULL. PS_E_NOMEM,
 * PS_E_SYSTEM. */
int ps_autopick_new(const char *directory, const char *project, struct ps_autopick **ret_list,
                    struct ps_error *error);
void ps_autopick_free(struct ps_autopick *list);

/* Adds a micrograph, or changes where its coordinates are. PS_E_NOMEM. */
int ps_autopick_add(struct ps_autopick *list, const char *micrograph, const char *coordinates,
                    struct ps_error *error);

/* Coordinate files have been removed: what is listed is looked at again when it is saved. */
void ps_autopick_check(struct ps_autopick *list);

/* Whether something was changed since it was saved. */
bool ps_autopick_unsaved(const struct ps_autopick *list);

/* Saves it, if so. PS_E_INPUT: what is there is no such list, or a name cannot be written;
 * PS_E_SYSTEM. */
int ps_autopick_save(struct ps_autopick *list, struct ps_error *error);

#endif
