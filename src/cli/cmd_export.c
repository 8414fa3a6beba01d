/* pickstream export: writes the outcomes in the journal as files of picks. */
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "config/config.h"
#include "journal/journal.h"
#include "picks/autopick.h"
#include "picks/outcome_files.h"
#include "picks/picks.h"
#include "service/reread.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const double MAX_SEQ = 9007199254740992; /* of --since: 2^53, exact in a double */

struct export_options {
    const char *output;
    uint64_t since;
    double min_score;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_TEXT('o', "output", "DIR", struct export_options, output,
                "write files of picks below DIR"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files (default star)"),
    PS_CLI_SWITCH(0, "extract", "output.extract",
                  "extract particles too: reads the micrographs again"),
    PS_CLI_UINT(0, "since", "SEQ", struct export_options, since, 0, MAX_SEQ,
                "only outcomes after SEQ (default 0: all)"),
    PS_CLI_NUMBER(0, "min-score", "P", struct export_options, min_score, -1e9, 1e9,
                  "drop picks with a lower score"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "export",
    .operands = "",
    .summary =
        "Writes the picks of every micrograph in the journal of service.state_directory as files,\n"
        "as the service writes them, and autopick.star. Of several outcomes of a micrograph the\n"
        "last one is written. The journal is only read, so the service can run meanwhile. The\n"
        "options that the service was started with can be given again.",
    .options = options_table,
    .picks = true, /* so that one list of options serves watch and export */
};

struct exporter {
    const struct ps_config *config;
    struct ps_journal *journal;
    const struct export_options *options;
    struct ps_names *names;
    struct ps_autopick *list;
    uint64_t micrographs;
    uint64_t picks;
    uint64_t failed;    /* failed micrographs, which have no picks */
    uint64_t unwritten; /* micrographs with an unwritable file or an unreadable message */
};

static int export_outcome(struct exporter *exporter, struct ps_outcome_record *record,
                          struct ps_error *error)
{
    const struct ps_outcome_target target = {
        .config = exporter->config,
        .root = exporter->options->output,
        .names = exporter->names,
        .relion = ps_autopick_relion(exporter->list),
        .list = exporter->list,
    };
    struct ps_error reading;
    PS_TRY(ps_picks_filter(&record->result, exporter->options->min_score, error));
    const int read = ps_reread_is_needed(exporter->config, record)
                         ? ps_reread(exporter->journal, exporter->config, record, &reading)
                         : 0;
    int status = ps_outcome_files_make(&target, record, error);
    if (read && (status == 0 || status == PS_E_INPUT)) { /* picks are written, particles are not */
        status = 0;
        *error = reading;
    }
    if (status)
        return status;
    exporter->micrographs += record->status != PS_OUTCOME_FAILED;
    exporter->picks += record->result.count;
    return read;
}

/* True if a later outcome of the micrograph follows. */
static bool is_superseded(const struct exporter *exporter, const struct ps_outcome_record *record)
{
    uint64_t latest = 0;
    return ps_journal_latest(exporter->journal, record->path, &latest, NULL) == 0 &&
           latest > record->seq;
}

static int take(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct exporter *exporter = context;
    struct ps_outcome_record *record = NULL;
    struct ps_error error;
    int status = ps_outcome_record_read(frames, &record, &error);
    if (status == 0 && !is_superseded(exporter, record)) {
        exporter->failed += record->status == PS_OUTCOME_FAILED;
        status = export_outcome(exporter, record, &error);
    }
    if (status) {
        exporter->unwritten++;
        ps_say("pickstream export: seq %" PRIu64 ": %s", seq, error.message);
    }
    ps_outcome_record_free(record);
    return status == PS_E_NOMEM;
}

static int run(const struct ps_config *config, const struct export_options *options)
{
    struct exporter exporter = {.config = config, .options = options};
    struct ps_error error;
    if (!options->output)
        return ps_cli_usage(&cli, "no directory to write to: give -o DIR");
    int status =
        ps_journal_open_reading(config->service.state_directory, &exporter.journal, &error);
    if (status == 0)
        status = ps_names_new(PS_NAMES_REMOTE, &exporter.names, &error);
    if (status == 0)
        status =
            ps_autopick_new(options->output, config->output.relion_project, &exporter.list, &error);
    if (status == 0)
        status =
            ps_journal_replay(exporter.journal, options->since, SIZE_MAX, take, &exporter, &error);
    if (status == 0)
        status = ps_autopick_save(exporter.list, &error);
    if (status)
        ps_say("pickstream export: %s", error.message);
    while (exporter.list && ps_autopick_left_out(exporter.list, &error)) {
        exporter.unwritten++;
        ps_say("pickstream export: %s", error.message);
    }
    ps_autopick_free(exporter.list);
    ps_names_free(exporter.names);
    ps_journal_close(exporter.journal);
    (void)fprintf(stderr,
                  "pickstream export: %" PRIu64 " micrographs, %" PRIu64 " picks, %" PRIu64
                  " failed ones left out\n",
                  exporter.micrographs, exporter.picks, exporter.failed);
    return status || exporter.unwritten ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

int ps_cmd_export(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream export: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct export_options options = {.min_score = -INFINITY};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = run(config, &options);
    ps_config_free(config);
    return status;
}
