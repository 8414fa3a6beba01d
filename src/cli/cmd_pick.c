/* pickstream pick: picks the given files in sequence, each with all cores. */
#include "base/error.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/pick_session.h"
#include "cli/print.h"
#include "config/config.h"
#include "picker/picker.h"
#include "picks/autopick.h"
#include "pickstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pick_options {
    bool list;
    bool null;
    bool verbose;
    bool overlay;
    bool resume;
    const char *shard;
    const char *truth;
    double tolerance;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_KEY('o', "output", "DIR", "output.directory", "write files of picks below DIR"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files (default star)"),
    PS_CLI_KEY(0, "min-score", "P", "picker.min_score", "drop picks with a lower score"),
    PS_CLI_SWITCH(0, "extract", "output.extract",
                  "extract the particles too: NAME_particles.mrcs and .star"),
    PS_CLI_FLAG(0, "overlay", struct pick_options, overlay,
                "write a PNG of the micrograph with its picks too"),
    PS_CLI_TEXT(0, "shard", "I/N", struct pick_options, shard,
                "pick only the I-th of N parts of the micrographs: for N machines"),
    PS_CLI_FLAG(0, "resume", struct pick_options, resume,
                "skip micrographs whose files of picks exist and are of their content"),
    PS_CLI_FLAG(0, "list", struct pick_options, list,
                "pick nothing, print the paths of the micrographs that would be picked"),
    PS_CLI_FLAG('0', "null", struct pick_options, null,
                "with --list: end each path with a NUL, and print it as it is"),
    PS_CLI_FLAG('v', "verbose", struct pick_options, verbose,
                "with --list: name the files left out too, with the rule"),
    PS_CLI_TEXT(0, "truth", "DIR", struct pick_options, truth,
                "compare with DIR/NAME_truth.star or .txt, print precision and recall"),
    PS_CLI_NUMBER(0, "tolerance", "PX", struct pick_options, tolerance, 0.0, 1e6,
                  "a pick is right within PX of a true centre (default: half the diameter)"),
    PS_CLI_END,
};

static const struct ps_cli_rule rules[] = {{"tolerance", "truth"}, {"null", "list"}, {NULL, NULL}};

static const struct ps_cli cli = {
    .rules = rules,
    .command = "pick",
    .picks = true,
    .operands = "FILE|DIR|GLOB...",
    .summary =
        "Picks particles in each micrograph and writes its picks to DIR, under the path of the\n"
        "micrograph relative to the common parent of all operands: x.mrc becomes\n"
        "DIR/x_autopick.star. A micrograph that cannot be picked is reported on stderr, the\n"
        "others are picked, and the exit status is then 1.",
    .options = options_table,
};

/* ---- listing ---------------------------------------------------------------------------------
 */

/* Without --null each path is one printable line: a name can contain a line end. */
static int list_all(const struct ps_found_list *list, const struct pick_options *options)
{
    int result = PS_EXIT_OK;
    if (options->verbose)
        ps_left_out_print_files(&list->left_out);
    else
        ps_left_out_print_counts(&list->left_out);
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_found *found = &list->items[i];
        if (found->problem) {
            ps_say("pickstream: %s: %s", found->path, found->problem);
            result = PS_EXIT_FAILURE;
        } else if (options->null) {
            (void)fwrite(found->path, 1, strlen(found->path) + 1, stdout);
        } else {
            ps_print(stdout, "%s", found->path);
        }
    }
    return result;
}

/* ---- resuming ---------------------------------------------------------------------------------
 */

struct resuming {
    const struct ps_pick_output *output;
    struct ps_error *error;
    int status;
};

/* For ps_found_list_keep(). */
static bool is_left(const struct ps_found *found, void *context)
{
    struct resuming *resuming = context;
    bool done = false;
    if (resuming->status == 0)
        resuming->status = ps_pick_output_resume(resuming->output, found, &done, resuming->error);
    return !done;
}

/* ---- the command ------------------------------------------------------------------------------
 */

/* "I/N" with 1 <= I <= N. */
static bool parse_shard(const char *text, struct ps_shard *ret_shard)
{
    const char *slash = strchr(text, '/');
    char first[PS_NUMBER_TEXT];
    if (!slash || (size_t)(slash - text) >= sizeof first)
        return false;
    (void)snprintf(first, sizeof first, "%.*s", (int)(slash - text), text);
    uint64_t number;
    uint64_t of;
    if (!ps_text_to_uint(slash + 1, 1, UINT32_MAX, &of) || !ps_text_to_uint(first, 1, of, &number))
        return false;
    *ret_shard = (struct ps_shard){(uint32_t)number, (uint32_t)of};
    return true;
}

/* Finds the micrographs of the operands and selects those to pick. Returns enum ps_exit. */
static int find(struct ps_pick_session *session, const struct pick_options *options,
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
    size_t all = ret_list->count;
    struct resuming resuming = {.output = &session->output, .error = &error};
    if (options->resume)
        ps_found_list_keep(ret_list, is_left, &resuming);
    session->before = all - ret_list->count;
    if (resuming.status)
        ps_say("pickstream: %s", error.message);
    return resuming.status ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

static int run(const struct ps_config *config, const struct pick_options *options,
               char *const *operands, size_t count)
{
    struct ps_shard shard = {1, 1};
    if (options->shard && !parse_shard(options->shard, &shard))
        return ps_cli_usage(&cli, "--shard %s: I/N expected, I from 1 to N", options->shard);
    if (options->resume && options->truth)
        return ps_cli_usage(&cli, "--truth with --resume would leave out what was done before");
    if (count == 0)
        return ps_cli_usage(&cli, "no micrographs given");
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
        return ps_cli_refuse(&cli, &error);
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
        result = options->list ? list_all(&list, options) : ps_pick_session_run(&session, &list);
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
    struct pick_options options = {0};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = run(config, &options, argv + operands, (size_t)(argc - operands));
    ps_config_free(config);
    return status;
}
