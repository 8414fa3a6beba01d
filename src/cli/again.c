#include "cli/again.h"

#include "base/error.h"
#include "base/percent.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "pickstream_wire.h"
#include "subscribe/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Adds "paths" and, if one is not UTF-8, "encoding". False: no memory. */
static bool add_paths(const struct ps_again *again, json_t *request)
{
    bool percent = false;
    for (size_t i = 0; i < again->count; i++)
        percent |= !ps_text_is_utf8(again->paths[i], strlen(again->paths[i]));
    json_t *list = json_array();
    int failed = json_object_set_new(request, "paths", list);
    for (size_t i = 0; i < again->count && !failed; i++) {
        char *encoded = percent ? ps_percent_encode(again->paths[i]) : strdup(again->paths[i]);
        failed = encoded ? json_array_append_new(list, json_string(encoded)) : -1;
        free(encoded);
    }
    if (percent && !failed)
        failed = json_object_set_new(request, "encoding", json_string(PS_WIRE_ENCODING_PERCENT));
    return !failed;
}

static int ask_service(const struct ps_again *again, const char *directory, json_t *request,
                       size_t *ret_count, struct ps_error *error)
{
    json_t *answer = NULL;
    if (!request || (again->count > 0 && !add_paths(again, request))) {
        json_decref(request);
        return ps_fail_memory(error, 1024, "a request");
    }
    int status = ps_control_ask(directory, request, &answer, error);
    if (status != 0)
        return status;
    const json_t *count = json_object_get(answer, "count");
    if (json_is_integer(count) && json_integer_value(count) >= 0)
        *ret_count = (size_t)json_integer_value(count);
    else
        status = ps_fail(error, PS_E_SYSTEM, "the service does not say how many");
    json_decref(answer);
    return status;
}

static int change_journal(const struct ps_again *again, const char *directory, size_t *ret_count,
                          struct ps_error *error)
{
    struct ps_journal *journal = NULL;
    PS_TRY(ps_journal_open(directory, &journal, error));
    int status = again->change(again, journal, ret_count, error);
    ps_journal_close(journal);
    return status;
}

int ps_again_run(const struct ps_again *again, const struct ps_config *config, json_t *request)
{
    const char *directory = config->service.state_directory;
    struct ps_error error;
    size_t count = 0;
    int status;
    const bool running = ps_journal_holder(directory) != 0;
    if (running) {
        status = ask_service(again, directory, request, &count, &error);
    } else {
        json_decref(request);
        status = change_journal(again, directory, &count, &error);
    }
    if (status != 0) {
        ps_say("pickstream %s: %s", again->command, error.message);
        return PS_EXIT_FAILURE;
    }
    (void)printf("%zu micrograph%s %s\n", count, count == 1 ? "" : "s",
                 running ? "to be picked again" : "to be picked again when the service starts");
    return PS_EXIT_OK;
}
