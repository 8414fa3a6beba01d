/* Sockets that connect to a service: those of a subscriber, and the inner ones of a relay.
 *
 * Whether the service is there shows later. Messages are limited to 64 MiB a frame (ZeroMQ drops
 * the connection of who sends a longer one); of a message PS_MAX_FRAMES frames are kept. A machine
 * that is gone without a word is noticed by ZeroMQ's own heartbeats.
 */
#ifndef PS_TRANSPORT_CONNECT_H
#define PS_TRANSPORT_CONNECT_H

#include "transport/curve.h"
#include "wire/message.h"

/* Keys in Z85 text. */
struct ps_curve_client {
    const char *secret; /* ours; NULL: no CURVE */
    const char *server; /* public key of the service */
};

/* Where a service, or a relay, is. */
struct ps_service_address {
    const char *endpoint;
    const char *replay_endpoint;
    const char *curve_server; /* its public key, Z85; NULL without CURVE */
};

/* What a relay sends first to who connects and is subscribed to it: a single frame. */
#define PS_RELAY_TOPIC "relay"

/* Makes a SUB socket (for picks, status, and the word of a relay), a DEALER, or an XSUB (subscribed
 * to nothing yet), and connects it. PS_E_CONFIG: not an endpoint, not a key; PS_E_SYSTEM. */
int ps_connect(void *context, int type, const char *endpoint, const struct ps_curve_client *curve,
               void **ret_socket, struct ps_error *error);

#endif
