/* A relay: one address for the services of several microscopes.
 *
 * What the services publish is published again, frame by frame, and what is subscribed to here is
 * subscribed to there. Requests are passed on to the service whose stream they name, and its
 * answers come back: the relay keeps nothing, a journal there is where everything is replayed from.
 * Several relays may stand behind each other.
 *
 *     XSUB (one a service)   ─►  XPUB    publish.endpoint, which drops for those who do not keep up
 *     DEALER (one a client)  ◄─► ROUTER  publish.replay_endpoint
 *
 * Which stream is behind which endpoint it learns from what they publish. A service whose journal
 * is a new one is found by its new stream. The first frame of whoever connects and subscribes to
 * "relay" is that word (connect.h).
 *
 * Everything is bounded: subscribers by their high water mark, clients by PS_RELAY_CLIENTS, of
 * which one that has nothing under way gives way to a newcomer. A client that does not read makes
 * its service wait, not the relay.
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

/* Runs until `signal_fd` (ps_service_signals()) has SIGTERM or SIGINT. Endpoints of our own, and
 * their CURVE keys, are those of the configuration's [publish]. PS_E_CONFIG, PS_E_SYSTEM,
 * PS_E_NOMEM: could not start. */
int ps_relay_run(const struct ps_config *config, const struct ps_relay_options *options,
                 struct ps_log *log, int signal_fd, struct ps_error *error);

#endif
