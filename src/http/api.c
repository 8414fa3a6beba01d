/* The content of the journal as JSON for the page.
 *
 * Nothing is cached: the summary of an outcome is made from its message each time, in 36 us. A page
 * loads 10,000 micrographs with ten requests and 0.4 s of one core.
 */
#include "http/api.h"

#include "base/error.h"
#include "http/answer.h"
#include "http/internal.h"
#include "wire/envelope.h"
#include "wire/header.h"

#include <string.h>

/* A value in a section of a header, as a new reference; null if it is missing. */
static json_t *value_of(const json_t *header, const char *section, const char *key)
{
    json_t *value = json_object_get(json_object_get(header, section), key);
    return value ? json_incref(value) : json_null();
}

/* Seconds from the close of the file to the message. Null if negative (a clock was set in between)
 * or above one hour (the file was there long before the service found it), and if the file was
 * picked again. */
static json_t *seconds_of(const json_t *header)
{
    if (json_integer_value(json_object_get(header, "replaces")) > 0)
        return json_null();
    int status = 0;
    const struct ps_reader reader = {json_object_get(header, "time"), "time.", &status, NULL};
    double seconds = ps_reader_time(&reader, "published") - ps_reader_time(&reader, "closed");
    return seconds >= 0 && seconds <= 3600 ? json_real(seconds) : json_null();
}

/* The seq of the outcome before it of the same micrograph; null: none. */
static json_t *replaces_of(const json_t *header)
{
    json_t *replaces = json_object_get(header, "replaces");
    return replaces ? json_incref(replaces) : json_null();
}

static json_t *picture_of(const struct ps_http *http, uint64_t seq, const json_t *header)
{
    const json_t *shape = json_object_get(json_object_get(header, "micrograph"), "shape");
    int height = (int)json_integer_value(json_array_get(shape, 0));
    int width = (int)json_integer_value(json_array_get(shape, 1));
    if (height <= 0 || width <= 0 || !ps_previews_has(http->dependencies.previews, seq))
        return json_null();
    return json_pack("{s:i}", "bin", ps_preview_bin(width, height));
}

static json_t *summary_of(const struct ps_http *http, uint64_t seq, const json_t *header)
{
    return json_pack(
        "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "seq", (json_int_t)seq, "replaces", replaces_of(header), "name",
        value_of(header, "micrograph", "name"), "revision",
        value_of(header, "micrograph", "revision"), "attempt",
        value_of(header, "micrograph", "attempt"), "shape", value_of(header, "micrograph", "shape"),
        "status", value_of(header, "result", "status"), "reason",
        value_of(header, "result", "reason"), "count", value_of(header, "result", "count"),
        "unreliable", value_of(header, "result", "unreliable"), "masked",
        value_of(header, "result", "masked"), "score_median",
        value_of(header, "result", "score_median"), "warnings",
        value_of(header, "result", "warnings"), "problems", value_of(header, "result", "problems"),
        "published", value_of(header, "time", "published"), "seconds", seconds_of(header),
        "milliseconds", value_of(header, "milliseconds", "total"), "preview",
        picture_of(http, seq, header));
}

struct rows {
    struct ps_http *http;
    int (*row)(void *context, uint64_t seq, json_t *summary);
    void *context;
    int status;
    struct ps_error *error;
};

static int take_row(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct rows *rows = context;
    struct ps_layout layout;
    if (seq > atomic_load(&rows->http->last_seq))
        return 1;
    json_t *header = NULL;
    rows->status = ps_header_open(frames, &layout, &header, rows->error);
    if (rows->status)
        return rows->status;
    json_t *summary = summary_of(rows->http, seq, header);
    if (!summary)
        rows->status = ps_fail_memory(rows->error, 1024, "an outcome");
    else
        rows->status = rows->row(rows->context, seq, summary);
    json_decref(summary);
    json_decref(header);
    return rows->status;
}

int ps_http_api_rows(struct ps_http *http, uint64_t after, uint64_t limit,
                     int (*row)(void *context, uint64_t seq, json_t *summary), void *context,
                     struct ps_error *error)
{
    struct rows rows = {http, row, context, 0, error};
    int status = ps_journal_replay(http->journal, after, limit, take_row, &rows, error);
    return status ? status : rows.status;
}

/* ---- answers ----------------------------------------------------------------------------------
 */

enum MHD_Result ps_http_api_status(struct ps_http *http, struct MHD_Connection *connection)
{
    return ps_http_answer_json(connection, MHD_HTTP_OK,
                               http->dependencies.status(http->dependencies.context));
}

static int append_row(void *context, uint64_t seq, json_t *summary)
{
    (void)seq;
    return json_array_append(context, summary) == 0 ? 0 : PS_E_NOMEM;
}

enum MHD_Result ps_http_api_list(struct ps_http *http, struct MHD_Connection *connection)
{
    uint64_t since, limit;
    struct ps_error error = {.message = "no memory"};
    if (!ps_http_number(connection, "since", 0, INT64_MAX, 0, &since) ||
        !ps_http_number(connection, "limit", 1, PS_HTTP_ROWS, PS_HTTP_ROWS, &limit))
        return ps_http_refuse(connection, MHD_HTTP_BAD_REQUEST,
                              "since, limit: expected whole numbers, limit 1000 at most");
    json_t *rows = json_array();
    if (!rows || ps_http_api_rows(http, since, limit, append_row, rows, &error)) {
        json_decref(rows);
        return ps_http_refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, error.message);
    }
    return ps_http_answer_json(
        connection, MHD_HTTP_OK,
        json_pack("{s:s, s:I, s:o}", "stream", ps_journal_stream(http->journal), "last_seq",
                  (json_int_t)atomic_load(&http->last_seq), "micrographs", rows));
}

/* Converts the array of picks to rows of numbers. */
static json_t *picks_of(const json_t *header, const struct ps_layout *layout)
{
    const json_t *shape =
        json_object_get(json_array_get(json_object_get(header, "arrays"), 0), "shape");
    size_t count = (size_t)json_integer_value(json_array_get(shape, 0));
    size_t columns = (size_t)json_integer_value(json_array_get(shape, 1));
    json_t *rows = json_array();
    int failed = !rows;
    bool fits = layout->array_count > 0 && columns > 0 &&
                layout->arrays[0].size / columns / sizeof(float) >= count;
    for (size_t row = 0; fits && row < count && !failed; row++) {
        json_t *values = json_array();
        for (size_t column = 0; column < columns; column++)
            failed |=
                json_array_append_new(values, ps_json_number((double)ps_wire_value(
                                                  layout->arrays[0].data, columns, row, column)));
        failed |= json_array_append_new(rows, values);
    }
    if (!failed)
        return rows;
    json_decref(rows);
    return NULL;
}

struct one {
    const struct ps_http *http;
    uint64_t seq;
    bool found;
    json_t *answer;
};

static int take_one(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct one *one = context;
    struct ps_layout layout;
    json_t *header = NULL;
    if (seq != one->seq || seq > atomic_load(&one->http->last_seq))
        return 1;
    one->found = true;
    if (ps_header_open(frames, &layout, &header, NULL) == 0)
        one->answer =
            json_pack("{s:O, s:o, s:o}", "header", header, "picks", picks_of(header, &layout),
                      "preview", picture_of(one->http, seq, header));
    json_decref(header);
    return 1;
}

enum MHD_Result ps_http_api_one(struct ps_http *http, struct MHD_Connection *connection,
                                uint64_t seq)
{
    struct one one = {.http = http, .seq = seq};
    struct ps_error error;
    if (ps_journal_replay(http->journal, seq - 1, 1, take_one, &one, &error))
        return ps_http_refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, error.message);
    if (!one.found)
        return ps_http_refuse(connection, MHD_HTTP_NOT_FOUND, "there is no such outcome");
    if (!one.answer)
        return ps_http_refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                              "no memory, or a damaged message");
    return ps_http_answer_json(connection, MHD_HTTP_OK, one.answer);
}
