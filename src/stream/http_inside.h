/* What the files of the live view share. All of it is the server's thread's, but what is atomic.
 *
 *     http.c          the thread, its loop, connections and their limits
 *     http_routes.c   which request is answered how
 *     http_api.c      answers in JSON, from the journal
 *     http_events.c   server-sent events
 *     http_address.c  where to listen
 */
#ifndef PS_STREAM_HTTP_INSIDE_H
#define PS_STREAM_HTTP_INSIDE_H

#include "stream/http.h"
#include "stream/http_address.h"
#include "stream/http_events.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/* A connection, from its first byte to its end. */
struct ps_http_peer {
    struct ps_http_peer *before, *next;
    int fd;
    int64_t deadline_ns; /* monotonic: when the request with its answer must be over */
};

struct ps_http {
    struct ps_http_tools tools;
    struct ps_http_address address;
    struct MHD_Daemon *daemon;
    struct ps_journal *journal; /* opened once more, to read: nobody waits for that */
    pthread_t thread;
    int wake_fd;
    _Atomic bool stopping;
    _Atomic uint64_t last_seq; /* outcomes behind it are not shown yet */
    struct ps_http_peer *peers;
    struct ps_http_viewers viewers;
};

/* Answers a complete request of GET or HEAD (http_routes.c). */
enum MHD_Result ps_http_route(struct ps_http *http, struct MHD_Connection *connection,
                              const char *path);

/* Queues a response, which it takes (NULL: no memory, the connection is closed), with the headers
 * that all have. `type` is its media type, `cache` its Cache-Control. */
enum MHD_Result ps_http_answer(struct MHD_Connection *connection, unsigned status,
                               struct MHD_Response *response, const char *type, const char *cache);
/* JSON, whose reference it takes. */
enum MHD_Result ps_http_answer_json(struct MHD_Connection *connection, unsigned status,
                                    json_t *json);
/* {"type": "error", "reason": ...} */
enum MHD_Result ps_http_refuse(struct MHD_Connection *connection, unsigned status,
                               const char *reason);

/* The parameter of that name as a whole number in [min, max], `fallback` where there is none;
 * false: it is something else. */
bool ps_http_number(struct MHD_Connection *connection, const char *name, uint64_t min, uint64_t max,
                    uint64_t fallback, uint64_t *ret);

/* Answers of http_api.c. */
enum MHD_Result ps_http_api_status(struct ps_http *http, struct MHD_Connection *connection);
enum MHD_Result ps_http_api_list(struct ps_http *http, struct MHD_Connection *connection);
enum MHD_Result ps_http_api_one(struct ps_http *http, struct MHD_Connection *connection,
                                uint64_t seq);

/* Up to `limit` outcomes behind `after`, in short, as an array that `row` is called for each of.
 * PS_E_SYSTEM, PS_E_NOMEM. */
int ps_http_api_rows(struct ps_http *http, uint64_t after, uint64_t limit,
                     int (*row)(void *context, uint64_t seq, json_t *summary), void *context,
                     struct ps_error *error);

#endif
