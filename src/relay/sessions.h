/* The clients of a relay, and the services that their requests go to (relay.h). */
#ifndef PS_RELAY_SESSIONS_H
#define PS_RELAY_SESSIONS_H

#include "base/log.h"
#include "transport/connect.h"
#include "wire/message_read.h"

#include <zmq.h>

enum { PS_RELAY_CLIENTS = 64, PS_RELAY_STREAMS = 64 };

/* A service behind the relay, or another relay: then there are several streams. */
struct ps_relayed {
    struct ps_service_address address;
    struct ps_curve_client curve;
    void *live; /* XSUB */
    struct {
        char name[PS_STREAM_TEXT];
        uint64_t last_seq;
    } streams[PS_RELAY_STREAMS]; /* that were heard, the last one first */
    size_t stream_count;
    int64_t received_ns; /* when the last message came */
    bool silent;         /* it has not for long, and that was logged */
};

struct ps_relay_clients;

/* `services` is borrowed. NULL without memory. */
struct ps_relay_clients *ps_relay_clients_new(void *context, void *router,
                                              const struct ps_relayed *services, size_t count,
                                              struct ps_log *log);
void ps_relay_clients_free(struct ps_relay_clients *clients);

/* How many sockets are to be polled, and puts them there: those whose answers can be passed on. */
size_t ps_relay_clients_list(const struct ps_relay_clients *clients, zmq_pollitem_t *ret_items);

/* Passes requests and answers on, a hundred of each at most. Returns after how many milliseconds to
 * call again; -1: not before a socket has something. */
int ps_relay_clients_serve(struct ps_relay_clients *clients);

#endif
