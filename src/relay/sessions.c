/* Each session, a pair of client and service, has its own DEALER socket, because a service tells
 * clients apart by their connection. An answer that the client does not accept yet is kept in the
 * session. Its socket is not read meanwhile, so that the service blocks eventually. */
#include "relay/sessions.h"

#include "base/clock.h"
#include "base/error.h"
#include "publish/request.h"
#include "wire/header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_SIZE = 100,
    MAX_PARTS = 16, /* frames of an answer; further ones are dropped */
    MAX_WAIT_MS = 100,
    STUCK_SECONDS = 10, /* a client that has not read for as long can be replaced */
};

struct session {
    struct ps_client client;
    size_t service; /* index */
    void *dealer;
    bool busy; /* a request was sent and its answer has not ended */
    zmq_msg_t part[MAX_PARTS];
    size_t part_count;   /* of the answer that waits; 0: none */
    int wait_ms;         /* until the next attempt to send it */
    int64_t due_ns;      /* time of that attempt */
    int64_t progress_ns; /* time of the last request or answer */
};

struct ps_relay_clients {
    void *context;
    void *router;
    struct ps_gate *gate;
    const struct ps_relayed *services;
    size_t service_count;
    struct ps_log *log;
    struct session *sessions[PS_RELAY_CLIENTS];
    size_t count;
};

/* ---- sessions ---------------------------------------------------------------------------------
 */

static void drop_parts(struct session *session)
{
    for (size_t i = 0; i < session->part_count; i++)
        (void)zmq_msg_close(&session->part[i]);
    session->part_count = 0;
}

static void close_session(struct ps_relay_clients *clients, size_t number)
{
    struct session *session = clients->sessions[number];
    drop_parts(session);
    (void)zmq_close(session->dealer);
    free(session);
    clients->sessions[number] = clients->sessions[--clients->count];
}

struct ps_relay_clients *ps_relay_clients_new(void *context, void *router, struct ps_gate *gate,
                                              const struct ps_relayed *services, size_t count,
                                              struct ps_log *log)
{
    struct ps_relay_clients *clients = calloc(1, sizeof *clients);
    if (!clients)
        return NULL;
    clients->context = context;
    clients->router = router;
    clients->gate = gate;
    clients->services = services;
    clients->service_count = count;
    clients->log = log;
    return clients;
}

void ps_relay_clients_free(struct ps_relay_clients *clients)
{
    if (!clients)
        return;
    while (clients->count > 0)
        close_session(clients, clients->count - 1);
    free(clients);
}

/* Ensures that there is a free session. Closes the one that has been idle for longest or, if all
 * are busy, one that has been stuck for STUCK_SECONDS. */
static bool ensure_capacity(struct ps_relay_clients *clients, int64_t now)
{
    size_t chosen = 0;
    if (clients->count < PS_RELAY_CLIENTS)
        return true;
    for (size_t i = 1; i < clients->count; i++) {
        const struct session *best = clients->sessions[chosen], *session = clients->sessions[i];
        if (best->busy != session->busy ? best->busy : session->progress_ns < best->progress_ns)
            chosen = i;
    }
    const struct session *session = clients->sessions[chosen];
    if (session->busy && now - session->progress_ns < (int64_t)STUCK_SECONDS * 1000000000)
        return false;
    close_session(clients, chosen);
    return true;
}

/* Finds or opens the session of a client with a service. PS_E_INPUT: too many sessions;
 * PS_E_SYSTEM, PS_E_NOMEM. */
static int find_session(struct ps_relay_clients *clients, const struct ps_client *client,
                        size_t service, struct session **ret_session, struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    for (size_t i = 0; i < clients->count; i++) {
        struct session *session = clients->sessions[i];
        if (session->service == service && ps_client_same(&session->client, client)) {
            *ret_session = session;
            return 0;
        }
    }
    if (!ensure_capacity(clients, now))
        return ps_fail(error, PS_E_INPUT, "too many replays at once, try again later");
    struct session *session = calloc(1, sizeof *session);
    if (!session)
        return ps_fail_memory(error, sizeof *session, "a client");
    const struct ps_relayed *relayed = &clients->services[service];
    int status = ps_connect(clients->context, ZMQ_DEALER, relayed->address.replay_endpoint,
                            &relayed->curve, &session->dealer, error);
    if (status) {
        free(session);
        return status;
    }
    session->client = *client;
    session->service = service;
    session->progress_ns = now;
    clients->sessions[clients->count++] = session;
    *ret_session = session;
    return 0;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void answer_problem(const struct ps_relay_clients *clients, const struct ps_client *client,
                           const char *problem)
{
    ps_log_reason(clients->log, PS_LOG_DEBUG, "bad_request", problem);
    (void)ps_client_answer(client, ps_request_error(problem));
}

/* Lists the streams behind this relay, for a client whose request does not name one. */
static json_t *describe(const struct ps_relay_clients *clients)
{
    json_t *streams = json_array();
    int failed = !streams;
    for (size_t i = 0; i < clients->service_count; i++) {
        const struct ps_relayed *service = &clients->services[i];
        for (size_t k = 0; k < service->stream_count; k++)
            failed |= json_array_append_new(
                streams, json_pack("{s:s, s:o, s:I}", "stream", service->streams[k].name,
                                   "endpoint", ps_json_text(service->address.endpoint), "last_seq",
                                   (json_int_t)service->streams[k].last_seq));
    }
    if (failed) {
        json_decref(streams);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:o}", "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TYPE_RELAY,
                     "streams", streams);
}

/* Finds the service of a request. False if there is none: the client has its answer then. */
static bool choose_service(const struct ps_relay_clients *clients, const struct ps_client *client,
                           const json_t *request, size_t *ret_service)
{
    const char *name = json_string_value(json_object_get(request, "request"));
    const json_t *wanted = json_object_get(request, "stream");
    const char *stream = json_string_value(wanted);
    const bool listed = name && (strcmp(name, "hello") == 0 || strcmp(name, "since") == 0);
    const bool expects_streams = listed && json_is_true(json_object_get(request, "streams"));
    if (!wanted && clients->service_count == 1 && !expects_streams) {
        *ret_service = 0;
        return true;
    }
    for (size_t i = 0; stream && *stream && i < clients->service_count; i++) {
        for (size_t k = 0; k < clients->services[i].stream_count; k++) {
            if (strcmp(clients->services[i].streams[k].name, stream) == 0) {
                *ret_service = i;
                return true;
            }
        }
    }
    if (wanted)
        answer_problem(clients, client, "\"stream\" is none of those behind this relay");
    else if (listed)
        (void)ps_client_answer(client, describe(clients));
    else
        answer_problem(clients, client,
                       "several services are behind this relay: \"stream\" is missing");
    return false;
}

static void pass_request(struct ps_relay_clients *clients, struct ps_request *request)
{
    const char *problem;
    size_t service;
    json_t *object = ps_request_parse(request, &problem);
    if (!object) {
        answer_problem(clients, &request->client, problem);
        return;
    }
    bool chosen = choose_service(clients, &request->client, object, &service);
    json_decref(object);
    if (!chosen)
        return;
    struct session *session;
    struct ps_error error;
    if (find_session(clients, &request->client, service, &session, &error) != 0) {
        answer_problem(clients, &request->client, error.message);
        return;
    }
    session->client.delimiter = request->client.delimiter;
    /* A request that cannot be sent is lost; the client repeats it after its timeout. */
    if (zmq_msg_send(&request->body, session->dealer, ZMQ_DONTWAIT) >= 0)
        session->busy = true;
    session->progress_ns = ps_clock_mono_ns();
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static bool receive(struct session *session)
{
    bool more = true;
    while (more) {
        zmq_msg_t part;
        (void)zmq_msg_init(&part);
        if (zmq_msg_recv(&part, session->dealer, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part) != 0;
        if (session->part_count < MAX_PARTS) {
            zmq_msg_t *kept = &session->part[session->part_count++];
            (void)zmq_msg_init(kept);
            (void)zmq_msg_move(kept, &part);
        }
        (void)zmq_msg_close(&part);
    }
    return true;
}

/* Sends the answer that waits. 0, or -1 and zmq_errno(). Only the first frame can fail: once the
 * client accepts it, it accepts the others. */
static int send_answer(struct session *session)
{
    const struct ps_client *client = &session->client;
    const int more = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    if (ps_client_begin(client) != 0)
        return -1;
    for (size_t i = 0; i < session->part_count; i++) {
        bool last = i + 1 == session->part_count;
        if (zmq_msg_send(&session->part[i], client->router, last ? ZMQ_DONTWAIT : more) < 0)
            return -1;
    }
    session->busy = session->part_count > 1; /* the last message of an answer has a single frame */
    session->part_count = 0;
    return 0;
}

/* Passes answers on. False: the client has disconnected. */
static bool pass_answers(struct session *session, int64_t now)
{
    for (int i = 0; i < BATCH_SIZE; i++) {
        if (session->part_count == 0 && !receive(session))
            return true;
        if (send_answer(session) != 0) {
            int longer = session->wait_ms * 2 < MAX_WAIT_MS ? session->wait_ms * 2 : MAX_WAIT_MS;
            session->wait_ms = i > 0 || longer == 0 ? 1 : longer;
            session->due_ns = now + (int64_t)session->wait_ms * 1000000;
            return zmq_errno() == EAGAIN;
        }
        session->progress_ns = now;
        session->wait_ms = 0;
    }
    return true;
}

size_t ps_relay_clients_list(const struct ps_relay_clients *clients, zmq_pollitem_t *ret_items)
{
    size_t count = 0;
    for (size_t i = 0; i < clients->count; i++) {
        const struct session *session = clients->sessions[i];
        if (session->part_count == 0)
            ret_items[count++] = (zmq_pollitem_t){.socket = session->dealer, .events = ZMQ_POLLIN};
    }
    return count;
}

int ps_relay_clients_serve(struct ps_relay_clients *clients)
{
    struct ps_request request;
    for (int i = 0; i < BATCH_SIZE && ps_request_receive(clients->router, clients->gate, &request);
         i++) {
        pass_request(clients, &request);
        (void)zmq_msg_close(&request.body);
    }
    int64_t now = ps_clock_mono_ns();
    int next = -1;
    for (size_t i = 0; i < clients->count;) {
        struct session *session = clients->sessions[i];
        bool due = session->part_count == 0 || session->due_ns <= now;
        if (due && !pass_answers(session, now)) {
            close_session(clients, i);
            continue;
        }
        if (session->part_count > 0) {
            int64_t left = (session->due_ns - now) / 1000000 + 1;
            next = next < 0 || left < next ? (int)left : next;
        }
        i++;
    }
    return next;
}
