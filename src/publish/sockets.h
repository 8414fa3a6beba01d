/* The sockets of the service: made, bound, and closed here; used by the publisher's thread alone.
 *
 *     publish  XPUB    publish.endpoint: picks and status; drops for a subscriber that does not
 *                      keep up (publish.high_water_mark), so none ever delays another
 *     replay   ROUTER  publish.replay_endpoint: requests of subscribers
 *     control  ROUTER  STATE_DIRECTORY/control.sock: requests of this machine's operators
 *     zap      REP     only with CURVE: who may connect (admission.h)
 *
 * Whoever holds the state directory's lock owns control.sock, so a file of an earlier run is
 * replaced there. Peers that have gone without a word are found by ZeroMQ's own heartbeats.
 */
#ifndef PS_PUBLISH_SOCKETS_H
#define PS_PUBLISH_SOCKETS_H

#include "base/log.h"
#include "config/config.h"
#include "transport/curve.h"
#include "transport/endpoint.h"
#include "wire/message.h"

enum { PS_MONITORS = 2 };

struct ps_sockets {
    void *context;
    void *publish;
    void *replay;
    void *control;                /* NULL of a relay */
    void *zap;                    /* NULL without CURVE */
    void *monitors[PS_MONITORS];  /* of publish and replay; NULL without CURVE */
    struct ps_curve_keys allowed; /* clients, with CURVE */
    int locks[PS_MONITORS];       /* of ipc endpoints, or -1 */
    char publish_endpoint[PS_ENDPOINT_TEXT];
    char replay_endpoint[PS_ENDPOINT_TEXT];
};

/* Who uses them. A relay has no journal, so no control socket; and `publish` says that it is one to
 * whoever connects (transport/connect.h). */
enum ps_sockets_user { PS_SOCKETS_SERVICE, PS_SOCKETS_RELAY };

/* Makes and binds all of them; what is doubtful about the configuration is logged as a warning.
 * PS_E_CONFIG: an endpoint that is none, or may not be bound without CURVE; keys unreadable or
 * malformed. PS_E_SYSTEM: cannot be bound. */
int ps_sockets_open(const struct ps_config *config, enum ps_sockets_user user, struct ps_log *log,
                    struct ps_sockets *ret_sockets, struct ps_error *error);

/* Closes them; what is still to be sent has a second for it. All zeros are fine too. */
void ps_sockets_close(struct ps_sockets *sockets);

#endif
