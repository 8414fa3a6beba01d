/* One turn: take news; ask the replay sockets if that is wanted; wait; hear one message of one
 * socket, all that have some in turns, or let time pass. Time passes for a stream only while no
 * answer of its replay waits to be read, so that a reader who was slow himself gives nothing up. */
#include "subscribe/subscriber.h"

#include "base/clock.h"
#include "base/error.h"
#include "pickstream_wire.h"
#include "subscribe/peer.h"
#include "transport/frames.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const int64_t millisecond_ns = 1000000;

enum { SILENT_HEARTBEATS = 3 /* without a word from a service: say so */ };

struct ps_subscriber {
    struct ps_sequence_options order;
    void *context;
    struct ps_peer *peers;
    size_t peer_count;
    zmq_pollitem_t *items; /* all sockets, and what wakes us */
    size_t room;           /* for so many of them */
    size_t turn;           /* number of the socket that is looked at first */
    uint64_t unreadable;
};

/* ---- lifecycle ------------------------------------------------------------------------------- */

int ps_subscriber_new(const struct ps_subscriber_options *options,
                      struct ps_subscriber **ret_subscriber, struct ps_error *error)
{
    struct ps_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber)
        return ps_fail_memory(error, sizeof *subscriber, "a subscriber");
    subscriber->order = options->order;
    subscriber->peers = calloc(options->service_count, sizeof *subscriber->peers);
    subscriber->context = zmq_ctx_new();
    int status = 0;
    if (!subscriber->peers || !subscriber->context)
        status = ps_fail_memory(error, 1 << 18, "a subscriber");
    for (size_t i = 0; i < options->service_count && status == 0; i++) {
        const struct ps_service_address *address = &options->services[i];
        subscriber->peers[subscriber->peer_count++] = (struct ps_peer){
            .address = *address,
            .curve = {options->curve_secret, address->curve_server},
            .order = options->order,
            .context = subscriber->context,
        };
        status = ps_peer_open(&subscriber->peers[i], error);
    }
    if (status != 0) {
        ps_subscriber_free(subscriber);
        return status;
    }
    *ret_subscriber = subscriber;
    return 0;
}

void ps_subscriber_free(struct ps_subscriber *subscriber)
{
    if (!subscriber)
        return;
    for (size_t i = 0; i < subscriber->peer_count; i++)
        ps_peer_done(&subscriber->peers[i]);
    if (subscriber->context)
        (void)zmq_ctx_term(subscriber->context);
    free(subscriber->peers);
    free(subscriber->items);
    free(subscriber);
}

/* ---- what is heard --------------------------------------------------------------------------- */

/* Makes a note for the caller. */
__attribute__((format(printf, 2, 3))) static void note(struct ps_news *ret, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *ret = (struct ps_news){.kind = PS_NEWS_NOTE};
    (void)vsnprintf(ret->text, sizeof ret->text, format, arguments);
    va_end(arguments);
}

/* Reads the body of an outcome. Where that cannot be done `*ret_heard` stays NULL, and it is noted.
 * PS_E_NOMEM. */
static int read_outcome(struct ps_subscriber *subscriber, const struct ps_frames *frames,
                        uint64_t seq, struct ps_heard **ret_heard, struct ps_news *ret,
                        struct ps_error *error)
{
    int status = ps_heard_read(frames, ret_heard, error);
    if (status != PS_E_INPUT)
        return status;
    subscriber->unreadable++;
    note(ret, "seq %" PRIu64 ": cannot be read: %s", seq, error->message);
    return 0;
}

static bool topic_is(const struct ps_frames *frames, const char *topic)
{
    const struct ps_frame *frame = &frames->frame[0];
    return frame->size == strlen(topic) && memcmp(frame->data, topic, frame->size) == 0;
}

/* The line that a message belongs to; NULL: none, for there are too many. */
static int choose_line(struct ps_peer *peer, const char *stream, struct ps_line **ret_line,
                       struct ps_news *ret, struct ps_error *error)
{
    int status = ps_peer_line(peer, stream, ret_line, error);
    if (status == 0 && !*ret_line && !peer->full) {
        peer->full = true;
        note(ret, "%.200s has more than %d streams: the others are not heard",
             peer->address.endpoint, PS_SUBSCRIBER_STREAMS);
    }
    return status;
}

static int hear_live(struct ps_subscriber *subscriber, struct ps_peer *peer,
                     const struct ps_frames *frames, struct ps_news *ret, struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    struct ps_envelope envelope;
    peer->heard_ns = now;
    if (topic_is(frames, PS_RELAY_TOPIC) && frames->count == 1)
        ps_peer_become_relay(peer);
    if (!topic_is(frames, PS_WIRE_TOPIC_PICKS) && !topic_is(frames, PS_WIRE_TOPIC_STATUS))
        return 0; /* a later version's, that begins with the same letters */
    if (ps_envelope_read(frames, &envelope, error) != 0) {
        subscriber->unreadable++;
        note(ret, "a message that cannot be read: %s", error->message);
        return 0;
    }
    if (peer->silent)
        note(ret, "heard from %.200s", peer->address.endpoint);
    peer->silent = false;
    if (envelope.type != PS_MESSAGE_PICKS && envelope.type != PS_MESSAGE_STATUS)
        return 0;
    struct ps_line *line = NULL;
    int status = choose_line(peer, envelope.stream, &line, ret, error);
    if (!line)
        return status;
    if (envelope.type == PS_MESSAGE_STATUS) {
        ps_sequence_status(line->sequence, envelope.stream, envelope.seq, now);
        return 0;
    }
    struct ps_heard *heard = NULL;
    status = read_outcome(subscriber, frames, envelope.seq, &heard, ret, error);
    if (heard)
        ps_sequence_live(line->sequence, heard, now);
    else if (status == 0)
        ps_sequence_unreadable(line->sequence, envelope.stream, envelope.seq, now);
    return status;
}

static int hear_replay(struct ps_subscriber *subscriber, const struct ps_peer *peer,
                       struct ps_line *line, const struct ps_frames *frames, struct ps_news *ret,
                       struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    struct ps_envelope envelope;
    if (ps_envelope_read(frames, &envelope, error) != 0) {
        subscriber->unreadable++;
        note(ret, "an answer that cannot be read: %s", error->message);
        return 0;
    }
    struct ps_heard *heard = NULL;
    int status = 0;
    switch (envelope.type) {
    case PS_MESSAGE_PICKS:
        status = read_outcome(subscriber, frames, envelope.seq, &heard, ret, error);
        if (status == 0)
            ps_sequence_replayed(line->sequence, heard, envelope.stream, envelope.seq, now);
        break;
    case PS_MESSAGE_END:
        ps_sequence_end(line->sequence, envelope.seq, now);
        break;
    case PS_MESSAGE_ERROR:
        note(ret, "%.200s refuses to replay: %s", peer->address.replay_endpoint, envelope.reason);
        break;
    case PS_MESSAGE_STATUS:
    case PS_MESSAGE_OTHER:
        break;
    }
    return status;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Asks for what a line wants, if it wants anything now. */
static int ask(const struct ps_peer *peer, struct ps_line *line, struct ps_error *error)
{
    uint64_t since = 0;
    bool fresh = false;
    if (!ps_sequence_wants(line->sequence, &since, &fresh, ps_clock_mono_ns()))
        return 0;
    char request[128], stream[PS_STREAM_TEXT + 16] = "";
    if (peer->relay)
        (void)snprintf(stream, sizeof stream, ",\"stream\":\"%s\"",
                       ps_sequence_stream(line->sequence));
    int length = snprintf(request, sizeof request, "{\"request\":\"since\",\"seq\":%" PRIu64 "%s}",
                          since, stream);
    int status = fresh ? ps_peer_open_replay(peer, line, error) : 0;
    /* What cannot be sent is asked again, as what is not answered. */
    if (status == 0)
        (void)zmq_send(line->replay, request, (size_t)length, ZMQ_DONTWAIT);
    return status;
}

static int64_t silence_ns(const struct ps_subscriber *subscriber, const struct ps_peer *peer)
{
    return peer->heard_ns + SILENT_HEARTBEATS * subscriber->order.heartbeat_ns;
}

/* Milliseconds until there is something to do without having heard anything; -1: never. */
static long timeout_ms(const struct ps_subscriber *subscriber)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        if (!peer->silent && silence_ns(subscriber, peer) < deadline)
            deadline = silence_ns(subscriber, peer);
        for (size_t k = 0; k < peer->line_count; k++) {
            int64_t due = ps_sequence_deadline(peer->lines[k]->sequence);
            deadline = due < deadline ? due : deadline;
        }
    }
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - ps_clock_mono_ns();
    if (left <= 0)
        return 0;
    int64_t most = INT_MAX * millisecond_ns;
    return (long)((left < most ? left : most) / millisecond_ns + 1);
}

/* Lists the sockets: of each peer the live one, then those of its lines; and `wake`, if it is
 * one. PS_E_NOMEM. */
static int list_sockets(struct ps_subscriber *subscriber, int wake, size_t *ret_count,
                        struct ps_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < subscriber->peer_count; i++)
        count += 1 + subscriber->peers[i].line_count;
    if (count + 1 > subscriber->room) {
        void *items = realloc(subscriber->items, (count + 1) * sizeof *subscriber->items);
        if (!items)
            return ps_fail_memory(error, (count + 1) * sizeof *subscriber->items, "sockets");
        subscriber->items = items;
        subscriber->room = count + 1;
    }
    zmq_pollitem_t *item = subscriber->items;
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        *item++ = (zmq_pollitem_t){.socket = peer->live, .events = ZMQ_POLLIN};
        for (size_t k = 0; k < peer->line_count; k++)
            *item++ = (zmq_pollitem_t){.socket = peer->lines[k]->replay, .events = ZMQ_POLLIN};
    }
    *item = (zmq_pollitem_t){.fd = wake, .events = ZMQ_POLLIN};
    *ret_count = count;
    return 0;
}

/* The next news of a stream. */
static void take_news(struct ps_line *line, struct ps_news *ret)
{
    ps_sequence_next(line->sequence, ret);
    (void)snprintf(ret->stream, sizeof ret->stream, "%s", ps_sequence_stream(line->sequence));
}

/* Lets time pass, where no answer waits, until there is news. */
static void pass_time(struct ps_subscriber *subscriber, struct ps_news *ret)
{
    const zmq_pollitem_t *item = subscriber->items;
    int64_t now = ps_clock_mono_ns();
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        item++;
        for (size_t k = 0; k < peer->line_count; k++, item++) {
            if (item->revents || ret->kind != PS_NEWS_NONE)
                continue;
            ps_sequence_tick(peer->lines[k]->sequence, now);
            take_news(peer->lines[k], ret);
        }
    }
}

/* Hears a message of the socket with this number. */
static int hear(struct ps_subscriber *subscriber, size_t number, struct ps_news *ret,
                struct ps_error *error)
{
    struct ps_peer *peer = subscriber->peers;
    for (; number > peer->line_count; peer++)
        number -= 1 + peer->line_count;
    struct ps_line *line = number > 0 ? peer->lines[number - 1] : NULL;
    struct ps_frames frames;
    int status = ps_frames_receive(line ? line->replay : peer->live, &frames, error);
    if (status != 0)
        return status;
    status = line ? hear_replay(subscriber, peer, line, &frames, ret, error)
                  : hear_live(subscriber, peer, &frames, ret, error);
    ps_frames_done(&frames);
    return status;
}

/* Tells of a peer that has been silent for long. */
static void notice_silence(struct ps_subscriber *subscriber, struct ps_news *ret)
{
    int64_t now = ps_clock_mono_ns();
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        struct ps_peer *peer = &subscriber->peers[i];
        if (peer->silent || now < silence_ns(subscriber, peer))
            continue;
        peer->silent = true;
        note(ret, "nothing heard from %.200s: does the service run, and does it know our key?",
             peer->address.endpoint);
        return;
    }
}

/* Waits for the sockets, and hears one message, or lets time pass. */
static int turn(struct ps_subscriber *subscriber, int wake, bool *ret_woken, struct ps_news *ret,
                struct ps_error *error)
{
    size_t count;
    if (list_sockets(subscriber, wake, &count, error) != 0)
        return PS_E_NOMEM;
    zmq_pollitem_t *items = subscriber->items;
    if (zmq_poll(items, (int)count + (wake >= 0), timeout_ms(subscriber)) < 0)
        return errno == EINTR ? 0
                              : ps_fail(error, PS_E_SYSTEM, "cannot wait for messages: %s",
                                        zmq_strerror(errno));
    *ret_woken = items[count].revents;
    if (*ret_woken)
        return 0;
    pass_time(subscriber, ret);
    if (ret->kind != PS_NEWS_NONE)
        return 0;
    for (size_t i = 0; i < count; i++) {
        size_t number = (subscriber->turn + i) % count;
        if (items[number].revents) {
            subscriber->turn = number + 1;
            return hear(subscriber, number, ret, error);
        }
    }
    notice_silence(subscriber, ret);
    return 0;
}

/* News of any stream, and what is to be asked for. */
static int attend_lines(struct ps_subscriber *subscriber, bool may_ask, struct ps_news *ret,
                        struct ps_error *error)
{
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        struct ps_peer *peer = &subscriber->peers[i];
        for (size_t k = 0; k < peer->line_count; k++) {
            struct ps_line *line = peer->lines[k];
            take_news(line, ret);
            if (ret->kind != PS_NEWS_NONE)
                return 0;
            int status = may_ask ? ask(peer, line, error) : 0;
            if (status)
                return status;
        }
    }
    return 0;
}

int ps_subscriber_next(struct ps_subscriber *subscriber, int wake, struct ps_news *ret_news,
                       struct ps_error *error)
{
    bool woken = false;
    for (;;) {
        struct ps_news news = {.kind = PS_NEWS_NONE};
        int status = attend_lines(subscriber, !woken, &news, error);
        if (status == 0 && news.kind == PS_NEWS_NONE && !woken)
            status = turn(subscriber, wake, &woken, &news, error);
        if (status != 0)
            return status;
        if (news.kind != PS_NEWS_NONE || woken) {
            *ret_news = news;
            return 0;
        }
    }
}

bool ps_subscriber_many(const struct ps_subscriber *subscriber)
{
    return subscriber->peer_count > 1 || subscriber->peers[0].relay;
}

bool ps_subscriber_stream(const struct ps_subscriber *subscriber, size_t number,
                          char ret_stream[PS_STREAM_TEXT], uint64_t *ret_last)
{
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        if (number < peer->line_count) {
            const struct ps_line *line = peer->lines[number];
            (void)snprintf(ret_stream, PS_STREAM_TEXT, "%s", ps_sequence_stream(line->sequence));
            *ret_last = ps_sequence_last(line->sequence);
            return true;
        }
        number -= peer->line_count;
    }
    return false;
}

uint64_t ps_subscriber_unreadable(const struct ps_subscriber *subscriber)
{
    return subscriber->unreadable;
}
