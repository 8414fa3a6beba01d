#include "http/events.h"

#include "base/clock.h"
#include "base/text.h"
#include "http/answer.h"
#include "http/api.h"
#include "http/internal.h"
#include "wire/header.h"
#include "wire/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORTION_OUTCOMES = 50, BLOCK_BYTES = 8 << 10 };
static const int64_t second_ns = 1000000000;

struct ps_http_viewer {
    struct ps_http *http;
    struct MHD_Connection *connection;
    struct ps_http_viewer *before, *next;
    bool suspended;
    uint64_t after;    /* the last seq that was sent */
    int64_t status_ns; /* monotonic: when the next status is due */
    int64_t retry_ns;  /* monotonic: outcomes are not read again before */
    char *text;        /* being sent, or NULL */
    size_t length;     /* of `text` */
    size_t sent;
};

/* ---- texts ------------------------------------------------------------------------------------
 */

/* False without memory: nothing is printed. */
static bool print_event(FILE *stream, uint64_t id, const char *event, const json_t *data)
{
    char *text = ps_json_dump(data, PS_JSON_FORMAT);
    if (text && id)
        (void)fprintf(stream, "id: %" PRIu64 "\n", id);
    if (text)
        (void)fprintf(stream, "event: %s\ndata: %s\n\n", event, text);
    free(text);
    return text;
}

struct portion {
    struct ps_http_viewer *viewer;
    FILE *stream;
};

static int print_outcome(void *context, uint64_t seq, json_t *summary)
{
    struct portion *portion = context;
    if (!print_event(portion->stream, seq, "outcome", summary))
        return 1; /* tried again */
    portion->viewer->after = seq;
    return 0;
}

static void print_status(const struct ps_http_viewer *viewer, FILE *stream)
{
    const struct ps_http_dependencies *dependencies = &viewer->http->dependencies;
    json_t *status = dependencies->status(dependencies->context);
    (void)print_event(stream, 0, "status", status);
    json_decref(status);
}

static bool has_news(const struct ps_http_viewer *viewer, int64_t now)
{
    return viewer->after < atomic_load(&viewer->http->last_seq) && now >= viewer->retry_ns;
}

/* Makes the next text. False: nothing to send, no memory, or the journal cannot be read now. After
 * a failure the next attempt is when a status is due, not at once. */
static bool refill(struct ps_http_viewer *viewer)
{
    int64_t now = ps_clock_mono_ns();
    free(viewer->text);
    viewer->text = NULL;
    viewer->length = viewer->sent = 0;
    const int64_t later = now + PS_HTTP_STATUS_SECONDS * second_ns;
    const uint64_t before = viewer->after;
    bool status = now >= viewer->status_ns;
    bool news = has_news(viewer, now);
    if (status)
        viewer->status_ns = later;
    if (!status && !news)
        return false;
    FILE *stream = open_memstream(&viewer->text, &viewer->length);
    if (stream && news) {
        struct portion portion = {viewer, stream};
        struct ps_error error = {0};
        (void)ps_http_api_rows(viewer->http, before, PORTION_OUTCOMES, print_outcome, &portion,
                               &error);
    }
    if (stream && status)
        print_status(viewer, stream);
    if (stream && fclose(stream) != 0) {
        viewer->length = 0;
        viewer->after = before;
    }
    if (news && viewer->after == before)
        viewer->retry_ns = later;
    /* During a burst of outcomes: one status a second, not one for each. */
    else if (news && !status && viewer->status_ns > now + second_ns)
        viewer->status_ns = now + second_ns;
    return viewer->length > 0;
}

/* ---- viewers ----------------------------------------------------------------------------------
 */

static void count_viewers(struct ps_http *http)
{
    ps_metrics_set(http->dependencies.metrics, PS_GAUGE_VIEWERS, (int64_t)http->viewers.count);
}

static void viewer_done(void *context)
{
    struct ps_http_viewer *viewer = context;
    struct ps_http *http = viewer->http;
    if (viewer->next)
        viewer->next->before = viewer->before;
    if (viewer->before)
        viewer->before->next = viewer->next;
    else
        http->viewers.first = viewer->next;
    http->viewers.count--;
    count_viewers(http);
    free(viewer->text);
    free(viewer);
}

static ssize_t read_events(void *context, uint64_t position, char *buffer, size_t size)
{
    struct ps_http_viewer *viewer = context;
    (void)position;
    if (viewer->sent == viewer->length) {
        if (atomic_load(&viewer->http->stopping))
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!refill(viewer)) {
            MHD_suspend_connection(viewer->connection);
            viewer->suspended = true;
            return 0;
        }
    }
    size_t left = viewer->length - viewer->sent;
    size_t count = left < size ? left : size;
    memcpy(buffer, viewer->text + viewer->sent, count);
    viewer->sent += count;
    return (ssize_t)count;
}

/* The seq after which a viewer begins: the last it received, or `since`, or the newest. */
static bool first_seq(const struct ps_http *http, struct MHD_Connection *connection,
                      uint64_t *ret_after)
{
    uint64_t last = atomic_load(&http->last_seq);
    const char *id = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Last-Event-ID");
    uint64_t after = last;
    if (id ? !ps_text_to_uint(id, 0, INT64_MAX, &after)
           : !ps_http_number(connection, "since", 0, INT64_MAX, last, &after))
        return false;
    *ret_after = after < last ? after : last;
    return true;
}

enum MHD_Result ps_http_events(struct ps_http *http, struct MHD_Connection *connection)
{
    uint64_t after;
    if (!first_seq(http, connection, &after))
        return ps_http_refuse(connection, MHD_HTTP_BAD_REQUEST, "since: expected a whole number");
    if (http->viewers.count >= PS_HTTP_VIEWERS)
        return ps_http_refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many viewers");
    struct ps_http_viewer *viewer = calloc(1, sizeof *viewer);
    if (!viewer)
        return MHD_NO;
    *viewer = (struct ps_http_viewer){
        .http = http, .connection = connection, .next = http->viewers.first, .after = after};
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_events, viewer, viewer_done);
    if (!response) {
        free(viewer);
        return MHD_NO;
    }
    if (viewer->next)
        viewer->next->before = viewer;
    http->viewers.first = viewer;
    http->viewers.count++;
    count_viewers(http);
    return ps_http_answer(connection, MHD_HTTP_OK, response, "text/event-stream", "no-store");
}

int64_t ps_http_events_proceed(struct ps_http *http)
{
    int64_t now = ps_clock_mono_ns();
    int64_t next = INT64_MAX;
    bool stopping = atomic_load(&http->stopping);
    bool resumed = false;
    for (struct ps_http_viewer *viewer = http->viewers.first; viewer; viewer = viewer->next) {
        if (viewer->suspended && (stopping || has_news(viewer, now) || now >= viewer->status_ns)) {
            viewer->suspended = false;
            resumed = true;
            MHD_resume_connection(viewer->connection);
        }
        if (viewer->suspended && viewer->status_ns < next)
            next = viewer->status_ns;
    }
    return resumed ? now : next;
}
