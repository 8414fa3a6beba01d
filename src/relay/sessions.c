/* Each client has a DEALER of its own at the service that it asks, for a service tells its clients
 * apart by their connections. An answer that the client does not take yet waits in its place; the
 * socket behind it is not read meanwhile, so that in the end the service waits. */
#include "relay/sessions.h"

#include "base/clock.h"
#include "base/error.h"
#include "publish/request.h"
#include "wire/header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 100,
    PARTS = 16, /* frames of an answer; those beyond are dropped */
    LONGEST_WAIT_MS = 100,
    STUCK_SECONDS = 10, /* after which a client that does not read gives way */
};

struct place {
    struct ps_client client;
    size_t service; /* its number */
    void *dealer;
    bool busy; /* an answer is under way */
    zmq_msg_t part[PARTS];
    size_t part_count; /* of the answer that waits; 0: none does */
    int wait_ms;       /* until it is tried again */
    int64_t due_ns;
    int64_t progress_ns; /* when something last moved */
};

struct ps_relay_clients {
    void *context;
    void *router;
    const struct ps_relayed *services;
    size_t service_count;
    struct ps_log *log;
    struct place *places[PS_RELAY_CLIENTS];
    size_t count;
};

/* ---- places -----------------------------------------------------------------------------------
 */

static void drop_parts(struct place *place)
{
    for (size_t i = 0; i < place->part_count; i++)
        (void)zmq_msg_close(&place->part[i]);
    place->part_count = 0;
}

static void leave(struct ps_relay_clients *clients, size_t number)
{
    struct place *place = clients->places[number];
    drop_parts(place);
    (void)zmq_close(place->dealer);
    free(place);
    clients->places[number] = clients->places[--clients->count];
}

struct ps_relay_clients *ps_relay_clients_new(void *context, void *router,
                                              const struct ps_relayed *services, size_t count,
                                              struct ps_log *log)
{
    struct ps_relay_clients *clients = calloc(1, sizeof *clients);
    if (!clients)
        return NULL;
    clients->context = context;
    clients->router = router;
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
        leave(clients, clients->count - 1);
    free(clients);
}

/* Makes room: who has had nothing under way for longest leaves, or who has not read for long. */
static bool make_room(struct ps_relay_clients *clients, int64_t now)
{
    size_t chosen = 0;
    if (clients->count < PS_RELAY_CLIENTS)
        return true;
    for (size_t i = 1; i < clients->count; i++) {
        const struct place *best = clients->places[chosen], *place = clients->places[i];
        if (best->busy != place->busy ? best->busy : place->progress_ns < best->progress_ns)
            chosen = i;
    }
    const struct place *place = clients->places[chosen];
    if (place->busy && now - place->progress_ns < (int64_t)STUCK_SECONDS * 1000000000)
        return false;
    leave(clients, chosen);
    return true;
}

/* The place of a client at a service. PS_E_INPUT: there is none free; PS_E_SYSTEM, PS_E_NOMEM. */
static int find_place(struct ps_relay_clients *clients, const struct ps_client *client,
                      size_t service, struct place **ret_place, struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    for (size_t i = 0; i < clients->count; i++) {
        struct place *place = clients->places[i];
        if (place->service == service && ps_client_same(&place->client, client)) {
            *ret_place = place;
            return 0;
        }
    }
    if (!make_room(clients, now))
        return ps_fail(error, PS_E_INPUT, "too many replays at once, try again later");
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return ps_fail_memory(error, sizeof *place, "a client");
    const struct ps_relayed *relayed = &clients->services[service];
    int status = ps_connect(clients->context, ZMQ_DEALER, relayed->address.replay_endpoint,
                            &relayed->curve, &place->dealer, error);
    if (status) {
        free(place);
        return status;
    }
    place->client = *client;
    place->service = service;
    place->progress_ns = now;
    clients->places[clients->count++] = place;
    *ret_place = place;
    return 0;
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static void answer(const struct ps_relay_clients *clients, const struct ps_client *client,
                   const char *problem)
{
    char quoted[PS_LOG_TEXT];
    ps_log_event(clients->log, PS_LOG_DEBUG, "bad_request", "reason=%s",
                 ps_log_quote(problem, quoted));
    (void)ps_client_answer(client, ps_request_error(problem));
}

/* What is behind this relay, for a client that does not say what it means. */
static json_t *describe(const struct ps_relay_clients *clients)
{
    json_t *streams = json_array();
    for (size_t i = 0; i < clients->service_count; i++) {
        const struct ps_relayed *service = &clients->services[i];
        for (size_t k = 0; k < service->stream_count; k++)
            (void)json_array_append_new(
                streams, json_pack("{s:s, s:o, s:I}", "stream", service->streams[k].name,
                                   "endpoint", ps_json_text(service->address.endpoint), "last_seq",
                                   (json_int_t)service->streams[k].last_seq));
    }
    return json_pack("{s:s, s:s, s:o}", "schema", PS_WIRE_SCHEMA, "type", PS_RELAY_TOPIC, "streams",
                     streams);
}

/* The service that a request is for; false where it was answered here. */
static bool choose_service(const struct ps_relay_clients *clients, const struct ps_client *client,
                           const json_t *request, size_t *ret_service)
{
    const char *name = json_string_value(json_object_get(request, "request"));
    const json_t *wanted = json_object_get(request, "stream");
    const char *stream = json_string_value(wanted);
    if (!wanted && clients->service_count == 1) {
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
        answer(clients, client, "\"stream\" is none of those behind this relay");
    else if (name && (strcmp(name, "hello") == 0 || strcmp(name, "since") == 0))
        (void)ps_client_answer(client, describe(clients));
    else
        answer(clients, client, "several services are behind this relay: \"stream\" is missing");
    return false;
}

static void pass_request(struct ps_relay_clients *clients, struct ps_request *request)
{
    const char *problem;
    size_t service;
    json_t *object = ps_request_parse(request, &problem);
    if (!object) {
        answer(clients, &request->client, problem);
        return;
    }
    bool chosen = choose_service(clients, &request->client, object, &service);
    json_decref(object);
    if (!chosen)
        return;
    struct place *place;
    struct ps_error error;
    if (find_place(clients, &request->client, service, &place, &error) != 0) {
        answer(clients, &request->client, error.message);
        return;
    }
    place->client.delimiter = request->client.delimiter;
    /* What a service that is not there has not got, the client asks for again. */
    if (zmq_msg_send(&request->body, place->dealer, ZMQ_DONTWAIT) >= 0)
        place->busy = true;
    place->progress_ns = ps_clock_mono_ns();
}

/* ---- answers ----------------------------------------------------------------------------------
 */

static bool receive(struct place *place)
{
    bool more = true;
    while (more) {
        zmq_msg_t part;
        (void)zmq_msg_init(&part);
        if (zmq_msg_recv(&part, place->dealer, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&part);
            return false;
        }
        more = zmq_msg_more(&part) != 0;
        if (place->part_count < PARTS) {
            zmq_msg_t *kept = &place->part[place->part_count++];
            (void)zmq_msg_init(kept);
            (void)zmq_msg_move(kept, &part);
        }
        (void)zmq_msg_close(&part);
    }
    return true;
}

/* Sends the answer that waits. 0, or -1 and zmq_errno(): whether the client takes it shows at the
 * first frame. */
static int send_answer(struct place *place)
{
    const struct ps_client *client = &place->client;
    const int more = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    if (zmq_send(client->router, client->id, client->id_size, more) < 0)
        return -1;
    if (client->delimiter && zmq_send(client->router, "", 0, more) < 0)
        return -1;
    for (size_t i = 0; i < place->part_count; i++) {
        bool last = i + 1 == place->part_count;
        if (zmq_msg_send(&place->part[i], client->router, last ? ZMQ_DONTWAIT : more) < 0)
            return -1;
    }
    place->busy = place->part_count > 1; /* a single frame ends an answer */
    place->part_count = 0;
    return 0;
}

/* Passes answers on. False: the client is gone. */
static bool pass_answers(struct place *place, int64_t now)
{
    for (int i = 0; i < AT_ONCE; i++) {
        if (place->part_count == 0 && !receive(place))
            return true;
        if (send_answer(place) != 0) {
            int longer =
                place->wait_ms * 2 < LONGEST_WAIT_MS ? place->wait_ms * 2 : LONGEST_WAIT_MS;
            place->wait_ms = i > 0 || longer == 0 ? 1 : longer;
            place->due_ns = now + (int64_t)place->wait_ms * 1000000;
            return zmq_errno() == EAGAIN;
        }
        place->progress_ns = now;
        place->wait_ms = 0;
    }
    return true;
}

size_t ps_relay_clients_list(const struct ps_relay_clients *clients, zmq_pollitem_t *ret_items)
{
    size_t count = 0;
    for (size_t i = 0; i < clients->count; i++) {
        const struct place *place = clients->places[i];
        if (place->part_count == 0)
            ret_items[count++] = (zmq_pollitem_t){.socket = place->dealer, .events = ZMQ_POLLIN};
    }
    return count;
}

int ps_relay_clients_serve(struct ps_relay_clients *clients)
{
    struct ps_request request;
    for (int i = 0; i < AT_ONCE && ps_request_receive(clients->router, &request); i++) {
        pass_request(clients, &request);
        (void)zmq_msg_close(&request.body);
    }
    int64_t now = ps_clock_mono_ns();
    int next = -1;
    for (size_t i = 0; i < clients->count;) {
        struct place *place = clients->places[i];
        bool due = place->part_count == 0 || place->due_ns <= now;
        if (due && !pass_answers(place, now)) {
            leave(clients, i);
            continue;
        }
        if (place->part_count > 0) {
            int64_t left = (place->due_ns - now) / 1000000 + 1;
            next = next < 0 || left < next ? (int)left : next;
        }
        i++;
    }
    return next;
}
