/* One step: take events; send the replay requests that are due; wait; advance the time, or read one
 * message, from each readable socket in rotation. The time of a stream advances only while no
 * replay answer waits to be read, so that a slow reader does not give up outcomes. */
#include "subscribe/subscriber.h"

#include "base/clock.h"
#include "base/descriptors.h"
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

enum { PEER_SOCKETS = 2 /* of a peer, before those of its cursors: live socket and monitor */ };

struct ps_subscriber {
    struct ps_reorder_options order;
    size_t held_bytes; /* of the outcomes that wait for gaps, of all streams */
    void *context;
    struct ps_peer *peers;
    size_t peer_count;
    zmq_pollitem_t *items; /* all sockets, and the descriptor `wake` */
    size_t capacity;       /* of `items` */
    size_t next_socket;    /* number of the socket that is checked first */
    uint64_t unreadable;
};

/* ---- lifecycle ------------------------------------------------------------------------------- */

int ps_subscriber_new(const struct ps_subscriber_options *options,
                      struct ps_subscriber **ret_subscriber, struct ps_error *error)
{
    /* Of ZeroMQ's context; and of a service's sockets, monitors and connections. */
    enum { DESCRIPTORS = 12, DESCRIPTORS_EACH = 10 };
    if (ps_descriptors_check(DESCRIPTORS + DESCRIPTORS_EACH * options->service_count, error))
        return PS_E_SYSTEM;
    struct ps_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber)
        return ps_fail_memory(error, sizeof *subscriber, "a subscriber");
    subscriber->order = options->order;
    subscriber->order.held_bytes = &subscriber->held_bytes;
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
            .order = subscriber->order,
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

/* ---- messages -------------------------------------------------------------------------------- */
__attribute__((format(printf, 2, 3))) static void note(struct ps_subscriber_event *ret,
                                                       const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    *ret = (struct ps_subscriber_event){.kind = PS_EVENT_NOTE};
    (void)vsnprintf(ret->text, sizeof ret->text, format, arguments);
    va_end(arguments);
}

/* Reads the body of an outcome. If it is unreadable, reports that in `ret` and leaves `*ret_record`
 * NULL. PS_E_NOMEM. */
static int read_outcome(struct ps_subscriber *subscriber, const struct ps_frames *frames,
                        uint64_t seq, struct ps_outcome_record **ret_record,
                        struct ps_subscriber_event *ret, struct ps_error *error)
{
    int status = ps_outcome_record_read(frames, ret_record, error);
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

/* Finds the cursor of a message; NULL if there are too many streams. */
static int choose_cursor(struct ps_peer *peer, const char *stream,
                         struct ps_stream_cursor **ret_cursor, struct ps_subscriber_event *ret,
                         struct ps_error *error)
{
    int status = ps_peer_cursor(peer, stream, ret_cursor, error);
    if (status == 0 && !*ret_cursor && !peer->full) {
        peer->full = true;
        note(ret, "%.200s has more than %d streams: the others are not heard",
             peer->address.endpoint, PS_SUBSCRIBER_STREAMS);
    }
    return status;
}

static int handle_live(struct ps_subscriber *subscriber, struct ps_peer *peer,
                       const struct ps_frames *frames, struct ps_subscriber_event *ret,
                       struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    struct ps_envelope envelope;
    const bool problem = ps_link_heard(&peer->link, now);
    if (topic_is(frames, PS_RELAY_TOPIC) && frames->count == 1)
        ps_peer_become_relay(peer);
    if (!topic_is(frames, PS_WIRE_TOPIC_PICKS) && !topic_is(frames, PS_WIRE_TOPIC_STATUS))
        return 0; /* a topic of a later version with the same prefix */
    int status = ps_envelope_read(frames, &envelope, error);
    if (status == PS_E_NOMEM)
        return status;
    if (status != 0) {
        subscriber->unreadable++;
        note(ret, "a message that cannot be read: %s", error->message);
        return 0;
    }
    if (problem)
        note(ret, "heard from %.200s", peer->address.endpoint);
    if (envelope.type != PS_MESSAGE_PICKS && envelope.type != PS_MESSAGE_STATUS)
        return 0;
    struct ps_stream_cursor *cursor = NULL;
    status = choose_cursor(peer, envelope.stream, &cursor, ret, error);
    if (!cursor)
        return status;
    if (envelope.type == PS_MESSAGE_STATUS) {
        ps_reorder_status(cursor->reorder, envelope.stream, envelope.seq, now);
        return 0;
    }
    struct ps_outcome_record *record = NULL;
    status = read_outcome(subscriber, frames, envelope.seq, &record, ret, error);
    if (record)
        ps_reorder_live(cursor->reorder, record, now);
    else if (status == 0)
        ps_reorder_unreadable(cursor->reorder, envelope.stream, envelope.seq, now);
    return status;
}

static int handle_replay(struct ps_subscriber *subscriber, struct ps_peer *peer,
                         struct ps_stream_cursor *cursor, const struct ps_frames *frames,
                         struct ps_subscriber_event *ret, struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    struct ps_envelope envelope;
    int status = ps_envelope_read(frames, &envelope, error);
    if (status == PS_E_NOMEM)
        return status;
    if (status != 0) {
        subscriber->unreadable++;
        note(ret, "an answer that cannot be read: %s", error->message);
        return 0;
    }
    struct ps_outcome_record *record = NULL;
    switch (envelope.type) {
    case PS_MESSAGE_PICKS:
        status = read_outcome(subscriber, frames, envelope.seq, &record, ret, error);
        if (status == 0)
            ps_reorder_replayed(cursor->reorder, record, envelope.stream, envelope.seq, now);
        break;
    case PS_MESSAGE_END:
        ps_reorder_end(cursor->reorder, envelope.seq, now);
        break;
    case PS_MESSAGE_ERROR:
        note(ret, "%.200s refuses to replay: %s", peer->address.replay_endpoint, envelope.reason);
        break;
    case PS_MESSAGE_RELAY:
        ps_peer_become_relay(peer); /* and the cursor may be gone */
        break;
    case PS_MESSAGE_STATUS:
    case PS_MESSAGE_OTHER:
        break;
    }
    return status;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* Sends the replay request of a cursor, if one is due. Without a stream it says that several are
 * expected: a relay then answers that it is one, whether its first message has arrived or not. */
static int send_request(const struct ps_peer *peer, struct ps_stream_cursor *cursor,
                        struct ps_error *error)
{
    uint64_t since = 0;
    bool fresh = false;
    if (!ps_reorder_wants(cursor->reorder, &since, &fresh, ps_clock_mono_ns()))
        return 0;
    char request[128], stream[PS_STREAM_TEXT + 16] = ",\"streams\":true";
    if (peer->relay)
        (void)snprintf(stream, sizeof stream, ",\"stream\":\"%s\"",
                       ps_reorder_stream(cursor->reorder));
    int length = snprintf(request, sizeof request, "{\"request\":\"since\",\"seq\":%" PRIu64 "%s}",
                          since, stream);
    int status = fresh ? ps_peer_open_replay(peer, cursor, error) : 0;
    /* A request that cannot be sent is repeated, as one without an answer. */
    if (status == 0)
        (void)zmq_send(cursor->replay, request, (size_t)length, ZMQ_DONTWAIT);
    return status;
}

/* Milliseconds until something is due without a message; -1: never. */
static long timeout_ms(const struct ps_subscriber *subscriber)
{
    int64_t deadline = INT64_MAX;
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        int64_t report = ps_link_deadline(&peer->link);
        deadline = report < deadline ? report : deadline;
        for (size_t k = 0; k < peer->cursor_count; k++) {
            int64_t due = ps_reorder_deadline(peer->cursors[k]->reorder);
            deadline = due < deadline ? due : deadline;
        }
    }
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - ps_clock_mono_ns();
    if (left <= 0)
        return 0;
    int64_t max = INT_MAX * millisecond_ns;
    return (long)((left < max ? left : max) / millisecond_ns + 1);
}

/* Lists the sockets: of each peer the live one, its monitor, then those of its cursors; last,
 * `wake`. PS_E_NOMEM. */
static int list_sockets(struct ps_subscriber *subscriber, int wake, size_t *ret_count,
                        struct ps_error *error)
{
    size_t count = 0;
    for (size_t i = 0; i < subscriber->peer_count; i++)
        count += PEER_SOCKETS + subscriber->peers[i].cursor_count;
    if (count + 1 > subscriber->capacity) {
        void *items = realloc(subscriber->items, (count + 1) * sizeof *subscriber->items);
        if (!items)
            return ps_fail_memory(error, (count + 1) * sizeof *subscriber->items, "sockets");
        subscriber->items = items;
        subscriber->capacity = count + 1;
    }
    zmq_pollitem_t *item = subscriber->items;
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        *item++ = (zmq_pollitem_t){.socket = peer->live, .events = ZMQ_POLLIN};
        *item++ = (zmq_pollitem_t){.socket = peer->link.monitor, .events = ZMQ_POLLIN};
        for (size_t k = 0; k < peer->cursor_count; k++)
            *item++ = (zmq_pollitem_t){.socket = peer->cursors[k]->replay, .events = ZMQ_POLLIN};
    }
    *item = (zmq_pollitem_t){.fd = wake, .events = ZMQ_POLLIN};
    *ret_count = count;
    return 0;
}

/* Takes the next event of a stream. */
static void take_event(struct ps_stream_cursor *cursor, struct ps_subscriber_event *ret)
{
    ps_reorder_next(cursor->reorder, ret);
    (void)snprintf(ret->stream, sizeof ret->stream, "%s", ps_reorder_stream(cursor->reorder));
}

/* Advances the time of the streams without a waiting answer, until there is an event. */
static void advance_time(struct ps_subscriber *subscriber, struct ps_subscriber_event *ret)
{
    const zmq_pollitem_t *item = subscriber->items;
    int64_t now = ps_clock_mono_ns();
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        const struct ps_peer *peer = &subscriber->peers[i];
        item += PEER_SOCKETS;
        for (size_t k = 0; k < peer->cursor_count; k++, item++) {
            if (item->revents || ret->kind != PS_EVENT_NONE)
                continue;
            ps_reorder_tick(peer->cursors[k]->reorder, now);
            take_event(peer->cursors[k], ret);
        }
    }
}

/* Reads a message of the socket with this number. */
static int receive(struct ps_subscriber *subscriber, size_t number, struct ps_subscriber_event *ret,
                   struct ps_error *error)
{
    struct ps_peer *peer = subscriber->peers;
    for (; number >= PEER_SOCKETS + peer->cursor_count; peer++)
        number -= PEER_SOCKETS + peer->cursor_count;
    if (number == 1) {
        ps_link_read(&peer->link, ps_clock_mono_ns());
        return 0;
    }
    struct ps_stream_cursor *cursor = number > 0 ? peer->cursors[number - PEER_SOCKETS] : NULL;
    struct ps_frames frames;
    int status = ps_frames_receive(cursor ? cursor->replay : peer->live, &frames, error);
    if (status != 0)
        return status;
    status = cursor ? handle_replay(subscriber, peer, cursor, &frames, ret, error)
                    : handle_live(subscriber, peer, &frames, ret, error);
    ps_frames_done(&frames);
    return status;
}

/* Reports what a peer that is not heard waits for. */
static void report_links(struct ps_subscriber *subscriber, struct ps_subscriber_event *ret)
{
    int64_t now = ps_clock_mono_ns();
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        struct ps_peer *peer = &subscriber->peers[i];
        const char *state = ps_link_report(&peer->link, now);
        if (!state)
            continue;
        note(ret, "nothing heard from %.200s: %s", peer->address.endpoint, state);
        return;
    }
}

/* Waits for the sockets, then reads one message or advances the time. */
static int wait_for_message(struct ps_subscriber *subscriber, int wake, bool *ret_woken,
                            struct ps_subscriber_event *ret, struct ps_error *error)
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
    advance_time(subscriber, ret);
    if (ret->kind != PS_EVENT_NONE)
        return 0;
    for (size_t i = 0; i < count; i++) {
        size_t number = (subscriber->next_socket + i) % count;
        if (items[number].revents) {
            subscriber->next_socket = number + 1;
            return receive(subscriber, number, ret, error);
        }
    }
    report_links(subscriber, ret);
    return 0;
}

/* Takes an event of any stream, and sends the replay requests that are due. */
static int serve_cursors(struct ps_subscriber *subscriber, bool may_ask,
                         struct ps_subscriber_event *ret, struct ps_error *error)
{
    for (size_t i = 0; i < subscriber->peer_count; i++) {
        struct ps_peer *peer = &subscriber->peers[i];
        for (size_t k = 0; k < peer->cursor_count; k++) {
            struct ps_stream_cursor *cursor = peer->cursors[k];
            take_event(cursor, ret);
            if (ret->kind != PS_EVENT_NONE)
                return 0;
            int status = may_ask ? send_request(peer, cursor, error) : 0;
            if (status)
                return status;
        }
    }
    return 0;
}

int ps_subscriber_next(struct ps_subscriber *subscriber, int wake,
                       struct ps_subscriber_event *ret_event, struct ps_error *error)
{
    bool woken = false;
    for (;;) {
        struct ps_subscriber_event event = {.kind = PS_EVENT_NONE};
        int status = serve_cursors(subscriber, !woken, &event, error);
        if (status == 0 && event.kind == PS_EVENT_NONE && !woken)
            status = wait_for_message(subscriber, wake, &woken, &event, error);
        if (status != 0)
            return status;
        if (event.kind != PS_EVENT_NONE || woken) {
            *ret_event = event;
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
        if (number < peer->cursor_count) {
            const struct ps_stream_cursor *cursor = peer->cursors[number];
            (void)snprintf(ret_stream, PS_STREAM_TEXT, "%s", ps_reorder_stream(cursor->reorder));
            *ret_last = ps_reorder_last(cursor->reorder);
            return true;
        }
        number -= peer->cursor_count;
    }
    return false;
}

uint64_t ps_subscriber_unreadable(const struct ps_subscriber *subscriber)
{
    return subscriber->unreadable;
}
