/* A service or relay that a subscriber listens to: its live socket and its streams.
 *
 * A service has one stream at a time and therefore one cursor, which also receives the messages of
 * a new stream: they end the old one. Behind a relay each stream has its own cursor, created with
 * the stream's first message.
 */
#ifndef PS_SUBSCRIBE_PEER_H
#define PS_SUBSCRIBE_PEER_H

#include "subscribe/link.h"
#include "subscribe/reorder.h"
#include "transport/connect.h"

enum {
    PS_SUBSCRIBER_STREAMS = 256,
    PS_SILENT_HEARTBEATS = 3 /* without a message from a service: report it */
};

/* The position in a stream: its reorder buffer, and the socket for replay requests. */
struct ps_stream_cursor {
    struct ps_reorder *reorder;
    void *replay;
};

struct ps_peer {
    struct ps_service_address address;
    struct ps_curve_client curve;
    struct ps_reorder_options order;
    void *context; /* borrowed */
    void *live;
    struct ps_stream_cursor **cursors;
    size_t cursor_count;
    bool relay;
    struct ps_link link; /* of the live socket */
    bool full;           /* more than PS_SUBSCRIBER_STREAMS streams; reported once */
};

/* Connects and creates one cursor; the caller has set the first four fields of `peer`. Call
 * ps_peer_done() after a failure too. PS_E_CONFIG, PS_E_SYSTEM, PS_E_NOMEM. */
int ps_peer_open(struct ps_peer *peer, struct ps_error *error);
void ps_peer_done(struct ps_peer *peer);

/* Finds or creates the cursor of a stream. `*ret_cursor` is NULL if a relay has more than
 * PS_SUBSCRIBER_STREAMS streams. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_peer_cursor(struct ps_peer *peer, const char *stream, struct ps_stream_cursor **ret_cursor,
                   struct ps_error *error);

/* Marks the peer as a relay. Drops the initial cursor if it has not received a message yet. */
void ps_peer_become_relay(struct ps_peer *peer);

/* Replaces the replay socket of a cursor, which discards the answers that are on their way. */
int ps_peer_open_replay(const struct ps_peer *peer, struct ps_stream_cursor *cursor,
                        struct ps_error *error);

#endif
