/* Requests of clients, and their answers (pickstream-messages(7), REQUESTS).
 *
 * A request is a JSON object in a frame, behind an empty one or not; its answer comes the same way.
 * Whatever else arrives is answered with {"type":"error"}, counted, and does no harm. An answer to
 * a client that does not read is dropped.
 */
#ifndef PS_PUBLISH_REQUEST_H
#define PS_PUBLISH_REQUEST_H

#include "publish/replay.h"

#include <zmq.h>

/* What answers are made of. */
struct ps_request_tools {
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_replays *replays;
    json_t *(*hello)(void *context);              /* a new reference, or NULL without memory */
    json_t *(*status)(void *context);             /* the same */
    void (*retried)(void *context, size_t count); /* failed micrographs were put back */
    void *context;
};

/* Answers the requests that wait at a ROUTER socket, a hundred at most; `control` allows those that
 * change something. */
void ps_requests_serve(const struct ps_request_tools *tools, void *router, bool control);

/* A request that has arrived: its first frame; what is more is received and forgotten. */
struct ps_request {
    struct ps_client client;
    zmq_msg_t body; /* to be closed */
    size_t bodies;  /* frames that are neither the client's id nor the delimiter */
};

/* Receives a request of a ROUTER socket. False: there is none. */
bool ps_request_receive(void *router, struct ps_request *ret_request);

/* Parses it: a JSON object whose reference is the caller's, or NULL and what is wrong. */
json_t *ps_request_parse(struct ps_request *request, const char **ret_problem);

/* {"type":"error"} with this reason; a new reference. */
json_t *ps_request_error(const char *reason);

#endif
