/* pickstream retry: puts failed micrographs back in the queue.
 *
 * A running service holds the journal's lock, so it gets a request. Without a running service, this
 * command changes the journal, and the service picks the micrographs when it starts. */
#include "base/error.h"
#include "base/percent.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "config/config.h"
#include "journal/journal.h"
#include "pickstream_wire.h"
#include "subscribe/control.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct ps_cli_option options_table[] = {PS_CLI_END};

static const struct ps_cli cli = {
    .command = "retry",
    .operands = "[PATH...]",
    .summary =
        "Picks failed micrographs again: those with the given paths or names (as `listen` prints\n"
        "them), or all. Each gets a new outcome. Prints their number; a PATH that has not failed\n"
        "does not count.",
    .options = options_table,
};

static int retry_in_service(const char *directory, char *const *paths, size_t count,
                            size_t *ret_count, struct ps_error *error)
{
    json_t *list = json_array();
    bool percent = false;
    for (size_t i = 0; i < count; i++)
        percent |= !ps_text_is_utf8(paths[i], strlen(paths[i]));
    for (size_t i = 0; i < count; i++) {
        char *encoded = percent ? ps_percent_encode(paths[i]) : strdup(paths[i]);
        int failed = encoded ? json_array_append_new(list, json_string(encoded)) : -1;
        free(encoded);
        if (failed) {
            json_decref(list);
            return ps_fail_memory(error, strlen(paths[i]), "a name");
        }
    }
    json_t *answer = NULL;
    /* Without "paths" the request means all failed micrographs; an empty list would mean none. */
    json_t *request =
        json_pack("{s:s, s:o*, s:s*}", "request", "retry", "paths", count ? list : NULL, "encoding",
                  percent ? PS_WIRE_ENCODING_PERCENT : NULL);
    if (count == 0)
        json_decref(list);
    int status = ps_control_ask(directory, request, &answer, error);
    if (status != 0)
        return status;
    const json_t *retried = json_object_get(answer, "count");
    if (json_is_integer(retried) && json_integer_value(retried) >= 0)
        *ret_count = (size_t)json_integer_value(retried);
    else
        status = ps_fail(error, PS_E_SYSTEM, "the service does not say how many");
    json_decref(answer);
    return status;
}

static int retry_in_journal(const char *directory, char *const *paths, size_t count,
                            size_t *ret_count, struct ps_error *error)
{
    struct ps_journal *journal = NULL;
    int status = ps_journal_open(directory, &journal, error);
    if (status != 0)
        return status;
    status = ps_journal_retry(journal, paths, count, ret_count, error);
    ps_journal_close(journal);
    return status;
}

static int run(const struct ps_config *config, char *const *paths, size_t count)
{
    const char *directory = config->service.state_directory;
    struct ps_error error;
    size_t retried = 0;
    bool running = ps_journal_holder(directory) != 0;
    int status = running ? retry_in_service(directory, paths, count, &retried, &error)
                         : retry_in_journal(directory, paths, count, &retried, &error);
    if (status != 0) {
        ps_say("pickstream retry: %s", error.message);
        return PS_EXIT_FAILURE;
    }
    (void)printf("%zu micrograph%s %s\n", retried, retried == 1 ? "" : "s",
                 running ? "to be picked again" : "to be picked again when the service starts");
    return PS_EXIT_OK;
}

int ps_cmd_retry(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream retry: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, NULL, config, &operands);
    if (status == PS_CLI_GO)
        status = run(config, argv + operands, (size_t)(argc - operands));
    ps_config_free(config);
    return status;
}
