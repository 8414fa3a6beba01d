#include "publish/completion.h"

#include "base/clock.h"
#include "image/micrograph.h"
#include "picker/picker.h"
#include "watch/job.h"
#include "wire/header.h"

#include <inttypes.h>
#include <stdlib.h>

static struct ps_outcome_facts facts_of(const struct ps_outcome_tools *tools,
                                        const struct ps_submission *item)
{
    const struct ps_job *job = item->job;
    const struct ps_result *result = item->failure ? NULL : &item->result;
    return (struct ps_outcome_facts){
        .stream = ps_journal_stream(tools->journal),
        .session = tools->config->publish.session,
        .closed_ns = job->closed_ns,
        .detected_ns = job->detected_ns,
        .path = job->path,
        .name = job->name,
        .revision = job->revision,
        .attempt = job->attempt,
        .bytes = job->identity.size,
        .width = item->micrograph ? item->micrograph->image.width : 0,
        .height = item->micrograph ? item->micrograph->image.height : 0,
        .micrograph = item->micrograph,
        .pixel_size_source = result ? ps_pixel_size_source(tools->config, result) : NULL,
        .profile = tools->profile,
        .parameters = tools->parameters,
        .failure = item->failure,
        .result = result,
        .read_milliseconds = item->read_milliseconds,
        .total_milliseconds = item->total_milliseconds,
    };
}

static size_t picks_of(const struct ps_outcome_facts *facts)
{
    return facts->result ? facts->result->count : 0;
}

static void frames_done(struct ps_outcome_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ps_frames_done(&items[i].frames);
}

int ps_outcomes_commit(const struct ps_outcome_tools *tools, struct ps_outcome_item *items,
                       size_t count, struct ps_error *error)
{
    struct ps_outcome_record records[PS_COMMIT];
    uint64_t seq = ps_journal_last_seq(tools->journal);
    int64_t published_ns = ps_clock_wall_ns();
    int status = 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        struct ps_outcome_facts facts = facts_of(tools, &items[i].submission);
        facts.seq = ++seq;
        facts.published_ns = published_ns;
        status = ps_message_picks(&facts, &items[i].frames, error);
        items[i].seq = seq;
        records[i] = (struct ps_outcome_record){
            .job = items[i].submission.job,
            .seq = seq,
            .status = ps_header_status(&facts),
            .reason = ps_header_reason(&facts),
            .count = picks_of(&facts),
            .frames = &items[i].frames,
        };
    }
    int64_t start_ns = ps_clock_mono_ns();
    if (status == 0)
        status = ps_journal_commit(tools->journal, records, count, error);
    if (status)
        frames_done(items, count);
    else
        ps_metrics_observe(tools->metrics, PS_HISTOGRAM_COMMIT,
                           (double)(ps_clock_mono_ns() - start_ns) * 1e-9);
    return status;
}

static void log_outcome(struct ps_log *log, const struct ps_outcome_facts *facts)
{
    char path[PS_LOG_TEXT], reason[PS_LOG_TEXT];
    (void)ps_log_quote(facts->path, path);
    if (ps_header_reason(facts))
        ps_log_event(log, PS_LOG_INFO, ps_header_status(facts), "file=%s ms=%.1f reason=%s", path,
                     facts->total_milliseconds, ps_log_quote(ps_header_reason(facts), reason));
    else
        ps_log_event(log, PS_LOG_INFO, ps_header_status(facts), "file=%s count=%zu ms=%.1f", path,
                     picks_of(facts), facts->total_milliseconds);
}

static void count_outcome(struct ps_metrics *metrics, const struct ps_outcome_facts *facts)
{
    enum ps_counter kind = PS_COUNTER_FAILED;
    if (facts->result)
        kind = facts->result->outcome == PS_REJECTED ? PS_COUNTER_REJECTED : PS_COUNTER_PICKED;
    ps_metrics_add(metrics, kind, 1);
    ps_metrics_add(metrics, PS_COUNTER_PUBLISHED, 1);
    ps_metrics_add(metrics, PS_COUNTER_PICKS, picks_of(facts));
}

/* Only where the end of writing was told: a file that a scan found may have lain there for days. */
static void observe_latency(struct ps_metrics *metrics, const struct ps_submission *item,
                            int64_t now_ns)
{
    if (item->job->closed_mono_ns == 0)
        return;
    double latency = (double)(now_ns - item->job->closed_mono_ns) * 1e-9;
    double overhead = latency - item->total_milliseconds * 1e-3;
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, latency);
    ps_metrics_observe(metrics, PS_HISTOGRAM_OVERHEAD, overhead > 0 ? overhead : 0);
}

void ps_outcomes_report(const struct ps_outcome_tools *tools, const struct ps_outcome_item *items,
                        size_t count)
{
    int64_t now_ns = ps_clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        struct ps_outcome_facts facts = facts_of(tools, &items[i].submission);
        observe_latency(tools->metrics, &items[i].submission, now_ns);
        count_outcome(tools->metrics, &facts);
        log_outcome(tools->log, &facts);
    }
}

void ps_outcomes_done(struct ps_outcome_item *items, size_t count,
                      void (*finished)(void *context, struct ps_job *job), void *context)
{
    frames_done(items, count);
    for (size_t i = 0; i < count; i++) {
        struct ps_submission *submission = &items[i].submission;
        if (finished)
            finished(context, submission->job);
        ps_micrograph_free(submission->micrograph);
        ps_result_done(&submission->result);
        free(submission->failure);
        ps_preview_done(&submission->preview);
        *submission = (struct ps_submission){0};
    }
}
