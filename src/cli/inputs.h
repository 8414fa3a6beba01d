/* From the operands of a command to a list of micrographs.
 *
 * An operand is a file, a directory (searched by input.recursive, include and exclude), or a glob
 * that the shell left alone. Each micrograph keeps the path under which the user knows it, and gets
 * a name: its path below the nearest directory that holds all operands. Names tell equally named
 * files of different directories apart, and say where output goes under an output directory.
 */
#ifndef PS_CLI_INPUTS_H
#define PS_CLI_INPUTS_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct ps_found {
    char *path;
    char *name;
    char *problem; /* why it cannot be picked, or NULL */
};

struct ps_found_list {
    struct ps_found *items; /* by name */
    size_t count;
};

/* Finds the micrographs of all operands; operands that do not exist, unreadable directories, and
 * files whose output would overwrite another's are in the list with their problem. PS_E_SYSTEM,
 * PS_E_NOMEM. */
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
 * 1000003, modulo `of`, is number - 1. So the name alone decides, whatever else is there: when
 * micrographs are added between two runs, or while N machines begin, none moves to another shard or
 * is in two or none, as it would if every N-th of the list were taken. The price is that shards
 * differ in size, as random parts do. */
void ps_found_list_shard(struct ps_found_list *list, struct ps_shard shard);

#endif
