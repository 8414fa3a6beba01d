/* Replays: sends messages again to clients that missed them, in portions, so that a long replay
 * delays neither new messages nor other clients. A client that does not read uses up an entry,
 * nothing else.
 *
 * A replay is a client and the seq after which it wants messages. Each round of the publisher sends
 * a portion of every replay. When ZeroMQ accepts no more for a client, its replay waits (1 ms at
 * first, up to MAX_WAIT_MS while nothing moves). When all committed messages were sent, the replay
 * ends with
 * {"type":"end","last_seq":M}. Committing and publishing are done by the same thread, so what comes
 * after M is published after the end is sent, and a client that subscribed before its request has
 * no gap.
 *
 * Up to PS_MAX_REPLAYS run at once, one for each client: another request of the same client
 * replaces its replay. If all entries are used, a new client gets one whose replay has not moved
 * for 10 s.
 */
#ifndef PS_PUBLISH_REPLAY_H
#define PS_PUBLISH_REPLAY_H

#include "base/log.h"
#include "base/metrics.h"
#include "journal/journal.h"
#include "wire/message.h"

#include <jansson.h>

enum { PS_MAX_REPLAYS = 32, PS_MAX_CLIENT_ID = 256 };

/* A client of a ROUTER socket, and how to answer it. */
struct ps_client {
    void *router;
    size_t id_size;
    unsigned char id[PS_MAX_CLIENT_ID];
    bool delimiter; /* its requests begin with an empty frame, so answers do too */
};

bool ps_client_same(const struct ps_client *a, const struct ps_client *b);

/* Sends what precedes the frames of a message to a client; the frames must follow. Returns as
 * ps_client_send(). */
int ps_client_begin(const struct ps_client *client);

/* Sends frames to a client without waiting. 0, or -1 with zmq_errno(), and nothing is sent: EAGAIN:
 * it has not read earlier messages; EHOSTUNREACH: it is disconnected. */
int ps_client_send(const struct ps_client *client, const struct ps_frames *frames);

/* Sends an answer as one frame; takes the reference. Returns as ps_client_send(). */
int ps_client_answer(const struct ps_client *client, json_t *answer);

struct ps_replays;

/* NULL without memory. */
struct ps_replays *ps_replays_new(struct ps_journal *journal, struct ps_log *log,
                                  struct ps_metrics *metrics);
void ps_replays_free(struct ps_replays *replays);

/* Begins a replay. False: too many are running. */
bool ps_replays_begin(struct ps_replays *replays, const struct ps_client *client, uint64_t after);

/* Sends the next portion of every replay that is due, for 100 ms at most. Returns the milliseconds
 * until the next call; -1: none is running. */
int ps_replays_proceed(struct ps_replays *replays);

#endif
