/* Requests of clients, and their answers (pickstream-messages(7), REQUESTS).
 *
 * A request is one frame with a JSON object, optionally after an empty frame; its answer has the
 * same form. Anything else is answered with {"type":"error"} and counted. An answer to a client
 * that does not read is dropped.
 */
#ifndef PS_PUBLISH_REQUEST_H
#define PS_PUBLISH_REQUEST_H

#include "publish/gate.h"
#include "publish/replay.h"

#include <zmq.h>

/* Borrowed. */
struct ps_request_dependencies {
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_replays *replays;
    struct ps_gate *gate;
    json_t *(*hello)(void *context);  /* a new reference, or NULL without memory */
    json_t *(*status)(void *context); /* the same */
    void (*reopened)(void *context);  /* micrographs are to be picked again: queue them */
    const char *parameters;           /* hash of the settings in force */
    void *context;
};

/* Answers waiting requests of a ROUTER socket, up to 100, or for 50 ms; `control` also allows
 * requests that change something. */
void ps_requests_serve(const struct ps_request_dependencies *dependencies, void *router,
                       bool control);

/* A received request: its first body frame; further ones are discarded. */
struct ps_request {
    struct ps_client client;
    zmq_msg_t body; /* the caller closes it */
    size_t bodies;  /* number of frames after the client's id and the delimiter */
};

/* Receives a request of a ROUTER socket, and tells the gate (can be NULL). False: none waits. */
bool ps_request_receive(void *router, struct ps_gate *gate, struct ps_request *ret_request);

/* Parses it. Returns a new reference to a JSON object, or NULL and the problem. */
json_t *ps_request_parse(struct ps_request *request, const char **ret_problem);

/* {"type":"error"} with this reason; a new reference. */
json_t *ps_request_error(const char *reason);

#endif
