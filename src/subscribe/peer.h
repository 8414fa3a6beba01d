/* A service, or a relay, that a subscriber listens to: its live socket, and its streams.
 *
 * A service has one stream at a time, so one line: what was heard of another stream belongs to it
 * too, and says that the first is over. Behind a relay each stream has a line of its own, begun
 * when it is first heard.
 */
#ifndef PS_SUBSCRIBE_PEER_H
#define PS_SUBSCRIBE_PEER_H

#include "subscribe/reorder.h"
#include "transport/connect.h"

enum { PS_SUBSCRIBER_STREAMS = 256 };

/* A stream in order, and the socket that asks for what is missing in it. */
struct ps_line {
    struct ps_sequence *sequence;
    void *replay;
};

struct ps_peer {
    struct ps_service_address address;
    struct ps_curve_client curve;
    struct ps_sequence_options order;
    void *context; /* borrowed */
    void *live;
    struct ps_line **lines;
    size_t line_count;
    bool relay;
    bool full;        /* there were too many streams, and that was told */
    int64_t heard_ns; /* when the live socket said something */
    bool silent;      /* it has not for long, and that was told */
};

/* Connects, with one line; `peer` has its first four fields. On failure it is to be given to
 * ps_peer_done() too. PS_E_CONFIG, PS_E_SYSTEM, PS_E_NOMEM. */
int ps_peer_open(struct ps_peer *peer, struct ps_error *error);
void ps_peer_done(struct ps_peer *peer);

/* The line that messages of a stream belong to. `*ret_line` is NULL where a relay has more than
 * PS_SUBSCRIBER_STREAMS of them. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_peer_line(struct ps_peer *peer, const char *stream, struct ps_line **ret_line,
                 struct ps_error *error);

/* It is a relay. The line of whatever comes first is kept only if something has come. */
void ps_peer_become_relay(struct ps_peer *peer);

/* Connects the replay socket of a line anew: answers that are under way are not wanted. */
int ps_peer_open_replay(const struct ps_peer *peer, struct ps_line *line, struct ps_error *error);

#endif
