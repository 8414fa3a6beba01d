/* pickstream pick: picks the given files in sequence, each with all cores. */
#include "base/error.h"
#include "base/memory_limit.h"
#include "base/text.h"
#include "cli/accuracy.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/inputs.h"
#include "cli/interrupt.h"
#include "cli/pick_output.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/turns.h"
#include "config/config.h"
#include "image/micrograph.h"
#include "picker/memory.h"
#include "picker/picker.h"
#include "picker/scale.h"
#include "picks/autopick.h"
#include "pickstream.h"
#include "service/shortage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

enum { SAVE_EVERY = 100 /* micrographs between two saves of the list of STAR files */ };
/* One run of the command. */
struct session {
    const struct ps_config *config;
    const struct pick_options *options;
    struct ps_picker *picker;
    struct ps_pick_output output;
    char *profile;
    struct ps_progress progress;
    struct ps_accuracy total; /* against the truth */
    struct stat source;       /* of the micrograph that is being picked, before it was read */
    size_t picked;
    size_t rejected;
    size_t failed;
    size_t before; /* done in an earlier run */
    size_t done;   /* in this run */
    const struct ps_found_list *list;
    char scale[PS_SCALE_TEXT]; /* as stated last */
    size_t picks;
    bool unlisted; /* the list could not be saved */
    bool writing;  /* the micrograph was picked: what fails now is the writing of its files */
};

/* ---- one micrograph ---------------------------------------------------------------------------
 */

static int report(struct session *session, const struct ps_found *found,
                  const struct ps_result *result, struct ps_error *error)
{
    char accuracy[PS_ACCURACY_TEXT] = "";
    if (session->options->truth && result->outcome == PS_PICKED) {
        struct ps_accuracy measured;
        int status =
            ps_accuracy_compare(session->options->truth, found->name, result,
                                session->options->tolerance, &measured, &session->total, error);
        if (status)
            return status;
        ps_accuracy_text(&measured, accuracy);
    }
    for (size_t i = 0; i < result->warning_count; i++)
        ps_progress_note(&session->progress, "pickstream: %s: %s", found->path,
                         result->warnings[i]);
    if (result->outcome == PS_REJECTED) {
        session->rejected++;
        ps_progress_line(&session->progress, "%s: rejected: %s", found->path, result->reason);
        return 0;
    }
    session->picked++;
    session->picks += result->count;
    double total = 0;
    for (int stage = 0; stage < PS_STAGE_COUNT; stage++)
        total += result->milliseconds[stage];
    ps_progress_line(&session->progress, "%s: %zu picks in %.2f s%s%s", found->path, result->count,
                     total / 1e3, result->truncated ? " (the best of more)" : "", accuracy);
    return 0;
}

/* States pixel size and diameter, the first time and when they change. */
static void state_scale(struct session *session, double header_pixel_size)
{
    char scale[PS_SCALE_TEXT];
    (void)ps_scale_text(session->config, header_pixel_size, scale);
    if (strcmp(scale, session->scale) == 0)
        return;
    memcpy(session->scale, scale, sizeof scale);
    ps_progress_note(&session->progress, "pickstream: %s", scale);
}

/* The first line states the scale even if the first micrograph cannot be read. */
static void state_first(struct session *session)
{
    if (!*session->scale)
        state_scale(session, PS_SCALE_NOT_READ);
}

static int pick_micrograph(struct session *session, const struct ps_found *found,
                           const struct ps_micrograph *micrograph, double read_milliseconds,
                           struct ps_error *error)
{
    struct ps_result result = {0};
    int status = ps_picker_pick(session->picker, &micrograph->image, &result, error);
    if (status)
        return ps_fail_prefix(error, "%s", found->path);
    struct ps_pick_file file = {
        .path = found->path,
        .name = found->name,
        .width = micrograph->image.width,
        .height = micrograph->image.height,
        .micrograph = micrograph,
        .pixel_size_source = ps_pixel_size_source(session->config, &result),
        .profile = session->profile,
        .read_milliseconds = read_milliseconds,
        .result = &result,
    };
    session->writing = true;
    status = ps_pick_output_write(&session->output, &file, &session->source, error);
    if (status == 0)
        status = report(session, found, &result, error);
    ps_result_done(&result);
    return status;
}

static int pick_file(struct session *session, const struct ps_found *found, struct ps_error *error)
{
    session->writing = false;
    if (found->problem) {
        state_first(session);
        return ps_fail(error, PS_E_INPUT, "%s: %s", found->path, found->problem);
    }
    const struct ps_picker_budget budget = {session->config, ps_picker_is_gpu(session->picker),
                                            ps_memory_limit("")};
    const struct ps_read_options options = ps_picker_read_options(&budget);
    struct ps_micrograph *micrograph = NULL;
    double start = ps_progress_clock();
    if (stat(found->path, &session->source) != 0)
        session->source = (struct stat){0};
    int status = ps_micrograph_read(found->path, &options, &micrograph, error);
    if (status) {
        state_first(session);
        return status;
    }
    state_scale(session, micrograph->image.pixel_size);
    if (micrograph->warning[0])
        ps_progress_note(&session->progress, "pickstream: %s: %s", found->path,
                         micrograph->warning);
    status =
        pick_micrograph(session, found, micrograph, (ps_progress_clock() - start) * 1e3, error);
    ps_micrograph_free(micrograph);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static void summarise(struct session *session, const struct ps_found_list *list)
{
    char left_out[PS_LEFT_OUT_TEXT];
    char accuracy[PS_ACCURACY_TEXT] = "";
    char before[48] = "";
    if (session->options->truth && session->picked)
        ps_accuracy_text(&session->total, accuracy);
    if (session->before)
        (void)snprintf(before, sizeof before, ", %zu done before", session->before);
    ps_progress_end(&session->progress);
    if (list->count > 1 || session->failed || session->before || list->left_out.count)
        ps_say("pickstream: %zu picked (%zu picks%s), %zu rejected, %zu failed%s, on %s%s",
               session->picked, session->picks, accuracy, session->rejected, session->failed,
               before, ps_picker_device(session->picker),
               ps_left_out_text(&list->left_out, left_out));
}

/* Says how to go on after a premature end, with `count` micrographs in this run. --truth cannot be
 * resumed. */
static void report_end(const struct session *session, size_t count, const char *why)
{
    ps_say("pickstream: %s: %zu of %zu picked%s", why,
           session->picked + session->rejected + session->before, count + session->before,
           session->options->truth ? "" : "; the same command with --resume continues");
}

/* Saves the list at intervals, because a run can be killed. */
static void save_list(struct session *session)
{
    struct ps_error error;
    bool failed = ps_autopick_save(session->output.list, &error) != 0;
    while (failed || ps_autopick_left_out(session->output.list, &error)) {
        failed = false;
        session->unlisted = true;
        ps_progress_note(&session->progress, "pickstream: %s", error.message);
    }
}

static int pick_one(void *context, size_t number, struct ps_error *error)
{
    struct session *session = context;
    return pick_file(session, &session->list->items[number], error);
}

/* A disk that is full stays full, so of writing only this. */
static bool is_shortage(void *context, size_t number, const struct ps_error *error)
{
    const struct session *session = context;
    if (session->writing)
        return error->code == PS_E_NOMEM || (error->code == PS_E_SYSTEM && ps_no_descriptors());
    return ps_is_shortage(error->code, error, session->list->items[number].path);
}

/* If it has failed, the files of an earlier run are not the result of this one. They are kept after
 * a failure of the device, which says nothing about the micrograph, and after a failure to write:
 * ps_pick_output_write() keeps the files that were made of this content, for a full disk must not
 * cost them. */
static void one_done(void *context, size_t number, const struct ps_error *error)
{
    struct session *session = context;
    const struct ps_found *found = &session->list->items[number];
    if (error) {
        session->failed++;
        if (!found->problem && !session->writing && error->code != PS_E_DEVICE)
            ps_pick_output_remove(&session->output, found->name, found->path);
        ps_progress_note(&session->progress, "pickstream: %s", error->message);
    } else {
        ps_pick_output_replace(&session->output, found, &session->list->left_out);
    }
    if (++session->done % SAVE_EVERY == 0)
        save_list(session);
    ps_progress_step(&session->progress);
}

static bool stopped(void *context)
{
    (void)context;
    return ps_interrupted();
}

static int pick_all(struct session *session, const struct ps_found_list *list)
{
    const struct ps_turns turns = {pick_one, is_shortage, one_done, stopped, session};
    struct ps_error error;
    session->list = list;
    ps_progress_begin(&session->progress, list->count);
    const enum ps_turns_end end = ps_turns_take(&turns, list->count, &error);
    save_list(session);
    if (end == PS_TURNS_SHORT)
        ps_progress_note(&session->progress, "pickstream: %s", error.message);
    summarise(session, list);
    if (end == PS_TURNS_SHORT)
        report_end(session, list->count, "ended, as the machine is short of something");
    if (end == PS_TURNS_STOPPED) {
        report_end(session, list->count, "interrupted");
        return PS_EXIT_INTERRUPTED;
    }
    return end == PS_TURNS_SHORT || session->failed || session->unlisted ? PS_EXIT_FAILURE
                                                                         : PS_EXIT_OK;
}

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
static int find(struct session *session, char *const *operands, size_t count,
                const struct ps_shard *shard, struct ps_found_list *ret_list)
{
    struct ps_error error;
    if (ps_find(session->config, operands, count, ret_list, &error) != 0) {
        ps_say("pickstream: %s", error.message);
        return PS_EXIT_FAILURE;
    }
    ps_left_out_print_named(&ret_list->left_out);
    if (ret_list->count == 0) { /* ps_find() has named the operands */
        if (session->options->list && session->options->verbose)
            ps_left_out_print_files(&ret_list->left_out);
        return PS_EXIT_FAILURE;
    }
    ps_found_list_shard(ret_list, *shard);
    size_t all = ret_list->count;
    struct resuming resuming = {.output = &session->output, .error = &error};
    if (session->options->resume)
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
    struct session session = {.config = config, .options = options};
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
    int result = find(&session, operands, count, &shard, &list);
    if (result == PS_EXIT_OK)
        result = options->list ? list_all(&list, options) : pick_all(&session, &list);
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
