/* A subscriber that misses nothing: the sockets around the state machine of sequence.h.
 *
 * A SUB socket hears what is published, a DEALER socket asks for what was missed. Everything that
 * arrives is read and checked (output/message_read.h) and put in order; what cannot be read is
 * told, and asked for where it had a seq. One thread; nothing here prints.
 *
 * Limits: a frame has 64 MiB at most (ZeroMQ drops the connection of who sends a longer one); of
 * a message the first PS_MAX_FRAMES frames are read.
 */
#ifndef PS_STREAM_SUBSCRIBER_H
#define PS_STREAM_SUBSCRIBER_H

#include "stream/sequence.h"

struct ps_subscriber_options {
    const char *endpoint;
    const char *replay_endpoint;
    struct ps_sequence_options order;
    const char *curve_secret; /* our secret key, Z85; NULL: no CURVE */
    const char *curve_server; /* public key of the service, Z85 */
};

struct ps_subscriber;

/* Connects; whether the service is there shows later. The texts must outlive the subscriber.
 * PS_E_CONFIG: not an endpoint, not a key; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_subscriber_new(const struct ps_subscriber_options *options,
                      struct ps_subscriber **ret_subscriber, struct ps_error *error);
void ps_subscriber_free(struct ps_subscriber *subscriber);

/* Waits for the next piece of news; PS_NEWS_NONE when the descriptor `wake` can be read (-1: none).
 * PS_E_NOMEM, PS_E_SYSTEM. */
int ps_subscriber_next(struct ps_subscriber *subscriber, int wake, struct ps_news *ret_news,
                       struct ps_error *error);

/* The last seq that came out in order. */
uint64_t ps_subscriber_last(const struct ps_subscriber *subscriber);

/* How many messages could not be read. */
uint64_t ps_subscriber_unreadable(const struct ps_subscriber *subscriber);

#endif
