/* Sockets that connect to a service: those of a subscriber, and the inner ones of a relay.
 *
 * Connecting does not wait for the service. A frame is limited to 64 MiB (ZeroMQ drops the
 * connection of a sender that exceeds it), a message to PS_MAX_FRAMES frames; further frames are
 * dropped, but ZeroMQ keeps them in memory until the message has ended, and has no limit for that.
 * ZeroMQ's heartbeats detect a machine that disappears without closing the connection.
 */
#ifndef PS_TRANSPORT_CONNECT_H
#define PS_TRANSPORT_CONNECT_H

#include "transport/curve.h"
#include "wire/message.h"

/* Keys as Z85 text. */
struct ps_curve_client {
    const char *secret; /* ours; NULL: no CURVE */
    const char *server; /* public key of the service */
};

/* The endpoints of a service or relay. */
struct ps_service_address {
    const char *endpoint;
    const char *replay_endpoint;
    const char *curve_server; /* its public key, Z85; NULL without CURVE */
};

/* The message, a single frame, that a relay sends to a new subscriber of this topic. */
#define PS_RELAY_TOPIC "relay"

/* Creates and connects a socket: a SUB (subscribed to picks, status and PS_RELAY_TOPIC), a DEALER,
 * or an XSUB (without subscriptions). PS_E_CONFIG: not an endpoint, not a key; PS_E_SYSTEM. */
int ps_connect(void *context, int type, const char *endpoint, const struct ps_curve_client *curve,
               void **ret_socket, struct ps_error *error);

/* The two steps of ps_connect(), for a caller that sets more options in between. */
int ps_connect_prepare(void *context, int type, const struct ps_curve_client *curve,
                       void **ret_socket, struct ps_error *error);
int ps_connect_to(void *socket, const char *endpoint, struct ps_error *error);

#endif
