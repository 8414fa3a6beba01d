/* Which micrographs a run of `pick` is to pick, and the printing of them (--shard, --resume,
 * --list). */
#ifndef PS_CLI_PICK_SELECT_H
#define PS_CLI_PICK_SELECT_H

#include "cli/inputs.h"
#include "cli/pick_output.h"

#include <stdbool.h>

/* Reads "I/N" with 1 <= I <= N; false if it is not that. */
bool ps_shard_parse(const char *text, struct ps_shard *ret_shard);

/* Keeps the micrographs that were not picked before, as ps_pick_output_resume() tells.
 * PS_E_SYSTEM, PS_E_NOMEM. */
int ps_pick_keep_left(struct ps_found_list *list, const struct ps_pick_output *output,
                      struct ps_error *error);

/* Prints the paths on stdout, one a line; `null`: as they are, each ended by a NUL; `names`: each
 * followed by the name, in the same way. Problems are printed on stderr; returns false if there are
 * any. */
bool ps_pick_print_list(const struct ps_found_list *list, bool null, bool names);

#endif
