/* pickstream status: prints the state of a running service. */
#include "base/error.h"
#include "base/warning.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "config/config.h"
#include "journal/journal.h"
#include "layout/layout.h"
#include "subscribe/control.h"
#include "wire/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_NOT_RUNNING = 3 };

struct status_options {
    bool json;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_FLAG(0, "json", struct status_options, json, "print the status message as JSON"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "status",
    .operands = "",
    .summary =
        "Prints the status of the service of service.state_directory. Exit status: 0 it runs,\n"
        "3 it does not run, 1 it does not answer.",
    .options = options_table,
};

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value ? value : "-";
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

/* "           left out: 3 power spectra", with the words of the keys in the message. */
static void print_left_out(const json_t *left_out)
{
    struct ps_rule_counts counts = {0};
    char line[512];
    for (int rule = 0; rule < PS_RULE_COUNT; rule++)
        counts.of[rule] = (size_t)number(left_out, ps_rule_key(rule));
    if (ps_rule_counts_text(&counts, line, sizeof line))
        ps_print(stdout, "           left out: %s", line);
}

static void print_watches(const json_t *watches)
{
    size_t i;
    const json_t *watch;
    json_array_foreach(watches, i, watch)
    {
        const char *reason = json_string_value(json_object_get(watch, "reason"));
        ps_print(stdout, "watching   %s: %s%s%s%s, %lld directories, %lld files not complete yet",
                 text(watch, "path"), text(watch, "mode"), reason ? " (" : "", reason ? reason : "",
                 reason ? ")" : "", number(watch, "directories"), number(watch, "candidates"));
        print_left_out(json_object_get(watch, "left_out"));
    }
}

static void print_devices(const json_t *devices)
{
    size_t i;
    const json_t *device;
    json_array_foreach(devices, i, device)
    {
        const char *micrograph = json_string_value(json_object_get(device, "micrograph"));
        ps_print(stdout, "device     %s: %s", text(device, "device"),
                 micrograph ? micrograph : "idle");
    }
}

/* Only files with a close event count: a scan does not know when a file was closed. */
static void print_latency(const json_t *latency)
{
    if (number(latency, "count") == 0)
        ps_print(stdout, "latency    none measured yet");
    else
        ps_print(stdout, "latency    close to published: median %.3f s, 99 %% %.3f s",
                 json_number_value(json_object_get(latency, "p50")),
                 json_number_value(json_object_get(latency, "p99")));
}

/* Only while there are some. */
static void print_output(const json_t *output)
{
    const char *reason = json_string_value(json_object_get(output, "reason"));
    if (number(output, "files_missing"))
        ps_print(stdout, "output     files of picks missing: %lld%s%s",
                 number(output, "files_missing"), reason ? ": " : "", reason ? reason : "");
}

/* Only while there are some. */
static void print_postponed(const json_t *queue)
{
    if (number(queue, "postponed"))
        ps_print(stdout, "postponed  %lld, tried again later: %s", number(queue, "postponed"),
                 text(queue, "postponed_reason"));
}

/* Only of sockets that accept no more. */
static void print_connections(json_t *sockets)
{
    const char *name;
    json_t *socket;
    json_object_foreach(sockets, name, socket)
    {
        if (number(socket, "open") >= number(socket, "limit"))
            ps_print(stdout, "%-10s no more connections are accepted: %lld are open", name,
                     number(socket, "open"));
    }
}

/* Only if there are some. */
static void print_again(const json_t *totals)
{
    const long long left = number(totals, "repicks_left");
    if (left || number(totals, "retries") || number(totals, "revisions"))
        ps_print(stdout, "again      %lld retries, %lld revisions, %lld to be picked again",
                 number(totals, "retries"), number(totals, "revisions"), left);
}

/* Of the outcomes since the start of the service; only if there are some. */
static void print_warnings(const json_t *metrics)
{
    for (int kind = PS_WARNING_NONE + 1; kind < PS_WARNING_COUNT; kind++) {
        char key[64];
        (void)snprintf(key, sizeof key, "warned_%s", ps_warning_code((enum ps_warning)kind));
        if (number(metrics, key))
            ps_print(stdout, "warning    %lld %s: %s", number(metrics, key),
                     ps_warning_code((enum ps_warning)kind),
                     ps_warning_advice((enum ps_warning)kind));
    }
}

static void print_error(const json_t *error)
{
    if (json_is_object(error))
        ps_print(stdout, "last error %s %s", text(error, "time"), text(error, "text"));
}

static void print_text(int holder, const json_t *status)
{
    const json_t *totals = json_object_get(status, "totals");
    const json_t *queue = json_object_get(status, "queue");
    ps_print(stdout, "running    process %d, version %s, for %.0f s", holder,
             text(status, "version"), json_number_value(json_object_get(status, "uptime_seconds")));
    ps_print(stdout, "stream     %s, last seq %lld", text(status, "stream"),
             number(status, "last_seq"));
    print_watches(json_object_get(status, "watch"));
    ps_print(stdout, "queue      %lld waiting, %lld in flight", number(queue, "waiting"),
             number(queue, "in_flight"));
    print_postponed(queue);
    print_connections(json_object_get(status, "connections"));
    print_devices(json_object_get(status, "devices"));
    ps_print(stdout, "outcomes   %lld picked (%lld picks), %lld rejected, %lld failed",
             number(totals, "picked"), number(totals, "picks"), number(totals, "rejected"),
             number(totals, "failed"));
    print_again(totals);
    print_warnings(json_object_get(status, "metrics"));
    if (number(totals, "skipped"))
        ps_print(stdout, "skipped    %lld other versions of an exposure",
                 number(totals, "skipped"));
    print_output(json_object_get(status, "output"));
    ps_print(stdout, "rate       %.0f micrographs/h",
             json_number_value(
                 json_object_get(json_object_get(status, "rates"), "micrographs_per_hour")));
    print_latency(json_object_get(json_object_get(status, "metrics"), "latency_seconds"));
    ps_print(stdout, "journal    %s", text(status, "journal"));
    if (json_is_string(json_object_get(status, "live_view")))
        ps_print(stdout, "live view  %s", text(status, "live_view"));
    print_error(json_object_get(status, "last_error"));
}

static int show(const struct ps_config *config, const struct status_options *options)
{
    const char *directory = config->service.state_directory;
    int holder = ps_journal_holder(directory);
    if (!holder) {
        ps_print(options->json ? stderr : stdout, "not running (%s)", directory);
        return EXIT_NOT_RUNNING;
    }
    struct ps_error error;
    json_t *status = NULL;
    bool failed = false;
    if (ps_control_ask(directory, json_pack("{s:s}", "request", "status"), &status, &error)) {
        ps_say("pickstream status: process %d: %s", holder, error.message);
        return PS_EXIT_FAILURE;
    }
    if (options->json) {
        char *text = ps_json_dump(status, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        if (text)
            (void)puts(text);
        else
            ps_say("pickstream status: no memory");
        failed = !text;
        free(text);
    } else {
        print_text(holder, status);
    }
    json_decref(status);
    return failed ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

int ps_cmd_status(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream status: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct status_options options = {0};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = show(config, &options);
    ps_config_free(config);
    return status;
}
