/* The publisher's thread, and the functions that other threads call.
 *
 * Invariants:
 *   1. Only the thread uses sockets, replays and `held`; only it commits.
 *   2. A completion is in the queue, then held, then in the journal, and only then sent.
 *   3. Completions stay held only while the journal cannot be written; the queue then fills up, and
 *      workers wait.
 *   4. The thread waits in one place (wait_for_events()), for up to MAX_WAIT_MS, so that `ticks`
 *      show that it makes progress.
 */
#include "publish/publisher.h"

#include "base/clock.h"
#include "base/thread.h"
#include "picker/scale.h"
#include "pickstream_wire.h"
#include "publish/admission.h"
#include "publish/completion.h"
#include "publish/completion_queue.h"
#include "publish/journal_failure.h"
#include "publish/pictures.h"
#include "publish/replay.h"
#include "publish/request.h"
#include "publish/sockets.h"
#include "publish/status.h"
#include "publish/subscriptions.h"
#include "transport/frames.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { MAX_WAIT_MS = 1000 };
static const int64_t second_ns = 1000000000;

struct ps_publisher {
    const struct ps_config *config;
    struct ps_publisher_hooks hooks;
    struct ps_completion_dependencies dependencies;
    struct ps_request_dependencies requests;
    char *profile;
    char parameters[PS_PARAMETERS_TEXT];
    char scale[PS_SCALE_TEXT]; /* as logged last */
    pthread_t thread;
    _Atomic uint64_t ticks;
    struct ps_completion_queue completions;
    struct ps_pictures pictures;
    struct ps_journal_failure journal_failure;

    /* Used by the thread only: */
    struct ps_sockets sockets;
    struct ps_completion held[PS_MAX_QUEUED_COMPLETIONS];
    size_t held_count;
    int64_t heartbeat_ns; /* monotonic: when the next status is due */
    int64_t last_status_ns;
    int64_t started_ns; /* monotonic */
    struct ps_subscriptions *subscriptions;
};

/* ---- status and hello -------------------------------------------------------------------------
 */

/* Values that status and hello share. */
static struct ps_status_facts facts_now(const struct ps_publisher *publisher)
{
    struct ps_journal *journal = publisher->dependencies.journal;
    return (struct ps_status_facts){
        .stream = ps_journal_stream(journal),
        .session = publisher->config->publish.session,
        .time_ns = ps_clock_wall_ns(),
        .last_seq = ps_journal_last_seq(journal),
        .uptime_seconds = (double)(ps_clock_mono_ns() - publisher->started_ns) * 1e-9,
        .publish_endpoint = publisher->sockets.publish_endpoint,
        .replay_endpoint = publisher->sockets.replay_endpoint,
    };
}

static json_t *make_status(struct ps_publisher *publisher, bool stopping)
{
    struct ps_journal_totals totals;
    struct ps_error error;
    char last_error[PS_LOG_TEXT];
    char failure[PS_JOURNAL_FAILURE_TEXT];
    struct ps_status_facts facts = facts_now(publisher);
    facts.stopping = stopping;
    if (ps_journal_failure_text(&publisher->journal_failure, failure))
        facts.journal_failure = failure;
    if (ps_journal_totals(publisher->dependencies.journal, &totals, &error) == 0)
        facts.totals = &totals;
    facts.metrics = ps_metrics_json(publisher->dependencies.metrics);
    facts.last_error_ns =
        ps_log_last_error(publisher->dependencies.log, last_error, sizeof last_error);
    facts.last_error = last_error;
    json_t *header = ps_status_header(&facts);
    struct ps_gate_status connections[PS_MAX_GATE_SOCKETS];
    const size_t count = ps_gate_status(publisher->sockets.gate, connections);
    if (json_object_set_new(header, "connections", ps_status_connections(connections, count)) ==
            0 &&
        (!publisher->hooks.status || publisher->hooks.status(publisher->hooks.context, header)))
        return header;
    json_decref(header); /* rather than a status that lacks a key */
    return NULL;
}

static json_t *answer_status(void *context)
{
    return make_status(context, false);
}

static json_t *answer_hello(void *context)
{
    const struct ps_publisher *publisher = context;
    struct ps_status_facts facts = facts_now(publisher);
    return ps_status_hello(&facts, publisher->config, publisher->parameters);
}

static void reopened(void *context)
{
    struct ps_publisher *publisher = context;
    if (publisher->hooks.reopened)
        publisher->hooks.reopened(publisher->hooks.context);
}

/* Makes a status due before the next heartbeat, up to ten times a second. */
static void status_soon(struct ps_publisher *publisher)
{
    int64_t soon = publisher->last_status_ns + second_ns / 10;
    if (soon < publisher->heartbeat_ns)
        publisher->heartbeat_ns = soon;
}

/* ---- the journal --------------------------------------------------------------------------------
 */

static void journal_failed(struct ps_publisher *publisher, const struct ps_error *error)
{
    if (ps_journal_failure_report(&publisher->journal_failure, error))
        status_soon(publisher);
}

static void journal_works(struct ps_publisher *publisher)
{
    if (ps_journal_failure_clear(&publisher->journal_failure))
        status_soon(publisher);
}

/* Keeps the journal usable, and reports if it is not, also while there is nothing to commit. */
static void tend_journal(struct ps_publisher *publisher)
{
    struct ps_error error;
    if (ps_journal_tend(publisher->dependencies.journal, &error))
        journal_failed(publisher, &error);
    else if (publisher->held_count == 0)
        journal_works(publisher);
}

static void publish_status(struct ps_publisher *publisher, int64_t now, bool stopping)
{
    struct ps_frames frames;
    struct ps_error error;
    double interval = publisher->config->publish.heartbeat_seconds;
    tend_journal(publisher);
    publisher->last_status_ns = now;
    publisher->heartbeat_ns = now + (int64_t)(interval * (double)second_ns);
    if (ps_message_header(PS_WIRE_TOPIC_STATUS, make_status(publisher, stopping), &frames,
                          &error) == 0) {
        (void)ps_frames_send(publisher->sockets.publish, &frames, ZMQ_DONTWAIT);
        ps_frames_done(&frames);
    }
}

/* ---- outcomes ---------------------------------------------------------------------------------
 */

static void count_waiting(struct ps_publisher *publisher)
{
    size_t waiting = ps_completion_queue_waiting(&publisher->completions) + publisher->held_count;
    ps_metrics_set(publisher->dependencies.metrics, PS_GAUGE_OUTCOMES_WAITING, (int64_t)waiting);
}

/* Moves the queue into `held`, which is empty. */
static void take_completions(struct ps_publisher *publisher)
{
    publisher->held_count = ps_completion_queue_take(&publisher->completions, publisher->held);
}

/* Frees completions and hands their jobs back. */
static void finish(struct ps_publisher *publisher, struct ps_completion *completions, size_t count)
{
    ps_pictures_drop(&publisher->pictures, completions, count);
    ps_completions_done(completions, count, publisher->hooks.finished, publisher->hooks.context);
}

/* Commits and publishes. Returns the number of completions, from the first, that are finished; the
 * others wait for the journal. A completion that the journal refuses (PS_E_BUG) is logged and its
 * job handed back without an outcome, so that it does not block the others. */
static size_t commit_and_publish(struct ps_publisher *publisher, struct ps_completion *completions,
                                 size_t count)
{
    const struct ps_completion_dependencies *dependencies = &publisher->dependencies;
    struct ps_error error;
    int status = ps_completions_commit(dependencies, completions, count, &error);
    if (status == PS_E_BUG && count > 1) {
        size_t done = 0;
        while (done < count && commit_and_publish(publisher, &completions[done], 1) == 1)
            done++;
        return done;
    }
    if (status == PS_E_BUG) {
        ps_log_reason(dependencies->log, PS_LOG_ERROR, "outcome_refused", error.message);
    } else if (status) {
        journal_failed(publisher, &error);
        return 0;
    } else {
        for (size_t i = 0; i < count; i++) {
            (void)ps_frames_send(publisher->sockets.publish, &completions[i].frames, ZMQ_DONTWAIT);
            ps_pictures_publish(&publisher->pictures, dependencies, publisher->sockets.publish,
                                &completions[i]);
            if (publisher->hooks.published)
                publisher->hooks.published(publisher->hooks.context, completions[i].job,
                                           completions[i].seq);
        }
        ps_completions_report(dependencies, completions, count);
        journal_works(publisher);
    }
    finish(publisher, completions, count);
    return count;
}

/* False: some are still held. */
static bool commit_held(struct ps_publisher *publisher)
{
    size_t done = commit_and_publish(publisher, publisher->held, publisher->held_count);
    publisher->held_count -= done;
    memmove(publisher->held, publisher->held + done,
            publisher->held_count * sizeof *publisher->held);
    return publisher->held_count == 0;
}

/* Publishes what is held, then the queue. False: the journal cannot be written. */
static bool publish_outcomes(struct ps_publisher *publisher)
{
    bool committed = publisher->held_count == 0 || commit_held(publisher);
    if (committed) {
        take_completions(publisher);
        committed = publisher->held_count == 0 || commit_held(publisher);
    }
    count_waiting(publisher);
    return committed;
}

/* At the end, if the journal cannot be written: hands the jobs back without an outcome. The next
 * run picks these micrographs. */
static void hand_back_held(struct ps_publisher *publisher)
{
    size_t count = 0;
    for (; publisher->held_count > 0; take_completions(publisher)) {
        count += publisher->held_count;
        finish(publisher, publisher->held, publisher->held_count);
    }
    ps_log_event(publisher->dependencies.log, PS_LOG_ERROR, "outcomes_given_up",
                 "count=%zu reason=\"the journal cannot be written\"", count);
}

/* ---- the thread -------------------------------------------------------------------------------
 */

/* Sends a status soon to a new subscriber of it, so that it gets the last seq at once. */
static void watch_subscriptions(struct ps_publisher *publisher)
{
    struct ps_subscription change;
    while (ps_subscriptions_next(publisher->subscriptions, &change)) {
        if (change.begin && ps_subscription_matches(&change, PS_WIRE_TOPIC_STATUS))
            status_soon(publisher);
    }
}

static int milliseconds_until(int64_t then, int64_t now)
{
    return then <= now ? 0 : (int)((then - now + 999999) / 1000000);
}

/* Waits for an event, up to `replay_ms` until the next portion of a replay (-1: none). */
static void wait_for_events(struct ps_publisher *publisher, int replay_ms)
{
    const struct ps_sockets *sockets = &publisher->sockets;
    zmq_pollitem_t items[] = {
        {.fd = publisher->completions.wake_fd, .events = ZMQ_POLLIN},
        {.socket = sockets->publish, .events = ZMQ_POLLIN},
        {.socket = sockets->replay, .events = ZMQ_POLLIN},
        {.socket = sockets->control, .events = ZMQ_POLLIN},
        {.socket = sockets->zap, .events = ZMQ_POLLIN},
    };
    enum { ALL = sizeof items / sizeof *items, WITHOUT_CURVE = ALL - 1 };
    int64_t now = ps_clock_mono_ns();
    int wait = MAX_WAIT_MS;
    int heartbeat = milliseconds_until(publisher->heartbeat_ns, now);
    wait = heartbeat < wait ? heartbeat : wait;
    wait = replay_ms >= 0 && replay_ms < wait ? replay_ms : wait;
    if (publisher->held_count > 0) {
        int retry = milliseconds_until(publisher->journal_failure.retry_ns, now);
        wait = retry < wait ? retry : wait;
    }
    (void)zmq_poll(items, sockets->zap ? ALL : WITHOUT_CURVE, wait);
}

static void serve_clients(struct ps_publisher *publisher)
{
    struct ps_log *log = publisher->dependencies.log;
    struct ps_metrics *metrics = publisher->dependencies.metrics;
    const struct ps_sockets *sockets = &publisher->sockets;
    watch_subscriptions(publisher);
    if (sockets->zap)
        ps_admission_answer(sockets->zap, &sockets->allowed, log, metrics);
    ps_requests_serve(&publisher->requests, sockets->control, true);
    ps_requests_serve(&publisher->requests, sockets->replay, false);
}

static void *publish(void *context)
{
    struct ps_publisher *publisher = context;
    int replay_ms = -1;
    for (;;) {
        wait_for_events(publisher, replay_ms);
        atomic_fetch_add(&publisher->ticks, 1);
        if (ps_completion_queue_clear_wake(&publisher->completions))
            break;
        if (publisher->held_count == 0 || ps_clock_mono_ns() >= publisher->journal_failure.retry_ns)
            (void)publish_outcomes(publisher);
        serve_clients(publisher);
        replay_ms = ps_replays_proceed(publisher->requests.replays);
        int64_t now = ps_clock_mono_ns();
        if (now >= publisher->heartbeat_ns)
            publish_status(publisher, now, false);
    }
    if (!publish_outcomes(publisher))
        hand_back_held(publisher);
    publish_status(publisher, ps_clock_mono_ns(), true);
    return NULL;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static void publisher_free(struct ps_publisher *publisher)
{
    ps_subscriptions_free(publisher->subscriptions);
    ps_sockets_close(&publisher->sockets);
    ps_replays_free(publisher->requests.replays);
    ps_completion_queue_done(&publisher->completions);
    ps_journal_failure_done(&publisher->journal_failure);
    free(publisher->profile);
    free(publisher);
}

static int start(struct ps_publisher *publisher, struct ps_error *error)
{
    const struct ps_config *config = publisher->config;
    struct ps_completion_dependencies *dependencies = &publisher->dependencies;
    publisher->profile = ps_config_get(config, "picker.profile");
    publisher->requests.replays =
        ps_replays_new(dependencies->journal, dependencies->log, dependencies->metrics);
    if (!publisher->profile || !publisher->requests.replays)
        return ps_fail_memory(error, sizeof *publisher, "the publisher");
    dependencies->profile = publisher->profile;
    dependencies->parameters = publisher->parameters;
    int status = ps_config_parameters(config, publisher->parameters, error);
    if (status == 0)
        status = ps_sockets_open(config, PS_SOCKETS_SERVICE, dependencies->log,
                                 dependencies->metrics, &publisher->sockets, error);
    if (status)
        return status;
    publisher->subscriptions =
        ps_subscriptions_new(publisher->sockets.publish, publisher->sockets.gate, dependencies->log,
                             dependencies->metrics);
    if (!publisher->subscriptions)
        return ps_fail_memory(error, sizeof *publisher, "the publisher");
    publisher->requests.gate = publisher->sockets.gate;
    publisher->started_ns = ps_clock_mono_ns();
    ps_log_event(dependencies->log, PS_LOG_INFO, "publishing", "endpoint=%s replay=%s",
                 publisher->sockets.publish_endpoint, publisher->sockets.replay_endpoint);
    return ps_thread_start(&publisher->thread, "ps-publisher", "the publisher", publish, publisher,
                           error);
}

int ps_publisher_start(const struct ps_config *config, struct ps_journal *journal,
                       struct ps_log *log, struct ps_metrics *metrics,
                       const struct ps_publisher_hooks *hooks, struct ps_publisher **ret_publisher,
                       struct ps_error *error)
{
    struct ps_publisher *publisher = calloc(1, sizeof *publisher);
    if (!publisher)
        return ps_fail_memory(error, sizeof *publisher, "the publisher");
    publisher->config = config;
    publisher->hooks = *hooks;
    ps_journal_failure_init(&publisher->journal_failure, journal, log, metrics);
    publisher->dependencies = (struct ps_completion_dependencies){
        .config = config,
        .journal = journal,
        .log = log,
        .metrics = metrics,
        .scale = publisher->scale,
    };
    publisher->requests = (struct ps_request_dependencies){
        .journal = journal,
        .log = log,
        .metrics = metrics,
        .hello = answer_hello,
        .status = answer_status,
        .reopened = reopened,
        .parameters = publisher->parameters,
        .context = publisher,
    };
    int status = ps_completion_queue_init(&publisher->completions, error);
    if (status == 0)
        status = start(publisher, error);
    if (status)
        publisher_free(publisher);
    else
        *ret_publisher = publisher;
    return status;
}

void ps_publisher_submit(struct ps_publisher *publisher, struct ps_completion *completion)
{
    ps_pictures_admit(&publisher->pictures, publisher->dependencies.metrics, completion);
    ps_completion_queue_put(&publisher->completions, completion);
}

void ps_publisher_stop(struct ps_publisher *publisher)
{
    ps_completion_queue_close(&publisher->completions);
    (void)pthread_join(publisher->thread, NULL);
    publisher_free(publisher);
}

json_t *ps_publisher_status(struct ps_publisher *publisher)
{
    return make_status(publisher, false);
}

uint64_t ps_publisher_ticks(const struct ps_publisher *publisher)
{
    return atomic_load(&publisher->ticks);
}
