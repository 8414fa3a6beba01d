#include "publish/replay.h"

#include "base/clock.h"
#include "publish/sockets.h"
#include "transport/frames.h"
#include "wire/header.h"
#include "wire/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    MAX_PORTION_MESSAGES = 100,
    MAX_PORTION_BYTES = 4 << 20,
    MAX_WAIT_MS = 100,
    MAX_ROUND_MS = 100, /* of ps_replays_proceed() */
    STUCK_SECONDS = 10,
};

struct replay {
    struct ps_client client;
    uint64_t after;      /* the last seq that was sent */
    size_t portion;      /* messages to read next; for a slow client the number that it took last */
    int wait_ms;         /* 0: continue at once */
    int64_t due_ns;      /* monotonic: time of the next portion */
    int64_t progress_ns; /* monotonic: when a message was last sent */
};

struct ps_replays {
    struct ps_journal *journal;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct replay items[PS_MAX_REPLAYS];
    size_t count;
    size_t turn; /* the item whose portion is next */
};

/* ---- clients ----------------------------------------------------------------------------------
 */

int ps_client_begin(const struct ps_client *client)
{
    const int more = ZMQ_DONTWAIT | ZMQ_SNDMORE;
    int sent = zmq_send(client->router, client->id, client->id_size, more);
    if (sent < 0 && zmq_errno() == EAGAIN) {
        /* libzmq learns what the client has taken from commands between its threads. Sending
         * without waiting does not handle those each time; reading the events does. */
        int events = 0;
        size_t size = sizeof events;
        (void)zmq_getsockopt(client->router, ZMQ_EVENTS, &events, &size);
        sent = zmq_send(client->router, client->id, client->id_size, more);
    }
    /* Only the first frame can fail for want of space; the others follow it. */
    return sent < 0 || (client->delimiter && zmq_send(client->router, "", 0, more) < 0) ? -1 : 0;
}

int ps_client_send(const struct ps_client *client, const struct ps_frames *frames)
{
    return ps_client_begin(client) ? -1 : ps_frames_send(client->router, frames, ZMQ_DONTWAIT);
}

int ps_client_answer(const struct ps_client *client, json_t *answer)
{
    char *text = ps_json_dump(answer, PS_JSON_FORMAT);
    json_decref(answer);
    if (!text) {
        errno = ENOMEM;
        return -1;
    }
    struct ps_frames frames = {.count = 1, .frame = {{text, strlen(text)}}};
    int status = ps_client_send(client, &frames);
    free(text);
    return status;
}

bool ps_client_same(const struct ps_client *a, const struct ps_client *b)
{
    return a->router == b->router && a->id_size == b->id_size &&
           memcmp(a->id, b->id, a->id_size) == 0;
}

/* ---- the list of replays ----------------------------------------------------------------------
 */

struct ps_replays *ps_replays_new(struct ps_journal *journal, struct ps_log *log,
                                  struct ps_metrics *metrics)
{
    struct ps_replays *replays = calloc(1, sizeof *replays);
    if (!replays)
        return NULL;
    replays->journal = journal;
    replays->log = log;
    replays->metrics = metrics;
    return replays;
}

void ps_replays_free(struct ps_replays *replays)
{
    free(replays);
}

/* The entry for a client's replay: its present one, a free one, or the one stuck for longest. */
static struct replay *find_entry(struct ps_replays *replays, const struct ps_client *client,
                                 int64_t now)
{
    struct replay *stuck = NULL;
    for (size_t i = 0; i < replays->count; i++) {
        struct replay *replay = &replays->items[i];
        if (ps_client_same(&replay->client, client))
            return replay;
        if (!stuck || replay->progress_ns < stuck->progress_ns)
            stuck = replay;
    }
    if (replays->count < PS_MAX_REPLAYS)
        return &replays->items[replays->count++];
    if (now - stuck->progress_ns < (int64_t)STUCK_SECONDS * 1000000000) {
        ps_log_event(replays->log, PS_LOG_WARNING, "replay_refused",
                     "reason=\"%d replays are under way\"", PS_MAX_REPLAYS);
        return NULL;
    }
    ps_log_event(replays->log, PS_LOG_WARNING, "replay_given_up",
                 "seq=%" PRIu64 " reason=\"its client does not read\"", stuck->after);
    return stuck;
}

bool ps_replays_begin(struct ps_replays *replays, const struct ps_client *client, uint64_t after)
{
    int64_t now = ps_clock_mono_ns();
    struct replay *replay = find_entry(replays, client, now);
    if (!replay)
        return false;
    *replay = (struct replay){
        .client = *client, .after = after, .portion = MAX_PORTION_MESSAGES, .progress_ns = now};
    return true;
}

/* ---- one portion ------------------------------------------------------------------------------
 */

struct portion {
    struct replay *replay;
    size_t messages;
    size_t bytes;
    int failure; /* of the last send, or 0 */
};

static int send_one(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct portion *portion = context;
    if (portion->bytes > MAX_PORTION_BYTES)
        return 1;
    if (ps_client_send(&portion->replay->client, frames) != 0) {
        portion->failure = zmq_errno();
        return 1;
    }
    for (size_t i = 0; i < frames->count; i++)
        portion->bytes += frames->frame[i].size;
    portion->messages++;
    portion->replay->after = seq;
    return 0;
}

static json_t *end_of(struct ps_replays *replays)
{
    return json_pack("{s:s, s:s, s:s, s:I}", "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TYPE_END,
                     "stream", ps_journal_stream(replays->journal), "last_seq",
                     (json_int_t)ps_journal_last_seq(replays->journal));
}

static json_t *unreadable(const struct ps_error *error)
{
    return json_pack("{s:s, s:s, s:s+o}", "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TYPE_ERROR,
                     "reason", "the journal cannot be read: ", ps_json_text(error->message));
}

/* Sets the time and size of the next portion. */
static void plan(struct replay *replay, const struct portion *portion, int64_t now)
{
    if (portion->messages)
        replay->progress_ns = now;
    if (portion->failure == 0) {
        replay->wait_ms = 0;
        replay->portion =
            replay->portion * 2 < MAX_PORTION_MESSAGES ? replay->portion * 2 : MAX_PORTION_MESSAGES;
    } else {
        int longer = replay->wait_ms * 2 < MAX_WAIT_MS ? replay->wait_ms * 2 : MAX_WAIT_MS;
        replay->wait_ms = portion->messages || longer == 0 ? 1 : longer;
        replay->portion = portion->messages ? portion->messages : 1;
    }
    replay->due_ns = now + (int64_t)replay->wait_ms * 1000000;
}

/* Sends a portion. False: the replay has ended. */
static bool step(struct ps_replays *replays, struct replay *replay, int64_t now)
{
    struct portion portion = {.replay = replay};
    struct ps_error error;
    if (ps_journal_replay(replays->journal, replay->after, replay->portion, send_one, &portion,
                          &error) != 0) {
        ps_log_reason(replays->log, PS_LOG_ERROR, "replay_failed", error.message);
        (void)ps_client_answer(&replay->client, unreadable(&error));
        return false;
    }
    ps_metrics_add(replays->metrics, PS_COUNTER_REPLAYED, portion.messages);
    bool all = portion.failure == 0 && portion.messages == 0;
    if (all && ps_client_answer(&replay->client, end_of(replays)) != 0)
        portion.failure = zmq_errno();
    if ((all && portion.failure == 0) || (portion.failure && portion.failure != EAGAIN))
        return false;
    plan(replay, &portion, now);
    return true;
}

int ps_replays_proceed(struct ps_replays *replays)
{
    int64_t now = ps_clock_mono_ns();
    const int64_t end = now + MAX_ROUND_MS * INT64_C(1000000);
    int64_t next = INT64_MAX;
    for (size_t left = replays->count; left > 0; left--) {
        if (ps_clock_mono_ns() >= end)
            return 0; /* the next round begins with the others */
        replays->turn %= replays->count;
        struct replay *replay = &replays->items[replays->turn];
        if (replay->due_ns > now || step(replays, replay, now)) {
            next = replay->due_ns < next ? replay->due_ns : next;
            replays->turn++;
        } else {
            *replay = replays->items[--replays->count];
        }
    }
    if (replays->count == 0)
        return -1;
    return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}
