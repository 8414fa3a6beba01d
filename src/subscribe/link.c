#include "subscribe/link.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

/* ns: how long a state lasts before it is reported, and before a refused key is tried again. */
static const int64_t REPORT_DELAY = 2000000000;
static const int64_t AGAIN_DELAY = 2000000000;

int ps_link_open(struct ps_link *link, void *context, void *socket, const char *endpoint,
                 bool curve, int64_t silence_ns, struct ps_error *error)
{
    static _Atomic unsigned count;
    char address[48];
    const int64_t now = ps_clock_mono_ns();
    *link = (struct ps_link){.socket = socket,
                             .endpoint = endpoint,
                             .curve = curve,
                             .since_ns = now,
                             .received_ns = now,
                             .silence_ns = silence_ns};
    (void)snprintf(address, sizeof address, "inproc://link-%u", count++);
    link->monitor = zmq_socket(context, ZMQ_PAIR);
    if (!link->monitor || zmq_socket_monitor(socket, address, ZMQ_EVENT_ALL) != 0 ||
        zmq_connect(link->monitor, address) != 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot watch a connection: %s", zmq_strerror(errno));
    return 0;
}

void ps_link_close(struct ps_link *link)
{
    if (link->socket)
        (void)zmq_socket_monitor(link->socket, NULL, 0);
    if (link->monitor)
        (void)zmq_close(link->monitor);
    *link = (struct ps_link){0};
}

static void enter(struct ps_link *link, enum ps_link_state state, int64_t now_ns)
{
    if (link->state == state)
        return;
    link->state = state;
    link->since_ns = now_ns;
}

static void handle(struct ps_link *link, unsigned event, int64_t now_ns)
{
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        link->attempted = true;
        if (link->state != PS_LINK_FAILED && link->state != PS_LINK_DENIED)
            enter(link, PS_LINK_HANDSHAKE, now_ns);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        link->received_ns = now_ns;
        enter(link, PS_LINK_READY, now_ns);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        enter(link, PS_LINK_FAILED, now_ns);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        enter(link, event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH ? PS_LINK_DENIED : PS_LINK_FAILED,
              now_ns);
        link->again_ns = now_ns + AGAIN_DELAY;
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (link->state >= PS_LINK_READY)
            enter(link, PS_LINK_LOST, now_ns);
        break;
    case ZMQ_EVENT_CLOSED:
        link->attempted = true;
        enter(link, PS_LINK_REFUSED, now_ns);
        break;
    case ZMQ_EVENT_CONNECT_DELAYED:
        link->attempted = true;
        break;
    case ZMQ_EVENT_CONNECT_RETRIED:
        if (!link->attempted)
            enter(link, PS_LINK_UNRESOLVED, now_ns);
        link->attempted = false;
        break;
    default:
        break;
    }
}

/* An event is two frames: its number (16 bits) and value (32 bits), and the address. */
void ps_link_read(struct ps_link *link, int64_t now_ns)
{
    unsigned char frame[6];
    char address[256];
    int length;
    while ((length = zmq_recv(link->monitor, frame, sizeof frame, ZMQ_DONTWAIT)) >= 0) {
        (void)zmq_recv(link->monitor, address, sizeof address, ZMQ_DONTWAIT);
        uint16_t event;
        memcpy(&event, frame, sizeof event);
        if (length == sizeof frame)
            handle(link, event, now_ns);
    }
}

bool ps_link_heard(struct ps_link *link, int64_t now_ns)
{
    const bool problem = link->reported & ~(1U << PS_LINK_READY);
    link->received_ns = now_ns;
    link->reported = 0;
    enter(link, PS_LINK_HEARD, now_ns);
    return problem;
}

static bool is_connected(const struct ps_link *link)
{
    return link->state >= PS_LINK_READY;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t ps_link_deadline(const struct ps_link *link)
{
    int64_t deadline = link->again_ns ? link->again_ns : INT64_MAX;
    if (link->state != PS_LINK_HEARD && !(link->reported & 1U << link->state))
        deadline = smaller(deadline, link->since_ns + REPORT_DELAY);
    if (is_connected(link) && !(link->reported & 1U << PS_LINK_SILENT))
        deadline = smaller(deadline, link->received_ns + link->silence_ns);
    return deadline;
}

static const char *state_text(const struct ps_link *link)
{
    switch (link->state) {
    case PS_LINK_CONNECTING:
        return "still connecting: the machine does not answer";
    case PS_LINK_UNRESOLVED:
        return "still connecting: the name of the machine is unknown";
    case PS_LINK_REFUSED:
        return "connection refused: does the service run, with this endpoint?";
    case PS_LINK_HANDSHAKE:
        return "connected, but it does not answer as a service does";
    case PS_LINK_FAILED:
        return link->curve ? "handshake failed: --curve-server is not the key of this service, or "
                             "it uses no keys"
                           : "handshake failed: the service needs keys: --curve-key and "
                             "--curve-server";
    case PS_LINK_DENIED:
        return "handshake failed: the service does not know our key: its publish.curve_clients "
               "must list it";
    case PS_LINK_LOST:
        return "connection lost, connecting again";
    case PS_LINK_READY:
        return "connected, waiting for the first message";
    case PS_LINK_SILENT:
        return "connected, but several heartbeats are missing";
    case PS_LINK_HEARD:
        break;
    }
    return NULL;
}

const char *ps_link_report(struct ps_link *link, int64_t now_ns)
{
    if (link->again_ns && now_ns >= link->again_ns) {
        link->again_ns = 0;
        (void)zmq_disconnect(link->socket, link->endpoint);
        (void)zmq_connect(link->socket, link->endpoint);
    }
    if (is_connected(link) && now_ns >= link->received_ns + link->silence_ns)
        enter(link, PS_LINK_SILENT, now_ns - REPORT_DELAY);
    if (link->state == PS_LINK_HEARD || link->reported & 1U << link->state ||
        now_ns < link->since_ns + REPORT_DELAY)
        return NULL;
    link->reported |= 1U << link->state;
    return state_text(link);
}
