/* Subscriptions of the clients of an XPUB socket, and their limits.
 *
 * ZeroMQ keeps every topic that a client sends, a tree node for each byte of it, does not limit
 * them, and walks over the whole tree when a client disconnects. Here a connection has at most
 * PS_MAX_CLIENT_TOPICS topics of PS_MAX_TOPIC_BYTES, and sends at most PS_MAX_CLIENT_CHANGES
 * messages in PS_CHANGES_SECONDS. A client that exceeds a limit is disconnected, logged with its
 * address (event=client_disconnected), and counted. If the topics of all clients exceed
 * PS_MAX_TOPIC_BYTES_IN_ALL, that is the client that has the most.
 *
 * A connection is identified by its descriptor, which ZeroMQ tells with each message, and the
 * kernel's cookie of the socket, because descriptors are used again. Messages of ZMTP before 3.0
 * would come without a descriptor; sockets.c refuses such clients.
 */
#ifndef PS_PUBLISH_SUBSCRIPTIONS_H
#define PS_PUBLISH_SUBSCRIPTIONS_H

#include "base/log.h"
#include "base/metrics.h"
#include "publish/gate.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    PS_MAX_TOPIC_BYTES = 32,
    PS_MAX_CLIENT_TOPICS = 32,
    PS_MAX_CLIENT_CHANGES = 1000,
    PS_CHANGES_SECONDS = 10,
    PS_MAX_TOPIC_BYTES_IN_ALL = 64 << 10, /* one more than its length for each topic */
};

/* A client begins or ends a subscription to all topics that begin with `topic`. */
struct ps_subscription {
    bool begin;
    size_t length;
    char topic[PS_MAX_TOPIC_BYTES]; /* without a NUL */
};

struct ps_subscriptions;

/* All arguments are borrowed; `gate` can be NULL. NULL without memory. */
struct ps_subscriptions *ps_subscriptions_new(void *xpub, struct ps_gate *gate, struct ps_log *log,
                                              struct ps_metrics *metrics);
void ps_subscriptions_free(struct ps_subscriptions *subscriptions);

/* Takes the next change; false: none waits. A client can begin the same one twice, but ends only
 * what it has. Call it until it is false, about once a second: it then forgets connections that
 * have ended, and sets the gauge of subscriptions. */
bool ps_subscriptions_next(struct ps_subscriptions *subscriptions, struct ps_subscription *ret);

/* True if `topic` begins with the topic of a subscription. */
bool ps_subscription_matches(const struct ps_subscription *subscription, const char *topic);

#endif
