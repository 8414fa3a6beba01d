/* Makes a list of micrographs from the operands of a command.
 *
 * An operand is a file, which needs no rule to be a micrograph, a directory (searched according to
 * input.recursive and layout/layout.h), a glob that the shell did not expand, or a STAR file: a
 * list of RELION, whose micrographs are operands (picks/micrograph_list.h). Each micrograph
 * keeps the path as the user gave it, and gets a name: its path relative to the nearest common
 * parent of all operands; if output.directory is in a RELION project and so is the micrograph, the
 * name under which RELION looks for its picks (picks/relion.h). Names distinguish files of the same
 * name in different directories, and are the paths below an output directory.
 */
#ifndef PS_CLI_INPUTS_H
#define PS_CLI_INPUTS_H

#include "cli/left_out.h"
#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct ps_found {
    char *path;
    char *name;
    char *problem;     /* why it cannot be picked, or NULL */
    char *listed;      /* its rlnMicrographName in the list that it was found by, or NULL */
    double pixel_size; /* angstrom, of that list; 0: that of the header */
};

struct ps_found_list {
    struct ps_found *items; /* by name */
    size_t count;
    struct ps_left_out_list left_out;
};

/* Finds the micrographs of all operands. The list also has missing operands and unreadable
 * directories, each with its problem. Prints a line for every directory without a micrograph.
 * PS_E_INPUT: a STAR file that is not a list of micrographs; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_find(const struct ps_config *config, char *const *operands, size_t count,
            struct ps_found_list *ret_list, struct ps_error *error);
void ps_found_list_done(struct ps_found_list *list);

/* Keeps the micrographs for which `keep` is true. */
void ps_found_list_keep(struct ps_found_list *list, bool (*keep)(const struct ps_found *, void *),
                        void *context);

/* One of `of` parts of all micrographs; `number` is from 1 to `of`. */
struct ps_shard {
    uint32_t number;
    uint32_t of;
};

/* Keeps the micrographs of one shard: those for which the CRC-32 (as in zlib) of the name, modulo
 * 1000003, modulo `of`, is number - 1. Only the name decides: if micrographs are added between two
 * runs, or while N machines start, each stays in exactly one shard. Taking every N-th of the list
 * would not ensure that. The sizes of shards vary like those of random samples. */
void ps_found_list_shard(struct ps_found_list *list, struct ps_shard shard);

#endif
