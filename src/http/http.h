/* The live view: a read-only HTTP server (libmicrohttpd) in a separate thread.
 *
 *     GET /                       the page (src/http/view), with /view.css, /view.js, /plot.js ...
 *     GET /healthz                200 "ok", or 503 and the reason
 *     GET /metrics                the table of metrics.h for Prometheus
 *     GET /api/status             the header of a current status message
 *     GET /api/micrographs        ?since=SEQ&limit=N: summaries of the outcomes after a seq
 *     GET /api/micrographs/SEQ    an outcome: the header of its message, and its picks
 *     GET /preview/SEQ.png        its preview, while it is kept (previews.h); /thumbnail/SEQ.png
 *     GET /events                 server-sent events: every outcome from now on (events.h)
 *
 * The server reads the journal through a separate database connection and calls only functions that
 * are safe in any thread, so requests do not delay watching, picking or publishing. Limits:
 * PS_HTTP_CONNECTIONS connections, PS_HTTP_REQUEST_BYTES a request, PS_HTTP_SECONDS for a request
 * with its answer, PS_HTTP_IDLE_SECONDS without a byte, PS_HTTP_ROWS outcomes an answer. All
 * methods except GET and HEAD are refused. Bound to the loopback, the server refuses requests for
 * other hosts (listen_address.h).
 */
#ifndef PS_HTTP_HTTP_H
#define PS_HTTP_HTTP_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "http/previews.h"
#include "journal/journal.h"

#include <jansson.h>

enum {
    PS_HTTP_CONNECTIONS = 64,
    PS_HTTP_VIEWERS = 40, /* max. connections with open /events */
    PS_HTTP_REQUEST_BYTES = 16 << 10,
    PS_HTTP_SECONDS = 20,
    PS_HTTP_IDLE_SECONDS = 10,
    PS_HTTP_ROWS = 1000,
};

struct ps_http;

/* The dependencies; all must outlive the server. */
struct ps_http_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_previews *previews;
    json_t *(*status)(void *context); /* a new reference, or NULL without memory; any thread */
    void *context;
};

/* Binds http.listen and starts the thread. PS_E_CONFIG, PS_E_SYSTEM, PS_E_NOMEM. */
int ps_http_start(const struct ps_http_dependencies *dependencies, struct ps_http **ret_http,
                  struct ps_error *error);

/* Sets the last seq that is published; later outcomes are not shown. Any thread; does not block. */
void ps_http_announce(struct ps_http *http, uint64_t seq);

/* "http://127.0.0.1:5592/"; constant. */
const char *ps_http_url(const struct ps_http *http);

/* Ends the thread and closes every connection, also during an answer. Accepts NULL. */
void ps_http_stop(struct ps_http *http);

#endif
