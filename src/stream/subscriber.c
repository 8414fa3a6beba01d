/* One turn: take news; ask the replay socket if that is wanted; wait; hear one message of one
 * socket, in turns where both have some, or let time pass. Time passes only while no answer waits
 * to be read, so that a reader who was slow himself gives nothing up. */
#include "stream/subscriber.h"

#include "base/error.h"
#include "pickstream_wire.h"
#include "stream/job.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

static const int64_t millisecond_ns = 1000000;
static const int64_t max_frame_bytes = 64 << 20;

enum {
    SILENT_HEARTBEATS = 3, /* without a word from the service: say so */
    HIGH_WATER_MARK = 10000,
    HEARTBEAT_MS = 5000, /* of the connection: notices a machine that is gone */
    HEARTBEAT_TIMEOUT_MS = 15000,
    RECONNECT_MAX_MS = 2000,
};

struct ps_subscriber {
    struct ps_subscriber_options options;
    char curve_public[41];
    struct ps_sequence *sequence;
    void *context;
    void *live;
    void *replay;
    bool live_last;   /* the live socket was read last: it is the other's turn */
    int64_t heard_ns; /* when the live socket said something */
    bool silent;      /* it has not for long, and that was told */
    uint64_t unreadable;
};

/* ---- sockets --------------------------------------------------------------------------------- */

static bool set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool set_curve(const struct ps_subscriber *subscriber, void *socket)
{
    const struct ps_subscriber_options *options = &subscriber->options;
    return !options->curve_secret ||
           (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, options->curve_server, 41) == 0 &&
            zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, subscriber->curve_public, 41) == 0 &&
            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, options->curve_secret, 41) == 0);
}

static int open_socket(const struct ps_subscriber *subscriber, int type, const char *endpoint,
                       void **ret_socket, struct ps_error *error)
{
    void *socket = zmq_socket(subscriber->context, type);
    if (!socket)
        return ps_fail(error, PS_E_SYSTEM, "cannot make a socket: %s", zmq_strerror(errno));
    int status = 0;
    /* The subscriptions come before the connection, so that none of its messages is missed. */
    bool set =
        set_int(socket, ZMQ_LINGER, 0) && set_int(socket, ZMQ_IPV6, 1) &&
        set_int(socket, ZMQ_RCVHWM, HIGH_WATER_MARK) &&
        set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
        set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
        set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS) &&
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_frame_bytes, sizeof max_frame_bytes) == 0;
    if (type == ZMQ_SUB)
        set = set &&
              zmq_setsockopt(socket, ZMQ_SUBSCRIBE, PS_WIRE_TOPIC_PICKS,
                             strlen(PS_WIRE_TOPIC_PICKS)) == 0 &&
              zmq_setsockopt(socket, ZMQ_SUBSCRIBE, PS_WIRE_TOPIC_STATUS,
                             strlen(PS_WIRE_TOPIC_STATUS)) == 0;
    if (!set)
        status = ps_fail(error, PS_E_SYSTEM, "cannot set up a socket: %s", zmq_strerror(errno));
    else if (!set_curve(subscriber, socket))
        status = ps_fail(error, PS_E_CONFIG, "cannot use the CURVE keys: %s", zmq_strerror(errno));
    else if (zmq_connect(socket, endpoint) != 0)
        status = ps_fail(error, PS_E_CONFIG, "cannot connect to %.200s: %s", endpoint,
                         zmq_strerror(errno));
    if (status != 0) {
        (void)zmq_close(socket);
        return status;
    }
    *ret_socket = socket;
    return 0;
}

static int open_replay(struct ps_subscriber *subscriber, struct ps_error *error)
{
    if (subscriber->replay)
        (void)zmq_close(subscriber->replay);
    subscriber->replay = NULL;
    return open_socket(subscriber, ZMQ_DEALER, subscriber->options.replay_endpoint,
                       &subscriber->replay, error);
}

/* One message of the socket; the frames beyond PS_MAX_FRAMES are dropped. PS_E_NOMEM, PS_E_SYSTEM.
 */
static int receive(void *socket, struct ps_frames *ret_frames, struct ps_error *error)
{
    struct ps_frames frames = {0};
    int status = 0;
    for (int more = 1; more && status == 0;) {
        zmq_msg_t part;
        (void)zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) {
            status = ps_fail(error, PS_E_SYSTEM, "cannot receive: %s", zmq_strerror(errno));
        } else if (frames.count < PS_MAX_FRAMES) {
            size_t size = zmq_msg_size(&part);
            void *data = malloc(size ? size : 1);
            if (data)
                frames.frame[frames.count++] =
                    (struct ps_frame){memcpy(data, zmq_msg_data(&part), size), size};
            else
                status = ps_fail_memory(error, size, "a message");
        }
        more = zmq_msg_more(&part);
        (void)zmq_msg_close(&part);
    }
    if (status == 0)
        *ret_frames = frames;
    else
        ps_frames_done(&frames);
    return status;
}

/* ---- lifecycle ------------------------------------------------------------------------------- */

int ps_subscriber_new(const struct ps_subscriber_options *options,
                      struct ps_subscriber **ret_subscriber, struct ps_error *error)
{
    struct ps_subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber)
        return ps_fail_memory(error, sizeof *subscriber, "a subscriber");
    subscriber->options = *options;
    subscriber->heard_ns = ps_clock_mono_ns();
    subscriber->sequence = ps_sequence_new(&options->order, subscriber->heard_ns);
    subscriber->context = zmq_ctx_new();
    int status = 0;
    if (!subscriber->sequence || !subscriber->context)
        status = ps_fail_memory(error, 1 << 18, "a subscriber");
    else if (options->curve_secret &&
             zmq_curve_public(subscriber->curve_public, options->curve_secret) != 0)
        status = ps_fail(error, PS_E_CONFIG, "cannot use the CURVE key: %s", zmq_strerror(errno));
    if (status == 0)
        status = open_socket(subscriber, ZMQ_SUB, options->endpoint, &subscriber->live, error);
    if (status == 0)
        status = open_replay(subscriber, error);
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
    if (subscriber->replay)
        (void)zmq_close(subscriber->replay);
    if (subscriber->live)
        (void)zmq_close(subscriber->live);
    if (subscriber->context)
        (void)zmq_ctx_term(subscriber->context);
    ps_sequence_free(subscriber->sequence);
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

static int hear_live(struct ps_subscriber *subscriber, const struct ps_frames *frames,
                     struct ps_news *ret, struct ps_error *error)
{
    int64_t now = ps_clock_mono_ns();
    struct ps_envelope envelope;
    subscriber->heard_ns = now;
    if (!topic_is(frames, PS_WIRE_TOPIC_PICKS) && !topic_is(frames, PS_WIRE_TOPIC_STATUS))
        return 0; /* a later version's, that begins with the same letters */
    if (ps_envelope_read(frames, &envelope, error) != 0) {
        subscriber->unreadable++;
        note(ret, "a message that cannot be read: %s", error->message);
        return 0;
    }
    if (subscriber->silent)
        note(ret, "heard from %.200s", subscriber->options.endpoint);
    subscriber->silent = false;
    if (envelope.type == PS_MESSAGE_STATUS)
        ps_sequence_status(subscriber->sequence, envelope.stream, envelope.seq, now);
    if (envelope.type != PS_MESSAGE_PICKS)
        return 0;
    struct ps_heard *heard = NULL;
    int status = read_outcome(subscriber, frames, envelope.seq, &heard, ret, error);
    if (heard)
        ps_sequence_live(subscriber->sequence, heard, now);
    else if (status == 0)
        ps_sequence_unreadable(subscriber->sequence, envelope.stream, envelope.seq, now);
    return status;
}

static int hear_replay(struct ps_subscriber *subscriber, const struct ps_frames *frames,
                       struct ps_news *ret, struct ps_error *error)
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
            ps_sequence_replayed(subscriber->sequence, heard, envelope.stream, envelope.seq, now);
        break;
    case PS_MESSAGE_END:
        ps_sequence_end(subscriber->sequence, envelope.seq, now);
        break;
    case PS_MESSAGE_ERROR:
        note(ret, "%.200s refuses to replay: %s", subscriber->options.replay_endpoint,
             envelope.reason);
        break;
    case PS_MESSAGE_STATUS:
    case PS_MESSAGE_OTHER:
        break;
    }
    return status;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int ask(struct ps_subscriber *subscriber, uint64_t since, bool fresh, struct ps_error *error)
{
    char request[64];
    int length =
        snprintf(request, sizeof request, "{\"request\":\"since\",\"seq\":%" PRIu64 "}", since);
    int status = fresh ? open_replay(subscriber, error) : 0;
    /* What cannot be sent is asked again, as what is not answered. */
    if (status == 0)
        (void)zmq_send(subscriber->replay, request, (size_t)length, ZMQ_DONTWAIT);
    return status;
}

static int64_t silence_ns(const struct ps_subscriber *subscriber)
{
    return subscriber->heard_ns + SILENT_HEARTBEATS * subscriber->options.order.heartbeat_ns;
}

/* Milliseconds until there is something to do without having heard anything; -1: never. */
static long timeout_ms(const struct ps_subscriber *subscriber)
{
    int64_t deadline = ps_sequence_deadline(subscriber->sequence);
    if (!subscriber->silent && silence_ns(subscriber) < deadline)
        deadline = silence_ns(subscriber);
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - ps_clock_mono_ns();
    if (left <= 0)
        return 0;
    int64_t most = INT_MAX * millisecond_ns;
    return (long)((left < most ? left : most) / millisecond_ns + 1);
}

/* Waits for the sockets, and hears one message, or lets time pass. */
static int turn(struct ps_subscriber *subscriber, int wake, bool *ret_woken, struct ps_news *ret,
                struct ps_error *error)
{
    zmq_pollitem_t items[] = {
        {.socket = subscriber->live, .events = ZMQ_POLLIN},
        {.socket = subscriber->replay, .events = ZMQ_POLLIN},
        {.fd = wake, .events = ZMQ_POLLIN},
    };
    if (zmq_poll(items, wake < 0 ? 2 : 3, timeout_ms(subscriber)) < 0)
        return errno == EINTR ? 0
                              : ps_fail(error, PS_E_SYSTEM, "cannot wait for messages: %s",
                                        zmq_strerror(errno));
    bool live = items[0].revents, replay = items[1].revents;
    *ret_woken = items[2].revents;
    if (*ret_woken)
        return 0;
    if (!replay) {
        ps_sequence_tick(subscriber->sequence, ps_clock_mono_ns());
        ps_sequence_next(subscriber->sequence, ret);
        if (ret->kind != PS_NEWS_NONE)
            return 0;
    }
    if (live || replay) {
        bool read_live = live && !(replay && subscriber->live_last);
        subscriber->live_last = read_live;
        struct ps_frames frames;
        int status = receive(read_live ? subscriber->live : subscriber->replay, &frames, error);
        if (status != 0)
            return status;
        status = read_live ? hear_live(subscriber, &frames, ret, error)
                           : hear_replay(subscriber, &frames, ret, error);
        ps_frames_done(&frames);
        return status;
    }
    if (!subscriber->silent && ps_clock_mono_ns() >= silence_ns(subscriber)) {
        subscriber->silent = true;
        note(ret, "nothing heard from %.200s: does the service run, and does it know our key?",
             subscriber->options.endpoint);
    }
    return 0;
}

int ps_subscriber_next(struct ps_subscriber *subscriber, int wake, struct ps_news *ret_news,
                       struct ps_error *error)
{
    bool woken = false;
    for (;;) {
        struct ps_news news;
        ps_sequence_next(subscriber->sequence, &news);
        uint64_t since = 0;
        bool fresh = false;
        int status = 0;
        if (news.kind == PS_NEWS_NONE && !woken) {
            if (ps_sequence_wants(subscriber->sequence, &since, &fresh, ps_clock_mono_ns()))
                status = ask(subscriber, since, fresh, error);
            if (status == 0)
                status = turn(subscriber, wake, &woken, &news, error);
        }
        if (status != 0)
            return status;
        if (news.kind != PS_NEWS_NONE || woken) {
            *ret_news = news;
            return 0;
        }
    }
}

uint64_t ps_subscriber_last(const struct ps_subscriber *subscriber)
{
    return ps_sequence_last(subscriber->sequence);
}

uint64_t ps_subscriber_unreadable(const struct ps_subscriber *subscriber)
{
    return subscriber->unreadable;
}
