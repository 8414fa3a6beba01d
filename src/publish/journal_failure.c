#include "publish/journal_failure.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t retry_after_ns = 1000000000;

void ps_journal_failure_init(struct ps_journal_failure *failure, struct ps_journal *journal,
                             struct ps_log *log, struct ps_metrics *metrics)
{
    *failure = (struct ps_journal_failure){.journal = journal, .log = log, .metrics = metrics};
    (void)pthread_mutex_init(&failure->lock, NULL);
}

void ps_journal_failure_done(struct ps_journal_failure *failure)
{
    (void)pthread_mutex_destroy(&failure->lock);
}

static void set(struct ps_journal_failure *failure, const char *text)
{
    (void)pthread_mutex_lock(&failure->lock);
    (void)snprintf(failure->text, sizeof failure->text, "%s", text);
    (void)pthread_mutex_unlock(&failure->lock);
}

bool ps_journal_failure_report(struct ps_journal_failure *failure, const struct ps_error *error)
{
    ps_metrics_add(failure->metrics, PS_COUNTER_JOURNAL_FAILURES, 1);
    failure->retry_ns = ps_clock_mono_ns() + retry_after_ns;
    if (strcmp(failure->text, error->message) == 0)
        return false; /* logged already, and in every status */
    ps_log_reason(failure->log, PS_LOG_ERROR, "journal_failed", error->message);
    set(failure, error->message);
    return true;
}

bool ps_journal_failure_clear(struct ps_journal_failure *failure)
{
    if (!*failure->text)
        return false;
    set(failure, "");
    ps_log_event(failure->log, PS_LOG_INFO, "journal_recovered", "last_seq=%" PRIu64,
                 ps_journal_last_seq(failure->journal));
    return true;
}

bool ps_journal_failure_text(struct ps_journal_failure *failure, char *text)
{
    (void)pthread_mutex_lock(&failure->lock);
    memcpy(text, failure->text, sizeof failure->text);
    (void)pthread_mutex_unlock(&failure->lock);
    return *text != '\0';
}
