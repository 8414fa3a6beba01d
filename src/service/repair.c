#include "service/repair.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "service/outputs.h"
#include "service/reread.h"
#include "wire/header.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

/* Failures in succession that end a round: the cause is not one micrograph's. */
enum { MAX_FAILURES = 8 };

static const int64_t never_ns = INT64_MAX, first_pause_ns = 1000000000,
                     max_pause_ns = 60 * INT64_C(1000000000);

struct ps_repair {
    struct ps_repair_dependencies dependencies;
    struct ps_outputs *outputs;
    pthread_t thread;
    bool started;

    /* Guards what follows it, up to the next line. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    bool ended;
    int64_t next_ns;                                    /* monotonic: the next round */
    char reason[sizeof((struct ps_error *)0)->message]; /* why the last write failed; "": none */

    /* Used by the thread only: */
    int64_t pause_ns; /* after the next round with a failure */
    uint64_t last;    /* seq that was tried last, so that each has its turn */
    bool reported;    /* a failure is logged, and nothing was written since */
};

/* One round. */
struct round {
    struct ps_repair *repair;
    size_t written;
    size_t failures; /* in succession */
};

/* ---- counting ---------------------------------------------------------------------------------
 */

static uint64_t count_missing(struct ps_repair *repair)
{
    uint64_t count = 0;
    struct ps_error error;
    if (ps_journal_count_unwritten(repair->dependencies.journal, &count, &error) == 0)
        ps_metrics_set(repair->dependencies.metrics, PS_GAUGE_FILES_MISSING, (int64_t)count);
    return count;
}

static void set_reason(struct ps_repair *repair, const char *reason)
{
    pthread_mutex_lock(&repair->lock);
    (void)snprintf(repair->reason, sizeof repair->reason, "%s", reason);
    pthread_mutex_unlock(&repair->lock);
}

json_t *ps_repair_status(struct ps_repair *repair)
{
    const uint64_t count = count_missing(repair);
    pthread_mutex_lock(&repair->lock);
    json_t *reason = count && *repair->reason ? ps_json_text(repair->reason) : json_null();
    pthread_mutex_unlock(&repair->lock);
    return json_pack("{s:I, s:o}", "files_missing", (json_int_t)count, "reason", reason);
}

/* ---- one outcome ------------------------------------------------------------------------------
 */

/* True if the files of this outcome are still the ones to write. */
static bool is_missing(const struct ps_repair *repair, uint64_t seq)
{
    uint64_t found = 0;
    return ps_journal_next_unwritten(repair->dependencies.journal, seq - 1, &found, NULL) == 0 &&
           found == seq;
}

/* Writes the files of an outcome whose path is claimed. */
static void write_files(struct round *round, uint64_t seq, struct ps_outcome_record *record)
{
    struct ps_repair *repair = round->repair;
    struct ps_error error, reading;
    const bool needs_pixels = ps_reread_is_needed(repair->dependencies.config, record);
    const int read = needs_pixels ? ps_reread(repair->dependencies.journal,
                                              repair->dependencies.config, record, &reading)
                                  : 0;
    int status = ps_outputs_repair(repair->outputs, record, &error);
    if (read && (status == 0 || status == PS_E_INPUT)) { /* picks are written, particles are not */
        status = read;
        error = reading;
    }
    if (status == PS_E_INPUT) { /* never: report it, and count it no more */
        ps_log_reason(repair->dependencies.log, PS_LOG_ERROR, "output_failed", error.message);
        status = 0;
    } else if (status == 0) {
        round->written++;
    }
    if (status == 0)
        status = ps_journal_written(repair->dependencies.journal, seq, &error);
    round->failures = status ? round->failures + 1 : 0;
    if (status)
        set_reason(repair, error.message);
}

/* For ps_journal_replay(). */
static int take(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct round *round = context;
    const struct ps_repair_dependencies *dependencies = &round->repair->dependencies;
    struct ps_outcome_record *record = NULL;
    struct ps_error error;
    if (ps_outcome_record_read(frames, &record, &error)) {
        round->failures++;
        set_reason(round->repair, error.message);
        return 0;
    }
    struct ps_job *job = ps_job_new(record->path, record->name);
    if (job && ps_job_queue_claim(dependencies->queue, job)) {
        if (is_missing(round->repair, seq))
            write_files(round, seq, record);
        ps_job_queue_finish(dependencies->queue, job);
    } else if (job) {
        ps_job_free(job); /* being picked: another round looks whether it still misses files */
    }
    ps_outcome_record_free(record);
    return 0;
}

/* ---- the thread -------------------------------------------------------------------------------
 */

static bool is_stopped(struct ps_repair *repair)
{
    pthread_mutex_lock(&repair->lock);
    const bool stop = repair->stop;
    pthread_mutex_unlock(&repair->lock);
    return stop;
}

/* Tries each outcome with missing files, from the one after `last`, until several in succession
 * have failed. */
static struct round try_all(struct ps_repair *repair)
{
    struct round round = {.repair = repair};
    struct ps_error error;
    uint64_t seq = 0;
    while (round.failures < MAX_FAILURES && !is_stopped(repair)) {
        int status =
            ps_journal_next_unwritten(repair->dependencies.journal, repair->last, &seq, &error);
        if (status == 0 && seq > 0)
            status =
                ps_journal_replay(repair->dependencies.journal, seq - 1, 1, take, &round, &error);
        repair->last = status == 0 ? seq : 0; /* 0: begin again with the first */
        if (status == 0 && seq > 0)
            continue;
        if (status) {
            round.failures++;
            set_reason(repair, error.message);
        }
        break;
    }
    return round;
}

static void report(struct ps_repair *repair, const struct round *round, uint64_t left)
{
    struct ps_log *log = repair->dependencies.log;
    char reason[PS_LOG_TEXT];
    if (round->written)
        ps_log_event(log, PS_LOG_INFO, "output_repaired", "count=%zu missing=%" PRIu64,
                     round->written, left);
    if (round->failures && !repair->reported) {
        pthread_mutex_lock(&repair->lock);
        (void)ps_log_quote(repair->reason, reason);
        pthread_mutex_unlock(&repair->lock);
        ps_log_event(log, PS_LOG_WARNING, "output_missing", "count=%" PRIu64 " reason=%s", left,
                     reason);
        repair->reported = true;
    }
    if (left == 0)
        repair->reported = false;
}

/* Returns how long to wait for the next round. */
static int64_t do_round(struct ps_repair *repair)
{
    const struct round round = try_all(repair);
    const uint64_t left = count_missing(repair);
    report(repair, &round, left);
    if (left == 0 || round.written)
        repair->pause_ns = first_pause_ns;
    if (left == 0) {
        set_reason(repair, "");
        return never_ns;
    }
    const int64_t pause = repair->pause_ns;
    repair->pause_ns = 2 * pause < max_pause_ns ? 2 * pause : max_pause_ns;
    return pause;
}

/* Waits for the next round; false: the end. */
static bool wait_for_round(struct ps_repair *repair)
{
    pthread_mutex_lock(&repair->lock);
    while (!repair->stop && repair->next_ns > ps_clock_mono_ns()) {
        const struct timespec until = {.tv_sec = repair->next_ns / 1000000000,
                                       .tv_nsec = repair->next_ns % 1000000000};
        if (repair->next_ns == never_ns)
            pthread_cond_wait(&repair->changed, &repair->lock);
        else
            (void)pthread_cond_timedwait(&repair->changed, &repair->lock, &until);
    }
    const bool stop = repair->stop;
    repair->next_ns = never_ns; /* a wake from now on asks for another round */
    pthread_mutex_unlock(&repair->lock);
    return !stop;
}

static void *run(void *context)
{
    struct ps_repair *repair = context;
    while (wait_for_round(repair)) {
        const int64_t pause = do_round(repair);
        const int64_t next = pause == never_ns ? never_ns : ps_clock_mono_ns() + pause;
        pthread_mutex_lock(&repair->lock);
        if (next != never_ns)
            repair->next_ns = next;
        pthread_mutex_unlock(&repair->lock);
    }
    pthread_mutex_lock(&repair->lock);
    repair->ended = true;
    pthread_mutex_unlock(&repair->lock);
    (void)eventfd_write(repair->dependencies.event_fd, 1);
    return NULL;
}

void ps_repair_wake(struct ps_repair *repair)
{
    (void)count_missing(repair);
    pthread_mutex_lock(&repair->lock);
    if (repair->next_ns == never_ns)
        repair->next_ns = ps_clock_mono_ns() + first_pause_ns;
    pthread_cond_signal(&repair->changed);
    pthread_mutex_unlock(&repair->lock);
}

/* ---- start and end ----------------------------------------------------------------------------
 */

int ps_repair_new(const struct ps_repair_dependencies *dependencies, struct ps_repair **ret_repair,
                  struct ps_error *error)
{
    struct ps_repair *repair = calloc(1, sizeof *repair);
    pthread_condattr_t clock;
    if (!repair)
        return ps_fail_memory(error, sizeof *repair, "files of picks");
    repair->dependencies = *dependencies;
    repair->pause_ns = first_pause_ns;
    pthread_mutex_init(&repair->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&repair->changed, &clock);
    pthread_condattr_destroy(&clock);
    int status = ps_outputs_open(dependencies->config, dependencies->log, &repair->outputs, error);
    if (status)
        ps_repair_free(repair);
    else
        *ret_repair = repair;
    return status;
}

int ps_repair_start(struct ps_repair *repair, struct ps_error *error)
{
    int status =
        ps_thread_start(&repair->thread, "ps-repair", "the repair of files", run, repair, error);
    repair->started = status == 0;
    return status;
}

void ps_repair_stop(struct ps_repair *repair)
{
    if (!repair)
        return;
    pthread_mutex_lock(&repair->lock);
    repair->stop = true;
    pthread_cond_signal(&repair->changed);
    pthread_mutex_unlock(&repair->lock);
}

bool ps_repair_ended(struct ps_repair *repair)
{
    if (!repair || !repair->started)
        return true;
    pthread_mutex_lock(&repair->lock);
    const bool ended = repair->ended;
    pthread_mutex_unlock(&repair->lock);
    return ended;
}

void ps_repair_free(struct ps_repair *repair)
{
    if (!repair)
        return;
    ps_repair_stop(repair);
    if (repair->started)
        (void)pthread_join(repair->thread, NULL);
    ps_outputs_close(repair->outputs);
    (void)pthread_cond_destroy(&repair->changed);
    (void)pthread_mutex_destroy(&repair->lock);
    free(repair);
}
