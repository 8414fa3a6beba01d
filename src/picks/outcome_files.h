/* The files of picks of a service's outcomes: where they are, and how they are made from what the
 * journal has. */
#ifndef PS_PICKS_OUTCOME_FILES_H
#define PS_PICKS_OUTCOME_FILES_H

#include "config/config.h"
#include "picks/autopick.h"
#include "picks/names.h"
#include "picks/relion.h"
#include "wire/message_read.h"

/* Where files go. Everything is borrowed. */
struct ps_outcome_target {
    const struct ps_config *config;
    const char *root; /* output.directory, or another one in its place */
    struct ps_names *names;
    const struct ps_relion *relion; /* the project of `root`; or NULL */
    struct ps_autopick *list;       /* of STAR files; or NULL */
};

/* Finds the directory of a micrograph's files and its name below that, both to be freed: in the
 * project where RELION looks for them, or below `root` as input.directories says. PS_E_NOMEM. */
int ps_outcome_files_find(const struct ps_outcome_target *target, const char *path,
                          const char *name, char **ret_directory, char **ret_name,
                          struct ps_error *error);

/* Writes the files of an outcome in all output.formats, where the caller says; `name` is safe
 * (ps_name_is_safe()). Or removes those of earlier revisions, if it failed. PS_E_INPUT: a format
 * cannot hold a value; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_outcome_files_put(const struct ps_outcome_target *target,
                         const struct ps_outcome_record *record, const char *directory,
                         const char *name, struct ps_error *error);

/* The same where the service has them (ps_outcome_files_find()), and without the warning that they
 * were not written. PS_E_INPUT also if its name leads out of the directory. */
int ps_outcome_files_make(const struct ps_outcome_target *target, struct ps_outcome_record *record,
                          struct ps_error *error);

#endif
