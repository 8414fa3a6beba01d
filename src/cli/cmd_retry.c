/* pickstream retry: puts failed micrographs back in the queue. */
#include "cli/again.h"
#include "cli/arguments.h"
#include "cli/cmd.h"

#include <stdio.h>

static const struct ps_cli_option options_table[] = {PS_CLI_END};

static const struct ps_cli cli = {
    .command = "retry",
    .operands = "[PATH...]",
    .summary =
        "Picks failed micrographs again: those with the given paths or names (as `listen` prints\n"
        "them), or all. Each gets a new outcome. Prints their number; a PATH that has not failed\n"
        "does not count.",
    .options = options_table,
};

static int change(const struct ps_again *again, struct ps_journal *journal, size_t *ret_count,
                  struct ps_error *error)
{
    return ps_journal_retry(journal, again->paths, again->count, ret_count, error);
}

int ps_cmd_retry(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream retry: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, NULL, config, &operands);
    if (status == PS_CLI_GO) {
        const struct ps_again again = {
            .command = "retry",
            .paths = argv + operands,
            .count = (size_t)(argc - operands),
            .change = change,
        };
        /* Without "paths" the request means all failed micrographs. */
        status = ps_again_run(&again, config, json_pack("{s:s}", "request", "retry"));
    }
    ps_config_free(config);
    return status;
}
