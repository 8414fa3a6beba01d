/* pickstream listen: the reference subscriber. Prints every outcome, or writes it as files of
 * picks. Requests missed outcomes, and reports lost ones.
 *
 * With several services or behind a relay, each line begins with the stream, and files are in a
 * directory of that name, because two microscopes can use the same name for a micrograph.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/addresses.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/listen_output.h"
#include "cli/print.h"
#include "config/config.h"
#include "subscribe/subscriber.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    SAVE_SECONDS = 5, /* max. delay from a new STAR file to saving the list */
    MAX_EVENT_LINES = 100,
    EVENT_SECONDS = 10, /* lines on stderr about gaps, losses and streams in this time */
};

/* The value without --since. */
static const uint64_t FROM_NOW = UINT64_MAX;
static const double MAX_SEQ = 9007199254740992; /* of --since: 2^53, exact in a double */

struct listen_options {
    uint64_t since;
    uint64_t count;
    double timeout; /* seconds */
    const char *output;
    struct ps_address_options services;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_TEXTS(0, "connect", "URL", struct listen_options, services.connect,
                 "endpoint with the picks of a service; repeat it for several services"),
    PS_CLI_TEXTS(0, "replay", "URL", struct listen_options, services.replay,
                 "endpoint to request missed ones; one for each --connect, in that order"),
    PS_CLI_UINT(0, "since", "SEQ", struct listen_options, since, 0, MAX_SEQ,
                "start after outcome SEQ, 0: with the first (default: from now on)"),
    PS_CLI_UINT('n', "count", "N", struct listen_options, count, 1, MAX_SEQ,
                "end after N outcomes"),
    PS_CLI_TEXT('o', "output", "DIR", struct listen_options, output,
                "write files of picks below DIR instead of printing"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files (default star)"),
    PS_CLI_NUMBER(0, "timeout", "SECONDS", struct listen_options, timeout, 0.1, 86400,
                  "give up outcomes still missing after this time (default 30)"),
    PS_CLI_TEXT(0, "curve-key", "FILE", struct listen_options, services.curve_key,
                "secret key of this client, if the service needs one"),
    PS_CLI_TEXTS(0, "curve-server", "FILE", struct listen_options, services.curve_server,
                 "public key of the service; one for all, or one for each"),
    PS_CLI_END,
};

static const struct ps_cli_rule rules[] = {{"format", "output"}, {NULL, NULL}};

static const struct ps_cli cli = {
    .command = "listen",
    .rules = rules,
    .operands = "",
    .summary =
        "Prints a line for each outcome that a service publishes, in order, each once: seq, name,\n"
        "status, number of picks, median score, seconds from the close of the file to the\n"
        "publication, the reason of a failure or rejection, and warnings. Or writes the picks as\n"
        "files.\n"
        "Missed outcomes are requested. With several services, or a relay, a line begins with the\n"
        "stream. If nothing is heard, stderr says why. SIGINT and SIGTERM end it.\n"
        "Exit status: 0; 1 if an outcome was lost or could not be written.",
    .options = options_table,
};

struct listener {
    const struct ps_config *config;
    const struct listen_options *options;
    struct ps_subscriber *subscriber;
    struct ps_listen_output *output; /* NULL without --output */
    int signals;                     /* descriptors: of SIGINT and SIGTERM, */
    int timer;                       /* for the next save of the list, */
    int wake;                        /* and an epoll set of both */
    bool armed;
    uint64_t outcomes;
    uint64_t lost;
    uint64_t unwritten;
    uint64_t event_lines; /* since events_end_ns - EVENT_SECONDS */
    int64_t events_end_ns;
};

/* ---- one outcome ----------------------------------------------------------------------------- */

/* Missing values are "-". The reason of a failure or rejection is the last word; other lines have
 * none. */
static void print_outcome(const struct listener *listener, const struct ps_outcome_record *record)
{
    char name[PS_LOG_TEXT], reason[PS_LOG_TEXT], median[32] = "-", latency[32] = "-";
    if (record->result.count > 0)
        (void)snprintf(median, sizeof median, "%.3f", record->result.score_median);
    if (!isnan(record->latency))
        (void)snprintf(latency, sizeof latency, "%.3f", record->latency);
    if (ps_subscriber_many(listener->subscriber))
        (void)printf("%s ", record->stream);
    (void)printf("%" PRIu64 " %s %s %zu %s %s", record->seq, ps_log_quote(record->name, name),
                 ps_outcome_record_status_name(record->status), record->result.count, median,
                 latency);
    if (*record->reason)
        (void)printf(" %s", ps_log_quote(record->reason, reason));
    if (*record->problems)
        (void)printf(" %s", ps_log_quote(record->problems, reason));
    (void)putchar('\n');
    (void)fflush(stdout); /* line by line, also into a pipe */
}

/* Schedules a save of the list, and another try at files. Each save writes the whole list, so
 * several outcomes share one. */
static void save_soon(struct listener *listener)
{
    const struct itimerspec once = {.it_value = {.tv_sec = SAVE_SECONDS}};
    if (listener->armed || (!ps_autopick_unsaved(ps_listen_output_list(listener->output)) &&
                            ps_listen_output_waiting(listener->output) == 0))
        return;
    listener->armed = timerfd_settime(listener->timer, 0, &once, NULL) == 0;
}

static void print_written(const struct ps_outcome_record *record)
{
    char name[PS_LOG_TEXT];
    ps_say("pickstream listen: seq %" PRIu64 ": %s: its files are written now", record->seq,
           ps_log_quote(record->name, name));
}

/* Tries files again that could not be written, and saves the list. */
static void save(struct listener *listener)
{
    struct ps_error error;
    listener->armed = false;
    if (!listener->output)
        return;
    ps_listen_output_retry(listener->output, print_written);
    struct ps_autopick *list = ps_listen_output_list(listener->output);
    bool failed = ps_autopick_save(list, &error) != 0;
    while (failed || ps_autopick_left_out(list, &error)) {
        failed = false;
        listener->unwritten++;
        ps_say("pickstream listen: %s", error.message);
    }
}

/* The last try. */
static void save_at_end(struct listener *listener)
{
    save(listener);
    const size_t waiting = listener->output ? ps_listen_output_waiting(listener->output) : 0;
    listener->unwritten += waiting;
    if (waiting)
        ps_say("pickstream listen: files of %zu outcomes are not written", waiting);
}

/* Writes the files of an outcome. Reports a failed micrograph, as `pick` does. */
static void write_outcome(struct listener *listener, struct ps_outcome_record *record)
{
    char name[PS_LOG_TEXT];
    struct ps_error error;
    const uint64_t seq = record->seq;
    bool kept;
    (void)ps_log_quote(record->name, name);
    if (record->status == PS_OUTCOME_FAILED)
        ps_say("pickstream listen: seq %" PRIu64 ": %s: failed: %s", seq, name, record->reason);
    if (ps_listen_output_take(listener->output, record, ps_subscriber_many(listener->subscriber),
                              &kept, &error) == 0)
        return;
    listener->unwritten += !kept;
    ps_say("pickstream listen: seq %" PRIu64 ": %s: %s%s", seq, name, error.message,
           kept ? "; it is tried again" : "");
}

/* Takes the record. */
static void take_outcome(struct listener *listener, struct ps_outcome_record *record)
{
    listener->outcomes++;
    if (listener->output) {
        write_outcome(listener, record);
        save_soon(listener);
    } else {
        print_outcome(listener, record);
        ps_outcome_record_free(record);
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

static void print_left_out(struct listener *listener)
{
    if (listener->event_lines > MAX_EVENT_LINES)
        ps_say("pickstream listen: %" PRIu64 " lines left out",
               listener->event_lines - MAX_EVENT_LINES);
    listener->event_lines = 0;
}

/* Prints a line about an event on stderr, with the stream if there can be several. A service can
 * cause any number: lines over MAX_EVENT_LINES in EVENT_SECONDS are only counted. */
__attribute__((format(printf, 3, 4))) static void print_event(
    struct listener *listener, const struct ps_subscriber_event *event, const char *format, ...)
{
    const int64_t now = ps_clock_mono_ns();
    if (listener->event_lines == 0 || now >= listener->events_end_ns) {
        print_left_out(listener);
        listener->events_end_ns = now + EVENT_SECONDS * INT64_C(1000000000);
    }
    if (++listener->event_lines > MAX_EVENT_LINES)
        return;
    bool many = *event->stream && ps_subscriber_many(listener->subscriber);
    char text[sizeof event->text + 128];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ps_say("pickstream listen: %s%s%s", many ? event->stream : "", many ? ": " : "", text);
}

static void print_range(struct listener *listener, const char *what,
                        const struct ps_subscriber_event *event)
{
    char end[32] = "";
    if (event->last > event->first)
        (void)snprintf(end, sizeof end, " to %" PRIu64, event->last);
    print_event(listener, event, "%s seq %" PRIu64 "%s%s%s", what, event->first, end,
                *event->text ? ": " : "", event->text);
}

static void take_event(struct listener *listener, struct ps_subscriber_event *event)
{
    switch (event->kind) {
    case PS_EVENT_OUTCOME:
        take_outcome(listener, event->record);
        break;
    case PS_EVENT_GAP:
        print_range(listener, "asking again for", event);
        break;
    case PS_EVENT_LOST:
        listener->lost += event->last - event->first + 1;
        print_range(listener, "lost", event);
        break;
    case PS_EVENT_STREAM:
        print_event(listener, event, "another stream begins, at seq %" PRIu64, event->first);
        break;
    case PS_EVENT_SHORT:
        print_event(listener, event,
                    "the stream ends at seq %" PRIu64
                    ", before that of --since: it is another one; beginning with its first",
                    event->last);
        break;
    case PS_EVENT_NOTE:
        print_event(listener, event, "%s", event->text);
        break;
    case PS_EVENT_NONE:
        break;
    }
}

/* Saves the list if the timer has expired, and returns true then. */
static bool woken_by_timer(struct listener *listener)
{
    uint64_t expirations;
    if (read(listener->timer, &expirations, sizeof expirations) != (ssize_t)sizeof expirations)
        return false;
    save(listener);
    if (listener->output)
        save_soon(listener); /* for files that still cannot be written */
    return true;
}

/* Prints the last seq of each stream and the totals. */
static void summarise(struct listener *listener)
{
    print_left_out(listener);
    char stream[PS_STREAM_TEXT];
    uint64_t last = 0;
    bool many = ps_subscriber_many(listener->subscriber);
    for (size_t i = 0; ps_subscriber_stream(listener->subscriber, i, stream, &last) && many; i++)
        if (*stream)
            ps_say("pickstream listen: %s: last seq %" PRIu64, stream, last);
    (void)fprintf(stderr,
                  "pickstream listen: %" PRIu64 " outcomes, %" PRIu64 " lost, %" PRIu64
                  " messages unreadable",
                  listener->outcomes, listener->lost,
                  ps_subscriber_unreadable(listener->subscriber));
    if (!many)
        (void)fprintf(stderr, ", last seq %" PRIu64, last);
    (void)fputc('\n', stderr);
}

/* False after N outcomes, or an error on stdout: further outcomes would be lost silently. */
static bool wants_more(const struct listener *listener)
{
    return !ferror(stdout) &&
           (!listener->options->count || listener->outcomes < listener->options->count);
}

static int listen_to(struct listener *listener)
{
    struct ps_error error;
    while (wants_more(listener)) {
        struct ps_subscriber_event event;
        if (ps_subscriber_next(listener->subscriber, listener->wake, &event, &error) != 0) {
            ps_say("pickstream listen: %s", error.message);
            save_at_end(listener);
            return PS_EXIT_FAILURE;
        }
        if (event.kind != PS_EVENT_NONE)
            take_event(listener, &event);
        else if (!woken_by_timer(listener))
            break;
    }
    save_at_end(listener);
    summarise(listener);
    return listener->lost || listener->unwritten ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

/* ---- setting up ------------------------------------------------------------------------------ */

/* Makes the descriptors and blocks the signals, before ZeroMQ starts its threads. */
static bool make_wakers(struct listener *listener)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of stdout */
    listener->signals = signalfd(-1, &set, SFD_CLOEXEC);
    listener->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    listener->wake = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event readable = {.events = EPOLLIN};
    return listener->signals >= 0 && listener->timer >= 0 && listener->wake >= 0 &&
           epoll_ctl(listener->wake, EPOLL_CTL_ADD, listener->signals, &readable) == 0 &&
           epoll_ctl(listener->wake, EPOLL_CTL_ADD, listener->timer, &readable) == 0;
}

static void close_wakers(const struct listener *listener)
{
    const int all[] = {listener->wake, listener->timer, listener->signals};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] >= 0)
            (void)close(all[i]);
    }
}

static int64_t nanoseconds(double seconds)
{
    return (int64_t)(seconds * 1e9);
}

static int run(const struct ps_config *config, const struct listen_options *options)
{
    struct ps_addresses addresses;
    struct ps_error error;
    if (ps_addresses_read(&options->services, config->publish.endpoint,
                          config->publish.replay_endpoint, &addresses, &error) != 0)
        return ps_cli_refuse(&cli, &error);
    bool replay = options->since != FROM_NOW;
    const struct ps_subscriber_options subscriber_options = {
        .services = addresses.items,
        .service_count = addresses.count,
        .order = {.replay = replay,
                  .since = replay ? options->since : 0,
                  .heartbeat_ns = nanoseconds(config->publish.heartbeat_seconds),
                  .timeout_ns = nanoseconds(options->timeout)},
        .curve_secret = addresses.secret,
    };
    struct listener listener = {
        .config = config, .options = options, .signals = -1, .timer = -1, .wake = -1};
    int status = make_wakers(&listener)
                     ? 0
                     : ps_fail(&error, PS_E_SYSTEM, "cannot wait for signals: %s", strerror(errno));
    if (status == 0 && options->output)
        status = ps_listen_output_new(config, options->output, &listener.output, &error);
    if (status == 0)
        status = ps_subscriber_new(&subscriber_options, &listener.subscriber, &error);
    if (status == PS_E_CONFIG)
        status = ps_cli_refuse(&cli, &error);
    else if (status != 0)
        status = (ps_say("pickstream listen: %s", error.message), PS_EXIT_FAILURE);
    else
        status = listen_to(&listener);
    ps_subscriber_free(listener.subscriber);
    ps_listen_output_free(listener.output);
    ps_addresses_done(&addresses);
    close_wakers(&listener);
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
    /* Messages have no pixels: the service extracts particles. */
    if (status == PS_CLI_GO && ps_config_set(config, "output.extract", "no", NULL) != 0)
        status = PS_EXIT_FAILURE;
    if (status == PS_CLI_GO)
        status = run(config, &options);
    ps_config_free(config);
    return status;
}
