/* A subscriber that misses nothing: the sockets around the state machine of reorder.h.
 *
 * It listens to one service or to several at once, each behind its own pair of endpoints: a SUB
 * socket hears what is published, a DEALER socket asks for what was missed. Everything that arrives
 * is read and checked (wire/message_read.h) and put in order; what cannot be read is told, and
 * asked for where it had a seq. One thread; nothing here prints.
 *
 * A service has one stream at a time: another one means that its journal is a new one. Behind a
 * relay, which says so with its first message (transport/connect.h), there are several streams at
 * once; each has an order and a replay socket of its own here, and requests name it.
 *
 * Limits: PS_SUBSCRIBER_STREAMS streams a relay; what is heard of others is told once and dropped.
 */
#ifndef PS_SUBSCRIBE_SUBSCRIBER_H
#define PS_SUBSCRIBE_SUBSCRIBER_H

#include "subscribe/reorder.h"
#include "transport/connect.h"

struct ps_subscriber_options {
    const struct ps_service_address *services;
    size_t service_count; /* at least one */
    struct ps_sequence_options order;
    const char *curve_secret; /* our secret key, Z85; NULL: no CURVE */
};

struct ps_subscriber;

/* Connects; whether the services are there shows later. The texts must outlive the subscriber.
 * PS_E_CONFIG: not an endpoint, not a key; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_subscriber_new(const struct ps_subscriber_options *options,
                      struct ps_subscriber **ret_subscriber, struct ps_error *error);
void ps_subscriber_free(struct ps_subscriber *subscriber);

/* Waits for the next piece of news; PS_NEWS_NONE when the descriptor `wake` can be read (-1: none).
 * PS_E_NOMEM, PS_E_SYSTEM. */
int ps_subscriber_next(struct ps_subscriber *subscriber, int wake, struct ps_news *ret_news,
                       struct ps_error *error);

/* Whether there may be several streams at once, that outcomes must be told apart by. */
bool ps_subscriber_many(const struct ps_subscriber *subscriber);

/* The streams heard, by number from 0: false behind the last one. `*ret_last` is the last seq that
 * came out in order; `ret_stream` is "" where nothing was heard yet. */
bool ps_subscriber_stream(const struct ps_subscriber *subscriber, size_t number,
                          char ret_stream[PS_STREAM_TEXT], uint64_t *ret_last);

/* How many messages could not be read. */
uint64_t ps_subscriber_unreadable(const struct ps_subscriber *subscriber);

#endif
