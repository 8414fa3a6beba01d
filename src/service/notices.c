#include "service/notices.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 1024 };

const char *ps_notice_name(enum ps_notice notice)
{
#define X(NAME, name) #name,
    static const char *const names[] = {PS_NOTICE_MAP(X)};
#undef X
    return names[notice];
}

/* A number of an object in the status; 0 if it is not there. */
static uint64_t number_of(const json_t *status, const char *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(json_object_get(status, object), key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

struct look {
    const json_t *before;
    const json_t *now;
    ps_notice_report *report;
    void *context;
};

/* ---- directories ------------------------------------------------------------------------------
 */

/* The directory of this path; NULL if it is not among them. */
static const json_t *find_directory(const json_t *status, const char *path)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(status, "watch"), index,
                       item) if (strcmp(text_of(item, "path"), path) == 0) return item;
    return NULL;
}

static bool is_missing(const json_t *directory)
{
    return strcmp(text_of(directory, "mode"), "missing") == 0;
}

static void look_at_directories(const struct look *look)
{
    char text[TEXT_BYTES];
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(look->now, "watch"), index, item)
    {
        const char *path = text_of(item, "path");
        const bool gone = is_missing(item), was = is_missing(find_directory(look->before, path));
        if (gone == was)
            continue;
        if (gone)
            (void)snprintf(text, sizeof text, "%s is missing: %s", path, text_of(item, "reason"));
        else
            (void)snprintf(text, sizeof text, "%s is back", path);
        look->report(look->context, gone ? PS_NOTICE_SHARE_GONE : PS_NOTICE_SHARE_BACK, 1, text);
    }
}

/* ---- disks ------------------------------------------------------------------------------------
 */

static void report_disk(const struct look *look, enum ps_notice notice, const char *what,
                        const char *reason)
{
    char text[TEXT_BYTES];
    /* The system's words and the journal's. */
    const bool full = strcasestr(reason, "no space left") || strstr(reason, strerror(EDQUOT));
    (void)snprintf(text, sizeof text, "%s: %s", what, reason);
    look->report(look->context, full ? PS_NOTICE_DISK_FULL : notice, 1, text);
}

static void look_at_disks(const struct look *look)
{
    const char *journal = text_of(look->now, "journal"), *was = text_of(look->before, "journal");
    if (strcmp(journal, "ok") != 0 && (!*was || strcmp(was, "ok") == 0))
        report_disk(look, PS_NOTICE_JOURNAL_FAILED, "the journal cannot be written", journal);
    const json_t *output = json_object_get(look->now, "output");
    const uint64_t missing = number_of(look->now, "output", "files_missing");
    if (missing > 0 && number_of(look->before, "output", "files_missing") == 0)
        report_disk(look, PS_NOTICE_OUTPUT_FAILED, "files of picks cannot be written",
                    text_of(output, "reason"));
}

/* ---- devices ----------------------------------------------------------------------------------
 */

static bool has_gpu(const json_t *status)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(status, "devices"), index,
                       item) if (strncmp(text_of(item, "device"), "cuda", 4) == 0) return true;
    return false;
}

/* A service that ends after a failure reports that itself (notifier.h). */
static void look_at_devices(const struct look *look)
{
    if (has_gpu(look->before) && !has_gpu(look->now))
        look->report(look->context, PS_NOTICE_DEVICE_FAILED, 1,
                     "a GPU failed; picking continues on the CPU");
}

/* ---- outcomes ---------------------------------------------------------------------------------
 */

static uint64_t more(const struct look *look, const char *counter)
{
    const uint64_t now = number_of(look->now, "metrics", counter);
    const uint64_t before = number_of(look->before, "metrics", counter);
    return now > before ? now - before : 0;
}

static void look_at_outcomes(struct ps_notices *notices, const struct look *look, int64_t now_ns,
                             int64_t idle_ns)
{
    char text[TEXT_BYTES];
    const uint64_t unreliable = more(look, "unreliable");
    if (more(look, "published") > 0) {
        notices->outcome_ns = now_ns;
        if (!notices->active)
            look->report(look->context, PS_NOTICE_SESSION_BEGAN, 1, "micrographs are coming");
        notices->active = true;
    }
    if (unreliable > 0) {
        (void)snprintf(text, sizeof text,
                       "%" PRIu64 " micrographs in which no more was found than in noise: check "
                       "the diameter, the pixel size and picker.contrast",
                       unreliable);
        look->report(look->context, PS_NOTICE_UNRELIABLE, unreliable, text);
    }
    const bool waiting =
        number_of(look->now, "queue", "waiting") || number_of(look->now, "queue", "in_flight");
    if (!notices->active || waiting || now_ns - notices->outcome_ns < idle_ns)
        return;
    notices->active = false;
    (void)snprintf(
        text, sizeof text,
        "no micrograph for %.0f minutes; in the journal: %" PRIu64 " picked, %" PRIu64
        " rejected, %" PRIu64 " failed, %" PRIu64 " picks",
        (double)(now_ns - notices->outcome_ns) / 6e10, number_of(look->now, "totals", "picked"),
        number_of(look->now, "totals", "rejected"), number_of(look->now, "totals", "failed"),
        number_of(look->now, "totals", "picks"));
    look->report(look->context, PS_NOTICE_SESSION_IDLE, 1, text);
}

void ps_notices_look(struct ps_notices *notices, json_t *status, int64_t now_ns, int64_t idle_ns,
                     ps_notice_report *report, void *context)
{
    const struct look look = {notices->before, status, report, context};
    look_at_directories(&look);
    look_at_disks(&look);
    look_at_devices(&look);
    look_at_outcomes(notices, &look, now_ns, idle_ns);
    json_decref(notices->before);
    notices->before = json_incref(status);
}

void ps_notices_done(struct ps_notices *notices)
{
    json_decref(notices->before);
    *notices = (struct ps_notices){0};
}
