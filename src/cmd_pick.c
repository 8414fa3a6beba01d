/* pickstream pick: picks the files it is given, one after the other, each with all cores. */
#include "accuracy.h"
#include "base/config.h"
#include "base/error.h"
#include "base/text.h"
#include "cli.h"
#include "cmd.h"
#include "find.h"
#include "image/micrograph.h"
#include "output/overlay.h"
#include "output/picks.h"
#include "output/picks_remove.h"
#include "picker/picker.h"
#include "pickstream.h"
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pick_options {
    bool overlay;
    const char *shard;
    const char *truth;
    double tolerance;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_KEY('o', "output", "DIR", "output.directory", "write files of picks below DIR"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files: star,csv,json"),
    PS_CLI_FLAG(0, "overlay", struct pick_options, overlay,
                "write a PNG of the micrograph with its picks too"),
    PS_CLI_TEXT(0, "shard", "I/N", struct pick_options, shard,
                "pick only every N-th micrograph, beginning with the I-th: for N machines"),
    PS_CLI_TEXT(0, "truth", "DIR", struct pick_options, truth,
                "compare with DIR/NAME_truth.star or .txt, print precision and recall"),
    PS_CLI_NUMBER(0, "tolerance", "PX", struct pick_options, tolerance, 0.0, 1e6,
                  "a pick is right within PX of a true centre (default: half the diameter)"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "pick",
    .operands = "FILE|DIR|GLOB...",
    .summary =
        "Picks particles in each micrograph and writes its picks to DIR, under the path of the\n"
        "micrograph below the directory that holds everything given: x.mrc becomes\n"
        "DIR/x_autopick.star. A micrograph that cannot be picked is named on stderr, the others\n"
        "are picked all the same, and the exit status is then 1.",
    .options = options_table,
};

static const char OVERLAY_SUFFIX[] = "_overlay.png";

/* One run of the command. */
struct session {
    const struct ps_config *config;
    const struct pick_options *options;
    struct ps_picker *picker;
    char *profile;
    struct ps_progress progress;
    struct ps_accuracy total; /* against the truth */
    size_t picked;
    size_t rejected;
    size_t failed;
    size_t picks;
};

/* ---- one micrograph ---------------------------------------------------------------------------
 */

static int write_outputs(const struct session *session, const struct ps_pick_file *file,
                         struct ps_error *error)
{
    int status = ps_picks_write_all(session->config, "", file, error);
    if (status == 0 && session->options->overlay) {
        char *path = ps_picks_path(session->config->output.directory, file->name, OVERLAY_SUFFIX);
        status = path ? ps_overlay_write(path, &file->micrograph->image, file->result, error)
                      : ps_fail_memory(error, strlen(file->name), "a path");
        free(path);
    }
    return status;
}

/* A micrograph failed: what an earlier run wrote of it is not what came of it now. A device that
 * failed says nothing of the micrograph, and ends the run. Returns the code of the failure. */
static int remove_outputs(struct session *session, const struct ps_found *found,
                          const struct ps_error *failure)
{
    const struct ps_config *config = session->config;
    const char *directory = config->output.directory;
    struct ps_error error;
    if (failure->code == PS_E_DEVICE)
        return failure->code;
    int status = ps_picks_remove_all(directory, &config->output.formats, found->name, &error);
    if (status == 0 && session->options->overlay)
        status = ps_picks_remove(directory, found->name, OVERLAY_SUFFIX, &error);
    if (status)
        ps_progress_note(&session->progress, "pickstream: %s", error.message);
    return failure->code;
}

static int compare(struct session *session, const char *name, const struct ps_result *result,
                   struct ps_accuracy *ret_accuracy, struct ps_error *error)
{
    struct ps_points truth;
    struct ps_points ignored;
    int status = ps_truth_read(session->options->truth, name, &truth, &ignored, error);
    if (status)
        return status;
    double tolerance =
        session->options->tolerance > 0 ? session->options->tolerance : result->diameter / 2;
    status = ps_accuracy_measure(result->picks, result->count, &truth, &ignored, tolerance,
                                 result->diameter / 2, ret_accuracy, error);
    ps_points_done(&truth);
    ps_points_done(&ignored);
    if (status == 0) {
        session->total.picks += ret_accuracy->picks;
        session->total.truth += ret_accuracy->truth;
        session->total.matched += ret_accuracy->matched;
    }
    return status;
}

static void format_accuracy(const struct ps_accuracy *accuracy, char *ret_text, size_t size)
{
    (void)snprintf(ret_text, size, ", precision %.3f, recall %.3f, F1 %.3f",
                   ps_accuracy_precision(accuracy), ps_accuracy_recall(accuracy),
                   ps_accuracy_f1(accuracy));
}

static int report(struct session *session, const struct ps_found *found,
                  const struct ps_result *result, struct ps_error *error)
{
    char accuracy[96] = "";
    if (session->options->truth && result->outcome == PS_PICKED) {
        struct ps_accuracy measured;
        int status = compare(session, found->name, result, &measured, error);
        if (status)
            return status;
        format_accuracy(&measured, accuracy, sizeof accuracy);
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

static int pick_micrograph(struct session *session, const struct ps_found *found,
                           const struct ps_micrograph *micrograph, double read_milliseconds,
                           struct ps_error *error)
{
    struct ps_result result = {0};
    int status = ps_picker_pick(session->picker, &micrograph->image, &result, error);
    if (status) {
        (void)ps_fail_prefix(error, "%s", found->path);
        return remove_outputs(session, found, error);
    }
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
    status = write_outputs(session, &file, error);
    if (status == 0)
        status = report(session, found, &result, error);
    else
        status = remove_outputs(session, found, error);
    ps_result_done(&result);
    return status;
}

static int pick_file(struct session *session, const struct ps_found *found, struct ps_error *error)
{
    if (found->problem)
        return ps_fail(error, PS_E_INPUT, "%s: %s", found->path, found->problem);
    struct ps_read_options options = {session->config->input.movies,
                                      session->config->compute.max_pixels};
    struct ps_micrograph *micrograph = NULL;
    double start = ps_progress_clock();
    int status = ps_micrograph_read(found->path, &options, &micrograph, error);
    if (status)
        return remove_outputs(session, found, error);
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

static void summarise(struct session *session, size_t count)
{
    char accuracy[96] = "";
    if (session->options->truth && session->picked)
        format_accuracy(&session->total, accuracy, sizeof accuracy);
    ps_progress_end(&session->progress);
    if (count > 1 || session->failed)
        (void)fprintf(stderr, "pickstream: %zu picked (%zu picks%s), %zu rejected, %zu failed\n",
                      session->picked, session->picks, accuracy, session->rejected,
                      session->failed);
}

static int pick_all(struct session *session, const struct ps_found_list *list)
{
    ps_progress_begin(&session->progress, list->count);
    for (size_t i = 0; i < list->count; i++) {
        struct ps_error error;
        int status = pick_file(session, &list->items[i], &error);
        if (status) {
            session->failed++;
            ps_progress_note(&session->progress, "pickstream: %s", error.message);
        }
        if (status == PS_E_DEVICE)
            break;
        ps_progress_step(&session->progress);
    }
    summarise(session, list->count);
    return session->failed ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

/* "I/N" with 1 <= I <= N. */
static bool parse_shard(const char *text, uint64_t *ret_shard, uint64_t *ret_of)
{
    const char *slash = strchr(text, '/');
    char first[PS_NUMBER_TEXT];
    if (!slash || (size_t)(slash - text) >= sizeof first)
        return false;
    (void)snprintf(first, sizeof first, "%.*s", (int)(slash - text), text);
    return ps_text_to_uint(slash + 1, 1, UINT32_MAX, ret_of) &&
           ps_text_to_uint(first, 1, *ret_of, ret_shard);
}

static int run(const struct ps_config *config, const struct pick_options *options,
               char *const *operands, size_t count)
{
    uint64_t shard = 1;
    uint64_t of = 1;
    if (options->shard && !parse_shard(options->shard, &shard, &of))
        return ps_cli_usage(&cli, "--shard %s: I/N expected, I from 1 to N", options->shard);
    if (count == 0)
        return ps_cli_usage(&cli, "no micrographs given");
    struct session session = {.config = config, .options = options};
    struct ps_found_list list = {0};
    struct ps_error error;
    int status = ps_picker_new(config, &session.picker, &error);
    if (status == PS_E_CONFIG)
        return ps_cli_usage(&cli, "%s", error.message);
    session.profile = ps_config_get(config, "picker.profile");
    if (status == 0)
        status = ps_find(config, operands, count, &list, &error);
    int result = PS_EXIT_FAILURE;
    if (status) {
        (void)fprintf(stderr, "pickstream: %s\n", error.message);
    } else if (list.count == 0) {
        (void)fputs("pickstream: no micrographs there (input.include, input.exclude)\n", stderr);
    } else {
        ps_found_list_shard(&list, shard, of);
        result = pick_all(&session, &list);
    }
    ps_found_list_done(&list);
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
