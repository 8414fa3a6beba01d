/* The clients of a relay, and the services that their requests go to (relay.h). */
#ifndef PS_RELAY_SESSIONS_H
#define PS_RELAY_SESSIONS_H

#include "base/log.h"
#include "publish/gate.h"
#include "transport/connect.h"
#include "wire/message_read.h"

#include <zmq.h>

enum { PS_RELAY_CLIENTS = 64, PS_RELAY_STREAMS = 64 };

/* A service behind the relay, or another relay, which has several streams. */
struct ps_relayed {
    struct ps_service_address address;
    struct ps_curve_client curve;
    void *live; /* XSUB */
    struct {
        char name[PS_STREAM_TEXT];
        uint64_t last_seq;
    } streams[PS_RELAY_STREAMS]; /* the most recently active first */
    size_t stream_count;
    int64_t received_ns; /* when the last message came */
    bool silent;         /* it has not for long, and that was logged */
};

struct ps_relay_clients;

/* `gate` and `services` are borrowed. NULL without memory. */
struct ps_relay_clients *ps_relay_clients_new(void *context, void *router, struct ps_gate *gate,
                                              const struct ps_relayed *services, size_t count,
                                              struct ps_log *log);
void ps_relay_clients_free(struct ps_relay_clients *clients);

/* Writes the poll items of the clients' sockets, except those with an answer that waits. Returns
 * their number. */
size_t ps_relay_clients_list(const struct ps_relay_clients *clients, zmq_pollitem_t *ret_items);

/* Passes requests and answers on, up to 100 requests, and 100 messages for each client. Returns the
 * milliseconds until the next call; -1: call again when a socket is readable. */
int ps_relay_clients_serve(struct ps_relay_clients *clients);

#endif
