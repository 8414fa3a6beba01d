/* pickstream relion: an External job of RELION. Picks the micrographs of a list into the directory
 * of the job, and leaves there what RELION's pipeline looks for:
 *
 *     autopick.star             the list of coordinate files, the job's output for RELION 4 and 5
 *     coords_suffix_autopick.star  the same for RELION 3
 *     RELION_OUTPUT_NODES.star  names the one of them that this project's version reads
 *     RELION_JOB_EXIT_SUCCESS, _FAILURE or _ABORTED
 *
 * RELION asks for an abort with RELION_JOB_ABORT_NOW. A job that is continued picks what is left.
 * The job succeeds if every micrograph had its turn and one was picked or rejected: a broken file
 * among many must not stop a pipeline.
 */
#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/cmd_pick.h"
#include "cli/interrupt.h"
#include "cli/print.h"
#include "picks/relion.h"
#include "picks/star.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct relion_options {
    const char *micrographs;
    const char *directory;
    const char *control;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_TEXT(0, "in_mics", "STAR", struct relion_options, micrographs,
                "the list of micrographs"),
    PS_CLI_TEXT(0, "o", "DIR", struct relion_options, directory, "the directory of the job"),
    PS_CLI_KEY(0, "j", "N", "compute.threads", "CPU threads, 0: all"),
    PS_CLI_TEXT(0, "pipeline_control", "DIR", struct relion_options, control,
                "directory of RELION's markers (default: that of --o)"),
    PS_CLI_KEY(0, "min-score", "P", "picker.min_score", "drop picks with a lower score"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "relion",
    .picks = true,
    .operands = "",
    .summary =
        "An External job of RELION: give `pickstream relion` as its executable, a micrographs\n"
        "STAR file as its input, and options below, without their dashes, as parameters:\n"
        "diameter 180. Its output is for Extract. A continued job picks what is left.",
    .options = options_table,
};

enum marker { MARKER_SUCCESS, MARKER_FAILURE, MARKER_ABORTED, MARKER_COUNT };
static const char *const marker_names[MARKER_COUNT] = {
    "RELION_JOB_EXIT_SUCCESS", "RELION_JOB_EXIT_FAILURE", "RELION_JOB_EXIT_ABORTED"};
static const char abort_name[] = "RELION_JOB_ABORT_NOW";

/* ---- files of the job -------------------------------------------------------------------------
 */

/* directory/name, to be freed; NULL without memory. */
static char *path_in(const char *directory, const char *name)
{
    char *path = NULL;
    const char *slash = *directory && directory[strlen(directory) - 1] == '/' ? "" : "/";
    return asprintf(&path, "%s%s%s", directory, slash, name) < 0 ? NULL : path;
}

static void remove_in(const char *directory, const char *name)
{
    char *path = path_in(directory, name);
    if (path)
        (void)unlink(path);
    free(path);
}

static void unmark(const char *directory)
{
    for (int marker = 0; marker < MARKER_COUNT; marker++)
        remove_in(directory, marker_names[marker]);
}

/* RELION waits until there is a marker, so a failure to make it is reported. */
static void mark(const char *directory, enum marker marker)
{
    unmark(directory);
    char *path = path_in(directory, marker_names[marker]);
    const int file = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666) : -1;
    if (file < 0)
        ps_say("pickstream relion: %s/%s: %s", directory, marker_names[marker], strerror(errno));
    else
        (void)close(file);
    free(path);
}

/* True if the project is one of RELION 3, whose pipeline has numbers as types. */
static bool is_relion_3(const struct ps_relion *relion)
{
    char line[4096];
    bool numbers = false, labels = false;
    char *path = path_in(relion ? ps_relion_project(relion) : ".", "default_pipeline.star");
    FILE *stream = path ? fopen(path, "re") : NULL;
    while (stream && fgets(line, sizeof line, stream)) {
        labels |= strstr(line, "_rlnPipeLineProcessTypeLabel") != NULL;
        numbers |= strncmp(line, "_rlnPipeLineProcessType ", 24) == 0;
    }
    if (stream)
        (void)fclose(stream);
    free(path);
    return numbers && !labels;
}

struct node {
    const char *path; /* from the project */
    bool relion_3;
};

/* RELION 3 has 2 for coordinates of a picker. */
static int write_node(FILE *stream, const void *context, struct ps_error *error)
{
    const struct node *node = context;
    (void)fprintf(stream, "\ndata_output_nodes\n\nloop_\n_rlnPipeLineNodeName #1\n%s #2\n",
                  node->relion_3 ? "_rlnPipeLineNodeType" : "_rlnPipeLineNodeTypeLabel");
    int status = ps_star_write_word(stream, node->path, error);
    (void)fprintf(stream, " %s\n\n",
                  node->relion_3 ? "2" : "MicrographsCoords.star.relion.autopick");
    return status;
}

/* What RELION 3 reads: the list of micrographs, and the suffix in the name of the file. */
static int write_suffix(FILE *stream, const void *context, struct ps_error *error)
{
    (void)error;
    (void)fprintf(stream, "%s\n", (const char *)context);
    return 0;
}

static int write_in(const char *directory, const char *name,
                    int (*write)(FILE *, const void *, struct ps_error *), const void *context,
                    struct ps_error *error)
{
    char *path = path_in(directory, name);
    int status = path ? ps_file_write_atomically(path, write, context, error)
                      : ps_fail_memory(error, strlen(directory), "a path");
    free(path);
    return status;
}

static int write_output(const struct ps_config *config, const struct relion_options *options,
                        struct ps_error *error)
{
    struct ps_relion *relion = NULL;
    char *inner = NULL, *path = NULL;
    int status = ps_relion_find(config->output.relion_project, options->directory, &relion, error);
    if (status)
        return status;
    const bool relion_3 = is_relion_3(relion);
    const char *name = relion_3 ? "coords_suffix_autopick.star" : "autopick.star";
    status = write_in(options->directory, "coords_suffix_autopick.star", write_suffix,
                      options->micrographs, error);
    path = path_in(options->directory, name);
    if (status == 0)
        status = path ? ps_relion_path(relion, path, &inner, error)
                      : ps_fail_memory(error, strlen(options->directory), "a path");
    const struct node node = {inner ? inner : path, relion_3};
    if (status == 0)
        status = write_in(options->directory, "RELION_OUTPUT_NODES.star", write_node, &node, error);
    free(inner);
    free(path);
    ps_relion_free(relion);
    return status;
}

/* ---- the job ----------------------------------------------------------------------------------
 */

static int pick(const struct ps_config *config, const struct relion_options *options)
{
    const struct ps_pick_options how = {.resume = true};
    struct ps_pick_end end = {0};
    struct ps_error error;
    char *operands[] = {(char *)options->micrographs};
    int status = ps_pick_run(&cli, config, &how, operands, 1, &end);
    if (status != PS_EXIT_OK && (status != PS_EXIT_FAILURE || !end.complete || end.done == 0))
        return status;
    if (write_output(config, options, &error) == 0)
        return PS_EXIT_OK;
    ps_say("pickstream relion: %s", error.message);
    return PS_EXIT_FAILURE;
}

static int run(struct ps_config *config, int argc, char **argv, struct relion_options *options)
{
    int operands;
    struct ps_error error;
    int status = ps_cli_parse(&cli, argc, argv, options, config, &operands);
    if (status != PS_CLI_GO)
        return status;
    if (!options->micrographs || !options->directory)
        return ps_cli_usage(&cli, "--in_mics STAR and --o DIR expected");
    if (!options->control)
        options->control = options->directory;
    if (ps_config_set(config, "output.directory", options->directory, &error) != 0 ||
        ps_config_set(config, "output.formats", "star", &error) != 0)
        return ps_cli_refuse(&cli, &error);
    unmark(options->control);
    char *request = path_in(options->control, abort_name);
    ps_interrupt_watch(request);
    status = pick(config, options);
    ps_interrupt_watch(NULL);
    free(request);
    return status;
}

int ps_cmd_relion(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    struct relion_options options = {0};
    int status = config ? run(config, argc, argv, &options) : PS_EXIT_FAILURE;
    const bool help = status == PS_EXIT_OK && !options.control;
    for (int i = 1; i + 1 < argc && status == PS_EXIT_USAGE && !options.control; i++)
        options.control = strcmp(argv[i], "--o") == 0 ? argv[i + 1] : NULL;
    if (options.control && !help) {
        if (status == PS_EXIT_INTERRUPTED)
            remove_in(options.control, abort_name);
        mark(options.control, status == PS_EXIT_OK            ? MARKER_SUCCESS
                              : status == PS_EXIT_INTERRUPTED ? MARKER_ABORTED
                                                              : MARKER_FAILURE);
    }
    ps_config_free(config);
    return status;
}
