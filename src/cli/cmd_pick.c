/* pickstream pick: picks the given files. */
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/cmd_pick.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/pick_select.h"
#include "cli/pick_session.h"
#include "cli/print.h"
#include "config/config.h"
#include "picker/picker.h"
#include "picks/autopick.h"
#include "pickstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ps_cli_option options_table[] = {
    PS_CLI_KEY('o', "output", "DIR", "output.directory", "write files of picks below DIR"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files (default star)"),
    PS_CLI_KEY(0, "min-score", "P", "picker.min_score", "drop picks with a lower score"),
    PS_CLI_SWITCH(0, "extract", "output.extract",
                  "extract the particles too: NAME_particles.mrcs and .star"),
    PS_CLI_FLAG(0, "overlay", struct ps_pick_options, overlay,
                "write a PNG of the micrograph with its picks too"),
    PS_CLI_TEXT(0, "shard", "I/N", struct ps_pick_options, shard,
                "pick only the I-th of N parts of the micrographs: for N machines"),
    PS_CLI_FLAG(0, "resume", struct ps_pick_options, resume,
                "skip micrographs whose files of picks exist and are of their content"),
    PS_CLI_FLAG(0, "list", struct ps_pick_options, list,
                "pick nothing, print the paths of the micrographs that would be picked"),
    PS_CLI_FLAG('0', "null", struct ps_pick_options, null,
                "with --list: end each path with a NUL, and print it as it is"),
    PS_CLI_FLAG(0, "names", struct ps_pick_options, names,
                "with --list: print the name of each too, on the line after its path"),
    PS_CLI_FLAG('v', "verbose", struct ps_pick_options, verbose,
                "with --list: name the files left out too, with the rule"),
    PS_CLI_TEXT(0, "truth", "DIR", struct ps_pick_options, truth,
                "compare with DIR/NAME_truth.star or .txt, print precision and recall"),
    PS_CLI_NUMBER(0, "tolerance", "PX", struct ps_pick_options, tolerance, 0.0, 1e6,
                  "a pick is right within PX of a true centre (default: half the diameter)"),
    PS_CLI_END,
};

static const struct ps_cli_rule rules[] = {
    {"tolerance", "truth"}, {"null", "list"}, {"names", "list"}, {NULL, NULL}};

static const struct ps_cli cli = {
    .rules = rules,
    .command = "pick",
    .picks = true,
    .operands = "FILE|DIR|GLOB|STAR...",
    .summary =
        "Picks particles in each micrograph and writes its picks to DIR, under the path of the\n"
        "micrograph relative to the common parent of all operands: x.mrc becomes\n"
        "DIR/x_autopick.star. A STAR file is a list of RELION (micrographs_ctf.star). A micrograph\n"
        "that cannot be picked is reported on stderr, the others are picked, and the exit status\n"
        "is then 1.",
    .options = options_table,
};

/* ---- the command ------------------------------------------------------------------------------
 */

/* Finds the micrographs of the operands and selects those to pick. Returns enum ps_exit. */
static int find(struct ps_pick_session *session, const struct ps_pick_options *options,
                char *const *operands, size_t count, const struct ps_shard *shard,
                struct ps_found_list *ret_list)
{
    struct ps_error error;
    if (ps_find(session->config, operands, count, ret_list, &error) != 0) {
        ps_say("pickstream: %s", error.message);
        return PS_EXIT_FAILURE;
    }
    ps_left_out_print_named(&ret_list->left_out);
    if (ret_list->count == 0) { /* ps_find() has named the operands */
        if (options->list && options->verbose)
            ps_left_out_print_files(&ret_list->left_out);
        return PS_EXIT_FAILURE;
    }
    ps_found_list_shard(ret_list, *shard);
    const size_t all = ret_list->count;
    int status = 0;
    if (options->resume)
        status = ps_pick_keep_left(ret_list, &session->output, &error);
    session->before = all - ret_list->count;
    if (status)
        ps_say("pickstream: %s", error.message);
    return status ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

static int print_list(const struct ps_found_list *list, const struct ps_pick_options *options)
{
    if (options->verbose)
        ps_left_out_print_files(&list->left_out);
    else
        ps_left_out_print_counts(&list->left_out);
    return ps_pick_print_list(list, options->null, options->names) ? PS_EXIT_OK : PS_EXIT_FAILURE;
}

int ps_pick_run(const struct ps_cli *command, const struct ps_config *config,
                const struct ps_pick_options *options, char *const *operands, size_t count,
                struct ps_pick_end *ret_end)
{
    struct ps_shard shard = {1, 1};
    if (options->shard && !ps_shard_parse(options->shard, &shard))
        return ps_cli_usage(command, "--shard %s: I/N expected, I from 1 to N", options->shard);
    if (options->resume && options->truth)
        return ps_cli_usage(command, "--truth with --resume would leave out what was done before");
    if (count == 0)
        return ps_cli_usage(command, "no micrographs given");
    struct ps_pick_session session = {
        .config = config,
        .truth = options->truth,
        .tolerance = options->tolerance,
    };
    session.output = (struct ps_pick_output){
        .config = config,
        .progress = &session.progress,
        .overlay = options->overlay,
    };
    struct ps_error error;
    if (!options->list)
        ps_interrupt_catch();
    int status = options->list ? 0 : ps_picker_new(config, &session.picker, &error);
    if (status == PS_E_CONFIG)
        return ps_cli_refuse(command, &error);
    if (status == 0)
        status = ps_names_new(PS_NAMES_LOCAL, &session.output.names, &error);
    if (status == 0 && !options->list)
        status = ps_autopick_new(config->output.directory, config->output.relion_project,
                                 &session.output.list, &error);
    if (status) {
        ps_say("pickstream: %s", error.message);
        return PS_EXIT_FAILURE;
    }
    session.profile = ps_config_get(config, "picker.profile");
    if (!session.profile) {
        ps_say("pickstream: no memory");
        return PS_EXIT_FAILURE;
    }
    struct ps_found_list list = {0};
    int result = find(&session, options, operands, count, &shard, &list);
    if (result == PS_EXIT_OK)
        result = options->list ? print_list(&list, options) : ps_pick_session_run(&session, &list);
    if (ret_end)
        *ret_end = (struct ps_pick_end){session.picked + session.rejected + session.before,
                                        session.complete};
    ps_found_list_done(&list);
    ps_autopick_free(session.output.list);
    ps_names_free(session.output.names);
    ps_picker_free(session.picker);
    free(session.profile);
    return result;
}

int ps_cmd_pick(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream pick: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct ps_pick_options options = {0};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status =
            ps_pick_run(&cli, config, &options, argv + operands, (size_t)(argc - operands), NULL);
    ps_config_free(config);
    return status;
}
