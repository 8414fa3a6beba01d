/* pickstream listen: the model subscriber. Prints every outcome, or writes it as files of picks;
 * what was missed is asked for, and what is lost is said. */
#include "base/config.h"
#include "base/error.h"
#include "base/log.h"
#include "cli.h"
#include "cmd.h"
#include "output/picks.h"
#include "output/picks_remove.h"
#include "stream/curve.h"
#include "stream/subscriber.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* With --since absent. */
static const uint64_t FROM_NOW = UINT64_MAX;
static const double MAX_SEQ = 9007199254740992; /* of --since: 2^53, exact in a double */

struct listen_options {
    uint64_t since;
    uint64_t count;
    double timeout; /* seconds */
    const char *output;
    const char *curve_key;
    const char *curve_server;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_KEY(0, "connect", "URL", "publish.endpoint", "where picks are published"),
    PS_CLI_KEY(0, "replay", "URL", "publish.replay_endpoint", "where to ask for missed ones"),
    PS_CLI_UINT(0, "since", "SEQ", struct listen_options, since, 0, MAX_SEQ,
                "begin after outcome SEQ, 0: with the first (default: from now on)"),
    PS_CLI_UINT('n', "count", "N", struct listen_options, count, 1, MAX_SEQ,
                "end after N outcomes"),
    PS_CLI_TEXT('o', "output", "DIR", struct listen_options, output,
                "write files of picks below DIR instead of printing"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files: star,csv,json"),
    PS_CLI_NUMBER(0, "timeout", "SECONDS", struct listen_options, timeout, 0.1, 86400,
                  "give up what is not repaired by then (default 30)"),
    PS_CLI_TEXT(0, "curve-key", "FILE", struct listen_options, curve_key,
                "our secret key, where the service asks for one"),
    PS_CLI_TEXT(0, "curve-server", "FILE", struct listen_options, curve_server,
                "public key of the service"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "listen",
    .operands = "",
    .summary =
        "Prints a line for each outcome that a service publishes, in order, each once: seq, name,\n"
        "status, number of picks, median score, and seconds from the close of the file to the\n"
        "publication; or writes the picks as files. What was missed is asked for. SIGINT and\n"
        "SIGTERM end it. Exit status: 0; 1 if an outcome was lost for good or could not be written.",
    .options = options_table,
};

struct listener {
    const struct ps_config *config;
    const struct listen_options *options;
    struct ps_subscriber *subscriber;
    uint64_t outcomes;
    uint64_t lost;
    uint64_t unwritten;
};

/* Makes text from the network one line that does nothing to a terminal. */
static const char *one_line(char *text)
{
    for (char *at = text; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = '?';
    }
    return text;
}

/* ---- one outcome ----------------------------------------------------------------------------- */

/* Null fields are "-", so that every line has the same number of words. */
static void print_outcome(const struct ps_heard *heard)
{
    char name[PS_LOG_TEXT], median[32] = "-", latency[32] = "-";
    if (heard->result.count > 0)
        (void)snprintf(median, sizeof median, "%.3f", heard->result.score_median);
    if (!isnan(heard->latency))
        (void)snprintf(latency, sizeof latency, "%.3f", heard->latency);
    (void)printf("%" PRIu64 " %s %s %zu %s %s\n", heard->seq, ps_log_quote(heard->name, name),
                 ps_heard_status_name(heard->status), heard->result.count, median, latency);
    (void)fflush(stdout); /* a line a time, into a pipe too */
}

static int write_outcome(const struct listener *listener, const struct ps_heard *heard,
                         struct ps_error *error)
{
    if (!ps_name_is_safe(heard->name))
        return ps_fail(error, PS_E_INPUT, "its name leads out of the directory: not written");
    const struct ps_pick_file file = {
        .path = heard->path,
        .name = heard->name,
        .width = heard->micrograph.image.width,
        .height = heard->micrograph.image.height,
        .micrograph = &heard->micrograph,
        .pixel_size_source = *heard->pixel_size_source ? heard->pixel_size_source : NULL,
        .profile = *heard->profile ? heard->profile : NULL,
        .read_milliseconds = heard->read_milliseconds,
        .result = &heard->result,
    };
    const struct ps_list *formats = &listener->config->output.formats;
    int status = 0;
    for (size_t i = 0; i < formats->count && status == 0; i++) {
        const struct ps_picks_format *format = ps_picks_format_find(formats->items[i]);
        char *path = ps_picks_path(listener->options->output, heard->name, format->suffix);
        status = path ? ps_picks_write(path, format, &file, error)
                      : ps_fail_memory(error, strlen(heard->name), "a path");
        free(path);
    }
    return status;
}

/* A failed micrograph has no picks to write: it is named, as `pick` does, and those of an earlier
 * revision go. */
static int take_failure(const struct listener *listener, struct ps_heard *heard,
                        struct ps_error *error)
{
    char name[PS_LOG_TEXT];
    (void)fprintf(stderr, "pickstream listen: seq %" PRIu64 ": %s: failed: %s\n", heard->seq,
                  ps_log_quote(heard->name, name), one_line(heard->reason));
    if (heard->revision == 1 || !ps_name_is_safe(heard->name))
        return 0;
    return ps_picks_remove_all(listener->options->output, &listener->config->output.formats,
                               heard->name, error);
}

static void take_outcome(struct listener *listener, struct ps_heard *heard)
{
    char name[PS_LOG_TEXT];
    struct ps_error error;
    listener->outcomes++;
    if (!listener->options->output) {
        print_outcome(heard);
    } else if (heard->status == PS_HEARD_FAILED ? take_failure(listener, heard, &error)
                                                : write_outcome(listener, heard, &error)) {
        listener->unwritten++;
        (void)fprintf(stderr, "pickstream listen: seq %" PRIu64 ": %s: %s\n", heard->seq,
                      ps_log_quote(heard->name, name), one_line(error.message));
    }
}

/* ---- news ------------------------------------------------------------------------------------ */

static void print_range(const char *what, const struct ps_news *news)
{
    (void)fprintf(stderr, "pickstream listen: %s seq %" PRIu64, what, news->first);
    if (news->last > news->first)
        (void)fprintf(stderr, " to %" PRIu64, news->last);
    (void)fprintf(stderr, "%s%s\n", *news->text ? ": " : "", news->text);
}

static void take_news(struct listener *listener, struct ps_news *news)
{
    switch (news->kind) {
    case PS_NEWS_OUTCOME:
        take_outcome(listener, news->heard);
        ps_heard_free(news->heard);
        break;
    case PS_NEWS_GAP:
        print_range("asking again for", news);
        break;
    case PS_NEWS_LOST:
        listener->lost += news->last - news->first + 1;
        print_range("lost", news);
        break;
    case PS_NEWS_STREAM:
        (void)fprintf(stderr, "pickstream listen: another stream begins, at seq %" PRIu64 "\n",
                      news->first);
        break;
    case PS_NEWS_SHORT:
        (void)fprintf(stderr,
                      "pickstream listen: the stream ends at seq %" PRIu64
                      ", before that of --since: it is another one; beginning with its first\n",
                      news->last);
        break;
    case PS_NEWS_NOTE:
        (void)fprintf(stderr, "pickstream listen: %s\n", one_line(news->text));
        break;
    case PS_NEWS_NONE:
        break;
    }
}

/* Standard output that nobody reads any more ends it: what comes would be lost unsaid. */
static bool goes_on(const struct listener *listener)
{
    return !ferror(stdout) &&
           (!listener->options->count || listener->outcomes < listener->options->count);
}

static int listen_to(struct listener *listener, int signals)
{
    struct ps_error error;
    while (goes_on(listener)) {
        struct ps_news news;
        if (ps_subscriber_next(listener->subscriber, signals, &news, &error) != 0) {
            (void)fprintf(stderr, "pickstream listen: %s\n", error.message);
            return PS_EXIT_FAILURE;
        }
        if (news.kind == PS_NEWS_NONE)
            break;
        take_news(listener, &news);
    }
    uint64_t unreadable = ps_subscriber_unreadable(listener->subscriber);
    (void)fprintf(stderr,
                  "pickstream listen: %" PRIu64 " outcomes, %" PRIu64 " lost, %" PRIu64
                  " messages unreadable, last seq %" PRIu64 "\n",
                  listener->outcomes, listener->lost, unreadable,
                  ps_subscriber_last(listener->subscriber));
    return listener->lost || listener->unwritten ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

/* ---- setting up ------------------------------------------------------------------------------ */

/* A descriptor that SIGINT and SIGTERM make readable. They are blocked from here on, before ZeroMQ
 * makes its threads. -1 on failure. */
static int catch_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of stdout */
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int64_t nanoseconds(double seconds)
{
    return (int64_t)(seconds * 1e9);
}

static int run(const struct ps_config *config, const struct listen_options *options)
{
    char secret[PS_CURVE_TEXT], server[PS_CURVE_TEXT];
    struct ps_error error;
    if (!options->curve_key != !options->curve_server)
        return ps_cli_usage(&cli, "--curve-key and --curve-server belong together");
    if (options->curve_key && (ps_curve_read_key(options->curve_key, secret, &error) != 0 ||
                               ps_curve_read_key(options->curve_server, server, &error) != 0))
        return ps_cli_usage(&cli, "%s", error.message);
    bool replay = options->since != FROM_NOW;
    const struct ps_subscriber_options subscriber_options = {
        .endpoint = config->publish.endpoint,
        .replay_endpoint = config->publish.replay_endpoint,
        .order = {.replay = replay,
                  .since = replay ? options->since : 0,
                  .heartbeat_ns = nanoseconds(config->publish.heartbeat_seconds),
                  .timeout_ns = nanoseconds(options->timeout)},
        .curve_secret = options->curve_key ? secret : NULL,
        .curve_server = options->curve_key ? server : NULL,
    };
    int signals = catch_signals();
    if (signals < 0) {
        (void)fprintf(stderr, "pickstream listen: cannot wait for signals: %s\n", strerror(errno));
        return PS_EXIT_FAILURE;
    }
    struct listener listener = {.config = config, .options = options};
    int status = ps_subscriber_new(&subscriber_options, &listener.subscriber, &error);
    if (status == PS_E_CONFIG)
        status = ps_cli_usage(&cli, "%s", error.message);
    else if (status != 0)
        status = (fprintf(stderr, "pickstream listen: %s\n", error.message), PS_EXIT_FAILURE);
    else
        status = listen_to(&listener, signals);
    ps_subscriber_free(listener.subscriber);
    explicit_bzero(secret, sizeof secret);
    (void)close(signals);
    return status;
}

int ps_cmd_listen(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream listen: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct listen_options options = {.since = FROM_NOW, .timeout = 30};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = run(config, &options);
    ps_config_free(config);
    return status;
}
