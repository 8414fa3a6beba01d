/* The state shared by the files of the live view. Only the server's thread uses it, except for the
 * atomic fields.
 *
 *     server.c          the thread, its loop, connections and their limits
 *     routes.c          the handlers of requests
 *     api.c             answers in JSON, from the journal
 *     events.c          server-sent events
 *     answer.c          queueing an answer
 *     listen_address.c  the address to listen on
 */
#ifndef PS_HTTP_INTERNAL_H
#define PS_HTTP_INTERNAL_H

#include "http/http.h"
#include "http/listen_address.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

/* Connections with open /events. */
struct ps_http_viewer;
struct ps_http_viewers {
    struct ps_http_viewer *first;
    size_t count;
};

/* A connection, from its first byte to its end. */
struct ps_http_peer {
    struct ps_http_peer *before, *next;
    int fd;
    int64_t deadline_ns; /* monotonic: when the request with its answer must be over */
};

struct ps_http {
    struct ps_http_dependencies dependencies;
    struct ps_http_address address;
    struct MHD_Daemon *daemon;
    unsigned max_connections;   /* PS_HTTP_CONNECTIONS, or fewer if descriptors are short */
    struct ps_journal *journal; /* a separate read-only connection: blocks no writer */
    pthread_t thread;
    int wake_fd;
    _Atomic bool stopping;
    _Atomic uint64_t last_seq; /* later outcomes are not shown yet */
    struct ps_http_peer *peers;
    struct ps_http_viewers viewers;
};

#endif
