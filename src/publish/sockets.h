/* The sockets of the service: creates, binds and closes them; the publisher's thread alone uses
 * them. A gate (gate.h) bounds their connections.
 *
 *     publish  XPUB    publish.endpoint: picks and status; drops messages of a subscriber that does
 *                      not keep up (publish.high_water_mark), so that it does not delay others
 *     replay   ROUTER  publish.replay_endpoint: requests of subscribers
 *     control  ROUTER  STATE_DIRECTORY/control.sock: requests of operators on this machine
 *     zap      REP     only with CURVE: admission of clients (admission.h)
 *
 * The holder of the state directory's lock owns control.sock, so the file of an earlier run is
 * replaced. ZeroMQ's heartbeats detect peers that vanished without disconnecting.
 */
#ifndef PS_PUBLISH_SOCKETS_H
#define PS_PUBLISH_SOCKETS_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "publish/gate.h"
#include "transport/curve.h"
#include "transport/endpoint.h"
#include "wire/message.h"

enum { PS_PUBLIC_ENDPOINTS = 2 };

struct ps_sockets {
    void *context;
    void *publish;
    void *replay;
    void *control; /* NULL in a relay */
    void *zap;     /* NULL without CURVE */
    struct ps_gate *gate;
    struct ps_curve_keys allowed;   /* clients, with CURVE */
    int locks[PS_PUBLIC_ENDPOINTS]; /* of ipc endpoints, or -1 */
    char publish_endpoint[PS_ENDPOINT_TEXT];
    char replay_endpoint[PS_ENDPOINT_TEXT];
};

/* The program that uses the sockets. A relay has no journal, so no control socket, and its
 * `publish` announces to each new subscriber that it is a relay (transport/connect.h). */
enum ps_sockets_user { PS_SOCKETS_SERVICE, PS_SOCKETS_RELAY };

/* Creates and binds all of them; logs a warning for each doubtful setting. PS_E_CONFIG: a malformed
 * endpoint, one that needs CURVE to be bound, or unreadable or malformed keys. PS_E_SYSTEM: an
 * endpoint cannot be bound. */
int ps_sockets_open(const struct ps_config *config, enum ps_sockets_user user, struct ps_log *log,
                    struct ps_metrics *metrics, struct ps_sockets *ret_sockets,
                    struct ps_error *error);

/* Closes them; unsent messages have one second. Accepts all zeros. */
void ps_sockets_close(struct ps_sockets *sockets);

#endif
