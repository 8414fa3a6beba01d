#include "service/discovery.h"

#include "base/error.h"
#include "service/left_over.h"
#include "service/skip.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The watcher asks whether it is to scan only while no scan runs: with the second call the first
 * scan has ended. What it has found settles now, and may then be held back for a better version as
 * long again. */
enum { AFTER_FIRST_SCAN = 2 };

struct ps_discovery {
    struct ps_discovery_dependencies dependencies;
    int calls;                            /* of wants_rescan(), up to AFTER_FIRST_SCAN */
    pthread_mutex_t lock;                 /* guards `failure` */
    char failure[PS_MAX_JOURNAL_FAILURE]; /* why files cannot be recorded; "": they can */
};

static bool is_readable(const char *path)
{
    return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
}

static void set_failure(struct ps_discovery *discovery, const char *failure)
{
    pthread_mutex_lock(&discovery->lock);
    (void)snprintf(discovery->failure, sizeof discovery->failure, "%s", failure);
    pthread_mutex_unlock(&discovery->lock);
}

static struct ps_skip_dependencies skip_dependencies(const struct ps_discovery *discovery)
{
    return (struct ps_skip_dependencies){discovery->dependencies.config,
                                         discovery->dependencies.log,
                                         discovery->dependencies.journal};
}

/* Records a file that was found: sets `job` and the state. A micrograph that failed because it
 * could not be read, and can be now, gets another attempt. */
static int record(struct ps_discovery *discovery, struct ps_job *job,
                  enum ps_journal_state *ret_state, enum ps_skip *ret_skip, struct ps_error *error)
{
    struct ps_journal *journal = discovery->dependencies.journal;
    const struct ps_skip_dependencies dependencies = skip_dependencies(discovery);
    int status = ps_skip_found(&dependencies, job, ret_skip, error);
    if (status || *ret_skip != PS_SKIP_NOT)
        return status;
    status = ps_journal_see(journal, job, ret_state, error);
    if (status || *ret_state != PS_JOURNAL_DONE ||
        ps_journal_file(journal, job->path) != PS_JOURNAL_FILE_UNREADABLE ||
        !is_readable(job->path))
        return status;
    size_t count;
    status = ps_journal_retry(journal, &job->path, 1, &count, error);
    return status ? status : ps_journal_see(journal, job, ret_state, error);
}

/* The watcher found a complete micrograph. False while the journal cannot be written (disk full):
 * the watcher offers the file again with the next scan. */
static bool found(void *context, struct ps_job *job)
{
    struct ps_discovery *discovery = context;
    const struct ps_discovery_dependencies *dependencies = &discovery->dependencies;
    enum ps_journal_state state = PS_JOURNAL_DONE;
    enum ps_skip skip = PS_SKIP_NOT;
    struct ps_error error;
    if (record(discovery, job, &state, &skip, &error)) {
        ps_metrics_add(dependencies->metrics, PS_COUNTER_JOURNAL_FAILURES, 1);
        ps_log_reason(dependencies->log, PS_LOG_ERROR, "journal_failed", error.message);
        set_failure(discovery, error.message);
        ps_job_free(job);
        return false;
    }
    set_failure(discovery, "");
    if (state == PS_JOURNAL_NEW)
        ps_metrics_add(dependencies->metrics, PS_COUNTER_SEEN, 1);
    if (state == PS_JOURNAL_DONE || ps_postponed_has(dependencies->postponed, job))
        ps_job_free(job);
    else
        (void)ps_job_queue_put(dependencies->queue, job);
    return skip != PS_SKIP_LATER;
}

static bool known(void *context, const char *path, const struct ps_identity *identity)
{
    struct ps_discovery *discovery = context;
    struct ps_journal *journal = discovery->dependencies.journal;
    const struct ps_skip_dependencies dependencies = skip_dependencies(discovery);
    if (!ps_journal_done(journal, path, identity))
        return ps_skip_is_known(&dependencies, path, identity);
    return ps_journal_file(journal, path) != PS_JOURNAL_FILE_UNREADABLE || !is_readable(path);
}

static bool wants_rescan(void *context)
{
    struct ps_discovery *discovery = context;
    const struct ps_discovery_dependencies *dependencies = &discovery->dependencies;
    if (discovery->calls < AFTER_FIRST_SCAN && ++discovery->calls == AFTER_FIRST_SCAN)
        ps_job_queue_hold_suspects(dependencies->queue,
                                   1 + 3 * dependencies->config->input.settle_seconds);
    if (!ps_job_queue_wants_rescan(dependencies->queue))
        return false;
    /* What is to be picked again need not be among the files that a scan finds. */
    const struct ps_left_over left_over = {dependencies->journal, dependencies->log,
                                           dependencies->queue, dependencies->postponed};
    struct ps_error error;
    if (ps_left_over_queue(&left_over, &error))
        ps_log_reason(dependencies->log, PS_LOG_ERROR, "journal_failed", error.message);
    return true;
}

struct ps_watcher_sink ps_discovery_sink(struct ps_discovery *discovery)
{
    return (struct ps_watcher_sink){found, wants_rescan, known, discovery};
}

bool ps_discovery_failure(struct ps_discovery *discovery, char ret_text[PS_MAX_JOURNAL_FAILURE])
{
    pthread_mutex_lock(&discovery->lock);
    (void)snprintf(ret_text, PS_MAX_JOURNAL_FAILURE, "%s", discovery->failure);
    pthread_mutex_unlock(&discovery->lock);
    return ret_text[0] != '\0';
}

struct ps_discovery *ps_discovery_new(const struct ps_discovery_dependencies *dependencies)
{
    struct ps_discovery *discovery = calloc(1, sizeof *discovery);
    if (!discovery)
        return NULL;
    discovery->dependencies = *dependencies;
    ps_job_queue_hold_suspects(dependencies->queue, INFINITY);
    pthread_mutex_init(&discovery->lock, NULL);
    return discovery;
}

void ps_discovery_free(struct ps_discovery *discovery)
{
    if (!discovery)
        return;
    pthread_mutex_destroy(&discovery->lock);
    free(discovery);
}
