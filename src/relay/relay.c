#include "relay/relay.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/notify.h"
#include "pickstream_wire.h"
#include "publish/admission.h"
#include "publish/outlet.h"
#include "publish/sockets.h"
#include "publish/subscriptions.h"
#include "relay/sessions.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum {
    BATCH_SIZE = 100, /* messages of one service in a round */
    MAX_WAIT_MS = 1000,
    SILENT_HEARTBEATS = 3,
    STOPPING_SECONDS = 5,
};

struct relay {
    const struct ps_config *config;
    struct ps_log *log;
    struct ps_metrics *metrics;
    struct ps_sockets sockets;
    struct ps_subscriptions *subscriptions;
    struct ps_outlet outlet;
    struct ps_relayed *services;
    size_t service_count;
    struct ps_relay_clients *clients;
    zmq_pollitem_t *items;
    int signal_fd;
};

/* ---- what is published ------------------------------------------------------------------------
 */

/* Learns from a message which stream is behind an endpoint. */
static void learn(struct relay *relay, struct ps_relayed *service, zmq_msg_t *topic,
                  zmq_msg_t *header)
{
    struct ps_frames frames = {
        .count = 2,
        .frame = {{zmq_msg_data(topic), zmq_msg_size(topic)},
                  {zmq_msg_data(header), zmq_msg_size(header)}},
    };
    struct ps_envelope envelope;
    if (ps_envelope_read(&frames, &envelope, NULL) != 0 ||
        (envelope.type != PS_MESSAGE_PICKS && envelope.type != PS_MESSAGE_STATUS))
        return;
    size_t known = 0;
    while (known < service->stream_count &&
           strcmp(service->streams[known].name, envelope.stream) != 0)
        known++;
    if (known == service->stream_count) {
        char quoted[PS_LOG_TEXT];
        (void)ps_log_quote(service->address.endpoint, quoted);
        if (known < PS_RELAY_STREAMS) {
            ps_log_event(relay->log, PS_LOG_INFO, "stream", "endpoint=%s stream=%s", quoted,
                         envelope.stream);
            service->stream_count++;
        } else {
            /* A service can announce any number; the log limits warnings. */
            ps_log_event(relay->log, PS_LOG_WARNING, "many_streams",
                         "endpoint=%s stream=%s reason=\"more than %d: the one that was silent for "
                         "longest is forgotten\"",
                         quoted, envelope.stream, PS_RELAY_STREAMS);
            known--;
        }
    }
    memmove(service->streams + 1, service->streams, known * sizeof *service->streams);
    memcpy(service->streams[0].name, envelope.stream, PS_STREAM_TEXT);
    service->streams[0].last_seq = envelope.seq;
}

static bool is_topic(zmq_msg_t *topic, const char *name)
{
    return zmq_msg_size(topic) == strlen(name) &&
           memcmp(zmq_msg_data(topic), name, strlen(name)) == 0;
}

/* Large messages have a limit of memory. */
static bool is_large(zmq_msg_t *topic)
{
    return is_topic(topic, PS_WIRE_TOPIC_PREVIEW) || is_topic(topic, PS_WIRE_TOPIC_PARTICLES);
}

/* Passes a message on unchanged, and learns from its header. False: no message waits. */
static bool pass_message(struct relay *relay, struct ps_relayed *service)
{
    zmq_msg_t part, topic;
    bool more = true, sent = true, large = false;
    (void)zmq_msg_init(&topic);
    for (int i = 0; more; i++) {
        (void)zmq_msg_init(&part);
        if (zmq_msg_recv(&part, service->live, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&part);
            (void)zmq_msg_close(&topic);
            return false;
        }
        more = zmq_msg_more(&part) != 0;
        if (i == 0) {
            (void)zmq_msg_copy(&topic, &part);
            large = is_large(&topic);
            sent = !large || ps_outlet_fits(&relay->outlet);
        }
        if (i == 1)
            learn(relay, service, &topic, &part);
        /* Never blocks: ZeroMQ drops the whole message for a slow subscriber. */
        int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
        void *publish = relay->sockets.publish;
        sent = sent && (large && i > 0 ? ps_outlet_pass(&relay->outlet, publish, &part, flags)
                                       : zmq_msg_send(&part, publish, flags) >= 0);
        (void)zmq_msg_close(&part);
    }
    (void)zmq_msg_close(&topic);
    service->received_ns = ps_clock_mono_ns();
    return true;
}

static void watch_silence(struct relay *relay, struct ps_relayed *service, int64_t now)
{
    double seconds = SILENT_HEARTBEATS * relay->config->publish.heartbeat_seconds;
    bool silent = (double)(now - service->received_ns) / 1e9 > seconds;
    char quoted[PS_LOG_TEXT];
    if (silent != service->silent)
        ps_log_event(relay->log, silent ? PS_LOG_WARNING : PS_LOG_INFO,
                     silent ? "service_silent" : "service_heard", "endpoint=%s",
                     ps_log_quote(service->address.endpoint, quoted));
    service->silent = silent;
}

/* True if some message can match a subscription: a service does not get the others, of which a
 * client can make up any number. */
static bool is_useful(const struct ps_subscription *change)
{
    return ps_subscription_matches(change, PS_WIRE_TOPIC_PICKS) ||
           ps_subscription_matches(change, PS_WIRE_TOPIC_STATUS) ||
           ps_subscription_matches(change, PS_WIRE_TOPIC_PREVIEW) ||
           ps_subscription_matches(change, PS_WIRE_TOPIC_PARTICLES);
}

/* Passes subscriptions on to all services. ZeroMQ counts them and removes duplicates. */
static void pass_subscriptions(struct relay *relay)
{
    struct ps_subscription change;
    while (ps_subscriptions_next(relay->subscriptions, &change)) {
        char message[1 + PS_MAX_TOPIC_BYTES] = {change.begin ? 1 : 0};
        memcpy(message + 1, change.topic, change.length);
        for (size_t k = 0; k < relay->service_count && is_useful(&change); k++)
            (void)zmq_send(relay->services[k].live, message, 1 + change.length, ZMQ_DONTWAIT);
    }
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static bool stop_requested(const struct relay *relay)
{
    struct signalfd_siginfo info;
    while (read(relay->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGHUP)
            return true;
    }
    return false;
}

static void wait_for_events(struct relay *relay, int wait_ms)
{
    const struct ps_sockets *sockets = &relay->sockets;
    void *const fixed[] = {sockets->publish, sockets->replay, sockets->zap};
    size_t count = 0;
    relay->items[count++] = (zmq_pollitem_t){.fd = relay->signal_fd, .events = ZMQ_POLLIN};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (fixed[i])
            relay->items[count++] = (zmq_pollitem_t){.socket = fixed[i], .events = ZMQ_POLLIN};
    }
    for (size_t i = 0; i < relay->service_count; i++)
        relay->items[count++] =
            (zmq_pollitem_t){.socket = relay->services[i].live, .events = ZMQ_POLLIN};
    count += ps_relay_clients_list(relay->clients, relay->items + count);
    (void)zmq_poll(relay->items, (int)count,
                   wait_ms >= 0 && wait_ms < MAX_WAIT_MS ? wait_ms : MAX_WAIT_MS);
}

static void run(struct relay *relay)
{
    const struct ps_sockets *sockets = &relay->sockets;
    int wait_ms = 0;
    while (!stop_requested(relay)) {
        wait_for_events(relay, wait_ms);
        pass_subscriptions(relay);
        for (size_t i = 0; i < relay->service_count; i++) {
            struct ps_relayed *service = &relay->services[i];
            for (int k = 0; k < BATCH_SIZE && pass_message(relay, service); k++)
                continue;
            watch_silence(relay, service, ps_clock_mono_ns());
        }
        if (sockets->zap)
            ps_admission_answer(sockets->zap, &sockets->allowed, relay->log, relay->metrics);
        wait_ms = ps_relay_clients_serve(relay->clients);
        (void)ps_notify_watchdog();
    }
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

/* Always subscribes to heartbeats: they tell which stream the service has. */
static int connect_service(const struct relay *relay, struct ps_relayed *service,
                           struct ps_error *error)
{
    static const char subscription[] = "\1" PS_WIRE_TOPIC_STATUS;
    service->received_ns = ps_clock_mono_ns();
    int status = ps_connect(relay->sockets.context, ZMQ_XSUB, service->address.endpoint,
                            &service->curve, &service->live, error);
    if (status == 0 &&
        zmq_send(service->live, subscription, sizeof subscription - 1, ZMQ_DONTWAIT) < 0)
        status = ps_fail(error, PS_E_SYSTEM, "cannot subscribe: %s", zmq_strerror(errno));
    return status;
}

static int start(struct relay *relay, const struct ps_relay_options *options,
                 struct ps_error *error)
{
    size_t count = options->service_count;
    relay->services = calloc(count, sizeof *relay->services);
    relay->items = calloc(8 + count + PS_RELAY_CLIENTS, sizeof *relay->items);
    relay->metrics = ps_metrics_new();
    if (!relay->services || !relay->items || !relay->metrics)
        return ps_fail_memory(error, sizeof *relay, "the relay");
    int status = ps_sockets_open(relay->config, PS_SOCKETS_RELAY, relay->log, relay->metrics,
                                 &relay->sockets, error);
    for (size_t i = 0; i < count && status == 0; i++) {
        relay->services[i].address = options->services[i];
        relay->services[i].curve =
            (struct ps_curve_client){options->curve_secret, options->services[i].curve_server};
        relay->service_count = i + 1;
        status = connect_service(relay, &relay->services[i], error);
    }
    if (status == 0) {
        relay->subscriptions = ps_subscriptions_new(relay->sockets.publish, relay->sockets.gate,
                                                    relay->log, relay->metrics);
        relay->clients =
            ps_relay_clients_new(relay->sockets.context, relay->sockets.replay, relay->sockets.gate,
                                 relay->services, count, relay->log);
        if (!relay->clients || !relay->subscriptions)
            status = ps_fail_memory(error, sizeof *relay, "the relay");
    }
    return status;
}

static void stop(struct relay *relay)
{
    ps_relay_clients_free(relay->clients);
    ps_subscriptions_free(relay->subscriptions);
    for (size_t i = 0; i < relay->service_count; i++) {
        if (relay->services[i].live)
            (void)zmq_close(relay->services[i].live);
    }
    ps_sockets_close(&relay->sockets);
    ps_metrics_free(relay->metrics);
    free(relay->services);
    free(relay->items);
}

int ps_relay_run(const struct ps_config *config, const struct ps_relay_options *options,
                 struct ps_log *log, int signal_fd, struct ps_error *error)
{
    struct relay relay = {.config = config, .log = log, .signal_fd = signal_fd};
    int status = start(&relay, options, error);
    if (status == 0) {
        ps_log_event(log, PS_LOG_INFO, "relaying", "endpoint=%s replay=%s services=%zu",
                     relay.sockets.publish_endpoint, relay.sockets.replay_endpoint,
                     relay.service_count);
        (void)ps_notify_ready();
        run(&relay);
        (void)ps_notify_stopping(STOPPING_SECONDS);
        ps_log_event(log, PS_LOG_INFO, "stopped", "%s", "");
    }
    stop(&relay);
    return status;
}
