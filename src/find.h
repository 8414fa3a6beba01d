/* From the operands of a command to a list of micrographs.
 *
 * An operand is a file, a directory (searched by input.recursive, include and exclude), or a glob
 * that the shell left alone. Each micrograph keeps the path under which the user knows it, and gets
 * a name: its path below the nearest directory that holds all operands. Names tell equally named
 * files of different directories apart, and say where output goes under an output directory.
 */
#ifndef PS_FIND_H
#define PS_FIND_H

#include "base/config.h"

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

/* Keeps every `of`-th micrograph, beginning with the `shard`-th, 1 to `of`. */
void ps_found_list_shard(struct ps_found_list *list, size_t shard, size_t of);

#endif
