/* Paths of files as a STAR file for RELION lists them. */
#ifndef PS_PICKS_LISTED_PATH_H
#define PS_PICKS_LISTED_PATH_H

#include "picks/relion.h"

/* The path from the project, or, of a file elsewhere, the absolute one; without a project
 * (`relion` is NULL) the path as it is. To be freed. PS_E_NOMEM. */
int ps_listed_path(const struct ps_relion *relion, const char *path, char **ret_path,
                   struct ps_error *error);

/* The same for a micrograph; `listed`: its path is its name in a list of RELION, and stays as it
 * is. */
int ps_listed_micrograph(const struct ps_relion *relion, const char *path, bool listed,
                         char **ret_path, struct ps_error *error);

#endif
