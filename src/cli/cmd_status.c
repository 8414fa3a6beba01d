/* pickstream status: prints the state of a running service. */
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
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
        (void)printf("           left out: %s\n", line);
}

static void print_watches(const json_t *watches)
{
    size_t i;
    const json_t *watch;
    json_array_foreach(watches, i, watch)
    {
        const char *reason = json_string_value(json_object_get(watch, "reason"));
        (void)printf("watching   %s: %s%s%s%s, %lld directories, %lld files not complete yet\n",
                     text(watch, "path"), text(watch, "mode"), reason ? " (" : "",
                     reason ? reason : "", reason ? ")" : "", number(watch, "directories"),
                     number(watch, "candidates"));
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
        (void)printf("device     %s: %s\n", text(device, "device"),
                     micrograph ? micrograph : "idle");
    }
}

/* Only files with a close event count: a scan does not know when a file was closed. */
static void print_latency(const json_t *latency)
{
    if (number(latency, "count") == 0)
        (void)printf("latency    none measured yet\n");
    else
        (void)printf("latency    close to published: median %.3f s, 99 %% %.3f s\n",
                     json_number_value(json_object_get(latency, "p50")),
                     json_number_value(json_object_get(latency, "p99")));
}

/* Only while there are some. */
static void print_output(const json_t *output)
{
    const char *reason = json_string_value(json_object_get(output, "reason"));
    if (number(output, "files_missing"))
        (void)printf("output     files of picks missing: %lld%s%s\n",
                     number(output, "files_missing"), reason ? ": " : "", reason ? reason : "");
}

static void print_error(const json_t *error)
{
    if (json_is_object(error))
        (void)printf("last error %s %s\n", text(error, "time"), text(error, "text"));
}

static void print_text(int holder, const json_t *status)
{
    const json_t *totals = json_object_get(status, "totals");
    const json_t *queue = json_object_get(status, "queue");
    (void)printf("running    process %d, version %s, for %.0f s\n", holder, text(status, "version"),
                 json_number_value(json_object_get(status, "uptime_seconds")));
    (void)printf("stream     %s, last seq %lld\n", text(status, "stream"),
                 number(status, "last_seq"));
    print_watches(json_object_get(status, "watch"));
    (void)printf("queue      %lld waiting, %lld in flight\n", number(queue, "waiting"),
                 number(queue, "in_flight"));
    print_devices(json_object_get(status, "devices"));
    (void)printf("outcomes   %lld picked (%lld picks), %lld rejected, %lld failed\n",
                 number(totals, "picked"), number(totals, "picks"), number(totals, "rejected"),
                 number(totals, "failed"));
    if (number(totals, "skipped"))
        (void)printf("skipped    %lld other versions of an exposure\n", number(totals, "skipped"));
    print_output(json_object_get(status, "output"));
    (void)printf("rate       %.0f micrographs/h\n",
                 json_number_value(
                     json_object_get(json_object_get(status, "rates"), "micrographs_per_hour")));
    print_latency(json_object_get(json_object_get(status, "metrics"), "latency_seconds"));
    (void)printf("journal    %s\n", text(status, "journal"));
    if (json_is_string(json_object_get(status, "live_view")))
        (void)printf("live view  %s\n", text(status, "live_view"));
    print_error(json_object_get(status, "last_error"));
}

static int show(const struct ps_config *config, const struct status_options *options)
{
    const char *directory = config->service.state_directory;
    int holder = ps_journal_holder(directory);
    if (!holder) {
        (void)fprintf(options->json ? stderr : stdout, "not running (%s)\n", directory);
        return EXIT_NOT_RUNNING;
    }
    struct ps_error error;
    json_t *status = NULL;
    bool failed = false;
    if (ps_control_ask(directory, json_pack("{s:s}", "request", "status"), &status, &error)) {
        (void)fprintf(stderr, "pickstream status: process %d: %s\n", holder, error.message);
        return PS_EXIT_FAILURE;
    }
    if (options->json) {
        char *text = ps_json_dump(status, JSON_INDENT(2));
        if (text)
            (void)puts(text);
        else
            (void)fputs("pickstream status: no memory\n", stderr);
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
