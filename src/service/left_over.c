#include "service/left_over.h"

#include <inttypes.h>

struct pass {
    const struct ps_left_over *left_over;
    size_t suspects; /* seen, not queued */
};

/* Returns 1, which ends the pass, if the queue is closed. */
static int queue_one(void *context, struct ps_job *job)
{
    const struct pass *pass = context;
    if (ps_postponed_has(pass->left_over->postponed, job)) {
        ps_job_free(job);
        return 0;
    }
    return ps_job_queue_put(pass->left_over->queue, job) ? 0 : 1;
}

static int queue_unless_suspect(void *context, struct ps_job *job)
{
    struct pass *pass = context;
    if (job->deaths > 0) {
        char quoted[PS_LOG_TEXT];
        ps_log_event(pass->left_over->log, PS_LOG_WARNING, "died_while_picking",
                     "deaths=%d micrograph=%s", job->deaths, ps_log_quote(job->name, quoted));
    }
    if (job->deaths < PS_SUSPECT_DEATHS)
        return queue_one(pass, job);
    pass->suspects++;
    ps_job_free(job);
    return 0;
}

static int queue_suspect(void *context, struct ps_job *job)
{
    if (job->deaths >= PS_SUSPECT_DEATHS)
        return queue_one(context, job);
    ps_job_free(job);
    return 0;
}

int ps_left_over_queue(const struct ps_left_over *left_over, struct ps_error *error)
{
    struct pass pass = {.left_over = left_over};
    return ps_journal_each_open(left_over->journal, queue_one, &pass, error);
}

int ps_left_over_queue_at_start(const struct ps_left_over *left_over, struct ps_error *error)
{
    struct pass pass = {.left_over = left_over};
    int status = ps_journal_each_open(left_over->journal, queue_unless_suspect, &pass, error);
    if (status == 0 && pass.suspects)
        status = ps_journal_each_open(left_over->journal, queue_suspect, &pass, error);
    return status;
}

void ps_left_over_report_outdated(const struct ps_left_over *left_over,
                                  const struct ps_config *config)
{
    char parameters[PS_PARAMETERS_TEXT];
    struct ps_error error;
    uint64_t outdated = 0;
    int status = ps_config_parameters(config, parameters, &error);
    if (status == 0)
        status = ps_journal_count_outdated(left_over->journal, parameters, &outdated, &error);
    if (status)
        ps_log_reason(left_over->log, PS_LOG_ERROR, "journal_failed", error.message);
    else if (outdated)
        ps_log_event(left_over->log, PS_LOG_WARNING, "settings_changed",
                     "outcomes=%" PRIu64 " reason=\"made with other picking settings: 'pickstream "
                     "repick' makes them with these\"",
                     outdated);
}
