/* pickstream repick: has outcomes made anew, with the settings in force. */
#include "cli/again.h"
#include "cli/arguments.h"
#include "cli/cmd.h"

#include <stdio.h>

static const double MAX_SEQ = 9007199254740992; /* of --since: 2^53, exact in a double */

struct repick_options {
    uint64_t since; /* UINT64_MAX: not given */
    bool all;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_UINT(0, "since", "SEQ", struct repick_options, since, 0, MAX_SEQ,
                "those whose last outcome came after SEQ"),
    PS_CLI_FLAG(0, "all", struct repick_options, all, "every micrograph that has an outcome"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "repick",
    .operands = "[PATH...]",
    .summary =
        "Picks micrographs again that have an outcome: those with the given paths or names (as\n"
        "`listen` prints them), or those of --since or --all; with none of these, those that were\n"
        "picked with other settings than the ones in force. Each gets a new revision, whose message\n"
        "says which outcome it replaces. New micrographs go first. Prints how many there are.",
    .options = options_table,
};

static int change(const struct ps_again *again, struct ps_journal *journal, size_t *ret_count,
                  struct ps_error *error)
{
    const struct ps_repick_selection *chosen = again->context;
    struct ps_repick_selection selection = *chosen;
    selection.paths = again->paths;
    selection.count = again->count;
    return ps_journal_repick(journal, &selection, ret_count, error);
}

static int run(const struct ps_config *config, const struct repick_options *options,
               char *const *paths, size_t count)
{
    const bool since = options->since != UINT64_MAX;
    char parameters[PS_PARAMETERS_TEXT];
    struct ps_error error;
    if ((count > 0) + since + options->all > 1)
        return ps_cli_usage(&cli, "give one of PATH, --since and --all");
    if (ps_config_parameters(config, parameters, &error))
        return ps_cli_refuse(&cli, &error);
    const struct ps_repick_selection selection = {
        .since = since ? options->since : 0,
        .other_than = since || options->all ? NULL : parameters,
    };
    const struct ps_again again = {
        .command = "repick",
        .paths = paths,
        .count = count,
        .change = change,
        .context = &selection,
    };
    json_t *request =
        since ? json_pack("{s:s, s:I}", "request", "repick", "since", (json_int_t)options->since)
        : options->all ? json_pack("{s:s, s:b}", "request", "repick", "all", true)
                       : json_pack("{s:s}", "request", "repick");
    return ps_again_run(&again, config, request);
}

int ps_cmd_repick(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream repick: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct repick_options options = {.since = UINT64_MAX};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = run(config, &options, argv + operands, (size_t)(argc - operands));
    ps_config_free(config);
    return status;
}
