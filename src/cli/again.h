/* What the commands share that have micrographs picked again. A running service holds the journal's
 * lock, so it gets a request. Without one the command changes the journal, and the service picks
 * the micrographs when it starts. */
#ifndef PS_CLI_AGAIN_H
#define PS_CLI_AGAIN_H

#include "config/config.h"
#include "journal/journal.h"

#include <jansson.h>

struct ps_again {
    const char *command;
    char *const *paths; /* of micrographs, or their names */
    size_t count;       /* 0: `request` says which */
    /* Changes the journal if no service is running. */
    int (*change)(const struct ps_again *again, struct ps_journal *journal, size_t *ret_count,
                  struct ps_error *error);
    const void *context;
};

/* Sends the request, which it takes, with "paths" added, or changes the journal. Prints how many
 * micrographs are to be picked again, or the error. Returns enum ps_exit. */
int ps_again_run(const struct ps_again *again, const struct ps_config *config, json_t *request);

#endif
