/* A subscriber that misses no outcome: the sockets around the reorder buffer (reorder.h).
 *
 * It listens to one or several services, each with a pair of endpoints: a SUB socket receives what
 * is published, a DEALER socket requests what was missed. Every message is checked
 * (wire/message_read.h) and put in order. An unreadable message is reported, and requested again if
 * its seq could be read. One thread; prints nothing.
 *
 * A service has one stream at a time: a different stream means a new journal. A relay announces
 * itself with its first message (transport/connect.h), and in its answer to a request that has no
 * stream but "streams": true, whichever arrives first: nothing is delivered before. It has several
 * streams at once; each has its own reorder buffer and replay socket here, and requests name the
 * stream.
 *
 * Limit: PS_SUBSCRIBER_STREAMS streams a relay; further streams are reported once and dropped.
 */
#ifndef PS_SUBSCRIBE_SUBSCRIBER_H
#define PS_SUBSCRIBE_SUBSCRIBER_H

#include "subscribe/reorder.h"
#include "transport/connect.h"

struct ps_subscriber_options {
    const struct ps_service_address *services;
    size_t service_count; /* at least one */
    struct ps_reorder_options order;
    const char *curve_secret; /* our secret key, Z85; NULL: no CURVE */
};

struct ps_subscriber;

/* Connects, and does not wait until the services answer. The texts must outlive the subscriber.
 * PS_E_CONFIG: not an endpoint, not a key; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_subscriber_new(const struct ps_subscriber_options *options,
                      struct ps_subscriber **ret_subscriber, struct ps_error *error);
void ps_subscriber_free(struct ps_subscriber *subscriber);

/* Waits for the next event; returns PS_EVENT_NONE when the descriptor `wake` (-1: none) becomes
 * readable. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_subscriber_next(struct ps_subscriber *subscriber, int wake,
                       struct ps_subscriber_event *ret_event, struct ps_error *error);

/* True if several streams are possible, so that outcomes need the name of their stream. */
bool ps_subscriber_many(const struct ps_subscriber *subscriber);

/* Gets a stream by its number, from 0; false behind the last one. `*ret_last` is the last seq that
 * was delivered in order; `ret_stream` is "" before the first message. */
bool ps_subscriber_stream(const struct ps_subscriber *subscriber, size_t number,
                          char ret_stream[PS_STREAM_TEXT], uint64_t *ret_last);

/* The number of messages that could not be read. */
uint64_t ps_subscriber_unreadable(const struct ps_subscriber *subscriber);

#endif
