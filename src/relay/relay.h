/* A relay: one address for the services of several microscopes.
 *
 * It publishes the messages of all services again, frame by frame, and passes subscriptions on to
 * them. A request goes to the service whose stream it names, and the answer comes back: the relay
 * stores nothing, everything is replayed from the journal of the service. Relays can be chained.
 *
 *     XSUB (one a service)   ─►  XPUB    publish.endpoint; drops messages of slow subscribers
 *     DEALER (one a client)  ◄─► ROUTER  publish.replay_endpoint
 *
 * The relay learns from published messages which stream belongs to which service, also after a
 * service has begun a new journal. A new subscriber of the topic "relay" receives that word as its
 * first message (connect.h).
 *
 * All resources are limited: subscribers by their high water mark, clients to PS_RELAY_CLIENTS. If
 * all clients are taken, a new one replaces an idle one. A client that does not read blocks its
 * service, not the relay.
 */
#ifndef PS_RELAY_RELAY_H
#define PS_RELAY_RELAY_H

#include "base/log.h"
#include "config/config.h"
#include "transport/connect.h"

struct ps_relay_options {
    const struct ps_service_address *services;
    size_t service_count;     /* at least one */
    const char *curve_secret; /* ours as a client of the services, Z85; NULL: no CURVE */
};

/* Runs until `signal_fd` (ps_service_signals()) delivers SIGTERM or SIGINT. The relay's endpoints
 * and CURVE keys are those in [publish] of the configuration. PS_E_CONFIG, PS_E_SYSTEM, PS_E_NOMEM:
 * cannot start. */
int ps_relay_run(const struct ps_config *config, const struct ps_relay_options *options,
                 struct ps_log *log, int signal_fd, struct ps_error *error);

#endif
