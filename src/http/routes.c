/* The routes of the server and their handlers. */
#include "http/routes.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "http/answer.h"
#include "http/api.h"
#include "http/events.h"
#include "http/internal.h"
#include "http/view/assets.h"
#include "wire/header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ask_again[] = "no-cache";
static const char for_ever[] = "private, max-age=31536000, immutable";

/* ---- the page, previews, metrics and health ----------------------------------------------------
 */

static enum MHD_Result answer_asset(struct MHD_Connection *connection,
                                    const struct ps_view_asset *asset)
{
    size_t size = (size_t)(asset->end - asset->begin);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)asset->begin, MHD_RESPMEM_PERSISTENT);
    return ps_http_answer(connection, MHD_HTTP_OK, response, asset->type, ask_again);
}

/* A seq identifies a micrograph only together with the stream, so a browser may cache only a URL
 * that contains the stream. */
static const char *cache_of(const struct ps_http *http, struct MHD_Connection *connection)
{
    const char *stream = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "stream");
    return stream && strcmp(stream, ps_journal_stream(http->journal)) == 0 ? for_ever : ask_again;
}

static enum MHD_Result answer_picture(struct ps_http *http, struct MHD_Connection *connection,
                                      uint64_t seq, enum ps_preview_size size)
{
    struct stat info;
    int fd = ps_previews_read(http->dependencies.previews, seq, size);
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        if (fd >= 0)
            (void)close(fd);
        return ps_http_refuse(connection, MHD_HTTP_NOT_FOUND, "no preview is kept of this outcome");
    }
    struct MHD_Response *response = MHD_create_response_from_fd((size_t)info.st_size, fd);
    if (!response)
        (void)close(fd);
    return ps_http_answer(connection, MHD_HTTP_OK, response, "image/png",
                          cache_of(http, connection));
}

static enum MHD_Result answer_metrics(struct ps_http *http, struct MHD_Connection *connection)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return MHD_NO;
    ps_metrics_text(http->dependencies.metrics, stream);
    (void)fprintf(stream,
                  "# HELP pickstream_build_info version of this service and its stream\n"
                  "# TYPE pickstream_build_info gauge\n"
                  "pickstream_build_info{version=\"%s\",stream=\"%s\"} 1\n",
                  ps_version(), ps_journal_stream(http->journal));
    const int64_t last = ps_metrics_gauge(http->dependencies.metrics, PS_GAUGE_LAST_OUTCOME);
    if (last)
        (void)fprintf(stream,
                      "# HELP pickstream_last_outcome_age_seconds since the last outcome\n"
                      "# TYPE pickstream_last_outcome_age_seconds gauge\n"
                      "pickstream_last_outcome_age_seconds %" PRId64 "\n",
                      ps_clock_wall_ns() / 1000000000 - last);
    if (fclose(stream) != 0) {
        free(text);
        return MHD_NO;
    }
    return ps_http_answer_text(connection, MHD_HTTP_OK, text, size,
                               "text/plain; version=0.0.4; charset=utf-8");
}

/* 200 if outcomes can be recorded, else 503: nothing is picked meanwhile. */
static enum MHD_Result answer_health(struct ps_http *http, struct MHD_Connection *connection)
{
    json_t *status = http->dependencies.status(http->dependencies.context);
    const char *journal = json_string_value(json_object_get(status, "journal"));
    bool healthy = journal && strcmp(journal, "ok") == 0;
    char *text = NULL;
    int length = healthy ? asprintf(&text, "ok\n")
                         : asprintf(&text, "journal: %s\n", journal ? journal : "no status");
    json_decref(status);
    return ps_http_answer_text(connection, healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                               length > 0 ? text : NULL, length > 0 ? (size_t)length : 0,
                               "text/plain; charset=utf-8");
}

/* ---- routes -----------------------------------------------------------------------------------
 */

enum MHD_Result ps_http_route(struct ps_http *http, struct MHD_Connection *connection,
                              const char *path)
{
    static const struct {
        const char *path;
        enum MHD_Result (*answer)(struct ps_http *http, struct MHD_Connection *connection);
    } routes[] = {
        {"/metrics", answer_metrics},
        {"/healthz", answer_health},
        {"/api/status", ps_http_api_status},
        {"/api/micrographs", ps_http_api_list},
    };
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(path, routes[i].path) == 0)
            return routes[i].answer(http, connection);
    }
    for (const struct ps_view_asset *asset = ps_view_assets; asset->path; asset++) {
        if (strcmp(path, asset->path) == 0)
            return answer_asset(connection, asset);
    }
    uint64_t seq = ps_text_number_between(path, "/api/micrographs/", "");
    if (seq)
        return ps_http_api_one(http, connection, seq);
    if ((seq = ps_text_number_between(path, "/preview/", ".png")) != 0)
        return answer_picture(http, connection, seq, PS_PREVIEW_LARGE);
    if ((seq = ps_text_number_between(path, "/thumbnail/", ".png")) != 0)
        return answer_picture(http, connection, seq, PS_PREVIEW_SMALL);
    return ps_http_refuse(connection, MHD_HTTP_NOT_FOUND, "there is no such page");
}
