/* The files that `pick` writes for a micrograph, and those of earlier runs. */
#ifndef PS_CLI_PICK_OUTPUT_H
#define PS_CLI_PICK_OUTPUT_H

#include "cli/inputs.h"
#include "cli/progress.h"
#include "config/config.h"
#include "picks/autopick.h"
#include "picks/names.h"
#include "picks/picks.h"

#include <sys/stat.h>

/* Everything is borrowed. */
struct ps_pick_output {
    const struct ps_config *config;
    struct ps_names *names;
    struct ps_autopick *list; /* of STAR files, for RELION */
    struct ps_progress *progress;
    bool overlay; /* write NAME_overlay.png too */
};

/* Writes the files of a micrograph and records for --resume that they were made from a file with
 * the state `source`. An earlier file that was made from another state is removed if the new one
 * cannot be written. PS_E_INPUT: a format cannot hold a value; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_pick_output_write(const struct ps_pick_output *output, const struct ps_found *found,
                         const struct ps_pick_file *file, const struct stat *source,
                         struct ps_error *error);

/* Removes the files of an earlier run, and notes if that fails. */
void ps_pick_output_remove(const struct ps_pick_output *output, const char *name, const char *path);

/* Removes the files that an earlier run made of other versions of the exposure `found`: its
 * particles would be there twice. */
void ps_pick_output_replace(const struct ps_pick_output *output, const struct ps_found *found,
                            const struct ps_left_out_list *left_out);

/* Sets *ret_done if all files of the micrograph are there and were made from it as it is now, and
 * adds them to the list for RELION, because the earlier run can have been killed before it saved
 * that. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_pick_output_resume(const struct ps_pick_output *output, const struct ps_found *found,
                          bool *ret_done, struct ps_error *error);

#endif
