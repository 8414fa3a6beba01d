#include "service/notifier.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/program.h"
#include "base/thread.h"
#include "service/notices.h"
#include "wire/header.h"
#include "wire/json.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;

enum {
    LOOK_MS = 1000,   /* between two looks at the status */
    STOP_SECONDS = 5, /* for a program that runs when the service stops */
    TEXT_BYTES = 2048,
};

/* The events of a kind that are not reported yet. */
struct pending {
    uint64_t count;
    char text[TEXT_BYTES];
    int64_t due_ns; /* not before this time */
};

struct ps_notifier {
    struct ps_notifier_dependencies dependencies;
    pthread_t thread;
    int stop_fd; /* eventfd */
    struct ps_notices notices;
    struct pending pending[PS_NOTICE_COUNT]; /* of the thread */
};

static const struct ps_list *command_of(const struct ps_notifier *notifier)
{
    return &notifier->dependencies.config->notify.command;
}

/* For ps_notices_look(). Further events are appended to the text as far as it holds them. */
static void report(void *context, enum ps_notice notice, uint64_t count, const char *text)
{
    struct ps_notifier *notifier = context;
    struct pending *pending = &notifier->pending[notice];
    const size_t length = pending->count ? strlen(pending->text) : 0;
    (void)snprintf(pending->text + length, sizeof pending->text - length, "%s%s",
                   length ? "; " : "", text);
    pending->count += count;
}

/* The text for the program; to be freed. NULL without memory. */
static char *message_of(const char *event, const struct pending *pending, json_t *status)
{
    json_t *message = json_pack(
        "{s:s, s:s, s:s, s:I, s:o, s:O, s:O, s:O, s:O}", "schema", "pickstream/1", "type", "notice",
        "event", event, "count", (json_int_t)pending->count, "text", ps_json_text(pending->text),
        "time", json_object_get(status, "time"), "stream", json_object_get(status, "stream"),
        "session", json_object_get(status, "session"), "status", status);
    char *text = message ? ps_json_dump(message, PS_JSON_FORMAT) : NULL;
    json_decref(message);
    return text;
}

static void run_program(const struct ps_notifier *notifier, enum ps_notice notice,
                        const struct pending *pending, json_t *status)
{
    const struct ps_config *config = notifier->dependencies.config;
    struct ps_log *log = notifier->dependencies.log;
    struct ps_error error;
    char quoted[PS_LOG_TEXT];
    const char *event = ps_notice_name(notice);
    char *text = message_of(event, pending, status);
    const struct ps_program program = {
        .words = command_of(notifier)->items,
        .word_count = command_of(notifier)->count,
        .input = text,
        .limit_ns = (int64_t)(config->notify.timeout_seconds * 1e9),
        .stop_fd = notifier->stop_fd,
        .stop_ns = STOP_SECONDS * second_ns,
    };
    const int code =
        text ? ps_program_run(&program, &error) : ps_fail_memory(&error, TEXT_BYTES, "a notice");
    free(text);
    if (code)
        ps_log_event(log, PS_LOG_WARNING, "notify_failed", "notice=%s reason=%s", event,
                     ps_log_quote(error.message, quoted));
    else
        ps_log_event(log, PS_LOG_INFO, "notified", "notice=%s count=%llu", event,
                     (unsigned long long)pending->count);
}

static bool stopping(const struct ps_notifier *notifier, int wait_ms)
{
    struct pollfd stop = {.fd = notifier->stop_fd, .events = POLLIN};
    return poll(&stop, 1, wait_ms) > 0;
}

/* Runs the program for what is due. */
static void send_due(struct ps_notifier *notifier, json_t *status)
{
    const double interval = notifier->dependencies.config->notify.interval_seconds;
    for (int notice = 0; notice < PS_NOTICE_COUNT && !stopping(notifier, 0); notice++) {
        struct pending *pending = &notifier->pending[notice];
        const int64_t now = ps_clock_mono_ns();
        if (pending->count == 0 || now < pending->due_ns)
            continue;
        run_program(notifier, (enum ps_notice)notice, pending, status);
        *pending = (struct pending){.due_ns = now + (int64_t)(interval * 1e9)};
    }
}

static void *run(void *context)
{
    struct ps_notifier *notifier = context;
    const int64_t idle_ns = (int64_t)(notifier->dependencies.config->notify.idle_seconds * 1e9);
    do {
        json_t *status = notifier->dependencies.status(notifier->dependencies.context);
        if (status) {
            ps_notices_look(&notifier->notices, status, ps_clock_mono_ns(), idle_ns, report,
                            notifier);
            send_due(notifier, status);
        }
        json_decref(status);
    } while (!stopping(notifier, LOOK_MS));
    return NULL;
}

int ps_notifier_start(const struct ps_notifier_dependencies *dependencies,
                      struct ps_notifier **ret_notifier, struct ps_error *error)
{
    *ret_notifier = NULL;
    if (dependencies->config->notify.command.count == 0)
        return 0;
    struct ps_notifier *notifier = calloc(1, sizeof *notifier);
    if (!notifier)
        return ps_fail_memory(error, sizeof *notifier, "the notifier");
    notifier->dependencies = *dependencies;
    notifier->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int status =
        notifier->stop_fd < 0
            ? ps_fail(error, PS_E_SYSTEM, "no descriptor for the notifier: %s", strerror(errno))
            : ps_thread_start(&notifier->thread, "ps-notifier", "the notifier", run, notifier,
                              error);
    if (status) {
        if (notifier->stop_fd >= 0)
            (void)close(notifier->stop_fd);
        free(notifier);
        return status;
    }
    *ret_notifier = notifier;
    return 0;
}

void ps_notifier_stop(struct ps_notifier *notifier, const char *device_failure)
{
    if (!notifier)
        return;
    (void)eventfd_write(notifier->stop_fd, 1);
    (void)pthread_join(notifier->thread, NULL);
    json_t *status = notifier->notices.before;
    if (device_failure && status) {
        struct pending pending = {.count = 1};
        (void)snprintf(pending.text, sizeof pending.text, "%s", device_failure);
        run_program(notifier, PS_NOTICE_DEVICE_FAILED, &pending, status);
    }
    ps_notices_done(&notifier->notices);
    (void)close(notifier->stop_fd);
    free(notifier);
}
