/* A run of `pick`, which `relion` does too. */
#ifndef PS_CLI_CMD_PICK_H
#define PS_CLI_CMD_PICK_H

#include "cli/arguments.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>

struct ps_pick_options {
    bool list;
    bool null;
    bool names;
    bool verbose;
    bool overlay;
    bool resume;
    const char *shard;
    const char *truth;
    double tolerance;
};

/* How a run ended. */
struct ps_pick_end {
    size_t done;   /* picked or rejected, in this run or before */
    bool complete; /* every micrograph had its turn, and the list for RELION is saved */
};

/* Picks the micrographs of the operands as the options say. `command`: in whose name errors are
 * printed. `ret_end` can be NULL. Returns enum ps_exit. */
int ps_pick_run(const struct ps_cli *command, const struct ps_config *config,
                const struct ps_pick_options *options, char *const *operands, size_t count,
                struct ps_pick_end *ret_end);

#endif
