/* RELION's project: the directory in which its paths begin, and where it looks for coordinates.
 *
 * relion_preprocess looks for the picks of Micrographs/x.mrc in COORD_DIR/Micrographs/x, followed
 * by the suffix, and drops the directory of a job: those of MotionCorr/job002/Movies/x.mrc are in
 * COORD_DIR/Movies/x. Its lists of micrographs have the paths from the project, as RELION found the
 * files: through symbolic links, but with a job's number instead of its alias.
 */
#ifndef PS_PICKS_RELION_H
#define PS_PICKS_RELION_H

#include "pickstream.h"

#include <stdbool.h>

struct ps_relion;

/* Finds the project that an output directory belongs to: `project`, if it is not empty; or else the
 * nearest directory at or above `output`, or the working directory, that has RELION's files
 * (default_pipeline.star, .gui_projectdir); or the one above a component AutoPick, ManualPick or
 * TYPE/jobNNN of `output`. Returns 0 and NULL if there is none. `output` need not exist.
 * PS_E_NOMEM, PS_E_SYSTEM. */
int ps_relion_find(const char *project, const char *output, struct ps_relion **ret_relion,
                   struct ps_error *error);
void ps_relion_free(struct ps_relion *relion);

/* The directory, absolute, without a '/' at its end. */
const char *ps_relion_project(const struct ps_relion *relion);

/* The path of a file from the project; to be freed. NULL if the file is elsewhere. Paths are
 * compared as text and as files, so "./", "//" and another way to the project do not matter; of a
 * file elsewhere, a link in the project to a directory above it is used.
 * NULL for a `relion` of NULL. PS_E_NOMEM. */
int ps_relion_path(const struct ps_relion *relion, const char *path, char **ret_path,
                   struct ps_error *error);

/* The name of a micrograph's picks, without knowing the other micrographs: its path from the
 * project without the directory of a job, as RELION drops it; to be freed. NULL if it is not below
 * the project, or `relion` is NULL. Micrographs of two jobs can have the same name: names.h tells
 * their files apart. PS_E_NOMEM. */
int ps_relion_output(const struct ps_relion *relion, const char *path, char **ret_name,
                     struct ps_error *error);

/* The names of the picks of all micrographs, each to be freed; NULL for one that is not below the
 * project, and for a path of NULL. The directory of a job is dropped, unless two micrographs would
 * have the same name then. PS_E_NOMEM. */
int ps_relion_names(const struct ps_relion *relion, const char *const paths[], size_t count,
                    char *ret_names[], struct ps_error *error);

/* The path of a file that a list of RELION names: as it is, or below the nearest directory at or
 * above the list that has it, as RELION's paths begin in its project. Returns `name` if the file is
 * not found; to be freed, NULL without memory. */
char *ps_relion_locate(const char *list, const char *name);

/* The part of a path from the project behind the directory of a job, or all of it: the name of the
 * micrograph's picks below COORD_DIR. */
const char *ps_relion_name(const char *path);

#endif
