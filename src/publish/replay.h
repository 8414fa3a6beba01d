/* Messages again, for clients that missed them: in portions, so that a long replay delays neither
 * what is new nor another client, and one that does not read costs nothing but its place.
 *
 * A replay is a client and the seq after which it wants messages. Each time that the publisher has
 * a moment, every replay gets a portion; when ZeroMQ takes no more for a client, its replay waits
 * (1 ms at first, up to 100 ms while nothing moves). When all that is committed has been sent, it
 * ends with {"type":"end","last_seq":M}: as committing and publishing are this same thread's,
 * whatever comes after M is published later than the end is sent, and a client that had subscribed
 * before it asked has no gap.
 *
 * There are at most PS_REPLAYS at once, one for each client: another request of the same client
 * takes the place of the first. When all places are taken, one where nothing has moved for 10 s is
 * given up for a newcomer.
 */
#ifndef PS_PUBLISH_REPLAY_H
#define PS_PUBLISH_REPLAY_H

#include "base/log.h"
#include "base/metrics.h"
#include "journal/journal.h"
#include "wire/message.h"

#include <jansson.h>

enum { PS_REPLAYS = 32, PS_CLIENT_ID = 256 };

/* Who asked, and how it is answered. */
struct ps_client {
    void *router;
    size_t id_size;
    unsigned char id[PS_CLIENT_ID];
    bool delimiter; /* its requests have an empty frame in front, so answers have one too */
};

bool ps_client_same(const struct ps_client *a, const struct ps_client *b);

/* Sends frames to a client without waiting. 0, or -1 and zmq_errno(): EAGAIN: it has not read what
 * it got before; EHOSTUNREACH: it is gone. Nothing is sent then. */
int ps_client_send(const struct ps_client *client, const struct ps_frames *frames);

/* Sends an answer, whose reference is taken, in a frame of its own. Like ps_client_send(). */
int ps_client_answer(const struct ps_client *client, json_t *answer);

struct ps_replays;

/* NULL without memory. */
struct ps_replays *ps_replays_new(struct ps_journal *journal, struct ps_log *log,
                                  struct ps_metrics *metrics);
void ps_replays_free(struct ps_replays *replays);

/* Begins a replay. False: there are too many. */
bool ps_replays_begin(struct ps_replays *replays, const struct ps_client *client, uint64_t after);

/* Gives every replay its next portion. Returns after how many milliseconds to call again; -1: not
 * before another one begins. */
int ps_replays_proceed(struct ps_replays *replays);

#endif
