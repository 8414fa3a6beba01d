/* The live view: a read-only HTTP server with one thread of its own (libmicrohttpd).
 *
 *     GET /                       the page (src/http/view), with /view.css, /view.js, /plot.js ...
 *     GET /healthz                200 "ok", or 503 and why not
 *     GET /metrics                the table of metrics.h for Prometheus
 *     GET /api/status             the header of a status message, as of now
 *     GET /api/micrographs        ?since=SEQ&limit=N: outcomes behind a seq in short, in order
 *     GET /api/micrographs/SEQ    an outcome: the header of its message, and its picks
 *     GET /preview/SEQ.png        its picture, while it is kept (previews.h); /thumbnail/SEQ.png
 *     GET /events                 server-sent events: every outcome from now on (events.h)
 *
 * It reads the journal through a connection of its own and asks the others what any thread may ask,
 * so no request, however many, holds up watching, picking or publishing. What a client may cost is
 * bounded: PS_HTTP_CONNECTIONS at once, PS_HTTP_REQUEST_BYTES a request, PS_HTTP_SECONDS for a
 * request with its answer, PS_HTTP_IDLE_SECONDS without a byte, PS_HTTP_ROWS outcomes an answer.
 * Nothing can be changed through it: every method but GET and HEAD is refused. Bound to the
 * loopback, it answers only requests that were meant for it (listen_address.h).
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
    PS_HTTP_VIEWERS = 40, /* of them, open /events at most */
    PS_HTTP_REQUEST_BYTES = 16 << 10,
    PS_HTTP_SECONDS = 20,
    PS_HTTP_IDLE_SECONDS = 10,
    PS_HTTP_ROWS = 1000,
};

struct ps_http;

/* All of it outlives the server. */
struct ps_http_tools {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_previews *previews;
    json_t *(*status)(void *context); /* a new reference, or NULL without memory; any thread */
    void *context;
};

/* Binds http.listen and starts the thread. PS_E_CONFIG, PS_E_SYSTEM, PS_E_NOMEM. */
int ps_http_start(const struct ps_http_tools *tools, struct ps_http **ret_http,
                  struct ps_error *error);

/* Outcomes up to this seq are published; those behind it are not shown. Any thread, never waits. */
void ps_http_announce(struct ps_http *http, uint64_t seq);

/* "http://127.0.0.1:5592/"; constant. */
const char *ps_http_url(const struct ps_http *http);

/* Ends the thread and every connection; what is being sent is cut off. NULL is none. */
void ps_http_stop(struct ps_http *http);

#endif
