#include "publish/completion.h"

#include "base/clock.h"
#include "base/warning.h"
#include "image/micrograph.h"
#include "picker/picker.h"
#include "picker/scale.h"
#include "watch/job.h"
#include "wire/header.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ps_outcome_facts facts_of(const struct ps_completion_dependencies *dependencies,
                                        const struct ps_completion *completion)
{
    const struct ps_job *job = completion->job;
    const struct ps_result *result = completion->failure ? NULL : &completion->result;
    return (struct ps_outcome_facts){
        .stream = ps_journal_stream(dependencies->journal),
        .replaces = completion->replaces,
        .usual_count = completion->usual_count,
        .session = dependencies->config->publish.session,
        .closed_ns = job->closed_ns,
        .detected_ns = job->detected_ns,
        .path = job->path,
        .name = job->name,
        .revision = job->revision,
        .attempt = job->attempt,
        .bytes = job->identity.size,
        .width = completion->micrograph ? completion->micrograph->image.width : 0,
        .height = completion->micrograph ? completion->micrograph->image.height : 0,
        .micrograph = completion->micrograph,
        .pixel_size_source = result ? ps_pixel_size_source(dependencies->config, result) : NULL,
        .profile = dependencies->profile,
        .parameters = dependencies->parameters,
        .failure = completion->failure,
        .result = result,
        .read_milliseconds = completion->read_milliseconds,
        .total_milliseconds = completion->total_milliseconds,
    };
}

static size_t picks_of(const struct ps_outcome_facts *facts)
{
    return facts->result ? facts->result->count : 0;
}

static void frames_done(struct ps_completion *completions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ps_frames_done(&completions[i].frames);
}

/* True if a micrograph has far fewer picks than is usual in its session, whose median may be
 * unknown (0). */
static bool has_collapsed(const struct ps_completion *completion, double median)
{
    static const double LEAST_MEDIAN = 10, LEAST_SHARE = 0.25;
    return !completion->failure && completion->result.outcome == PS_PICKED &&
           median >= LEAST_MEDIAN && (double)completion->result.count < LEAST_SHARE * median;
}

int ps_completions_commit(const struct ps_completion_dependencies *dependencies,
                          struct ps_completion *completions, size_t count, struct ps_error *error)
{
    struct ps_journal_row records[PS_MAX_COMMIT];
    uint64_t seq = ps_journal_last_seq(dependencies->journal);
    int64_t published_ns = ps_clock_wall_ns();
    double median = 0;
    int status =
        ps_journal_usual_picks(dependencies->journal, dependencies->parameters, &median, error);
    for (size_t i = 0; i < count && status == 0; i++) {
        completions[i].usual_count = has_collapsed(&completions[i], median) ? median : 0;
        status = ps_journal_latest(dependencies->journal, completions[i].job->path,
                                   &completions[i].replaces, error);
        if (status)
            break;
        struct ps_outcome_facts facts = facts_of(dependencies, &completions[i]);
        facts.seq = ++seq;
        facts.published_ns = published_ns;
        status = ps_message_picks(&facts, &completions[i].frames, error);
        completions[i].seq = seq;
        records[i] = (struct ps_journal_row){
            .job = completions[i].job,
            .seq = seq,
            .status = ps_header_status(&facts),
            .reason = ps_header_reason(&facts),
            .count = picks_of(&facts),
            .frames = &completions[i].frames,
            .parameters = dependencies->parameters,
        };
    }
    int64_t start_ns = ps_clock_mono_ns();
    if (status == 0)
        status = ps_journal_commit(dependencies->journal, records, count, error);
    if (status)
        frames_done(completions, count);
    else
        ps_metrics_observe(dependencies->metrics, PS_HISTOGRAM_COMMIT,
                           (double)(ps_clock_mono_ns() - start_ns) * 1e-9);
    return status;
}

/* " unreliable masked reason=\"...\"": codes, and the texts with what to do next; "" for none. */
static void problems_text(const struct ps_outcome_facts *facts, char *ret_text, size_t size)
{
    char texts[2 * PS_LOG_TEXT], quoted[PS_LOG_TEXT];
    struct ps_problems problems;
    size_t used = 0, length = 0;
    ps_header_problems(facts, &problems);
    *ret_text = '\0';
    for (size_t i = 0; i < problems.count && used < size && length < sizeof texts; i++) {
        const struct ps_problem *problem = &problems.of[i];
        used +=
            (size_t)snprintf(ret_text + used, size - used, " %s", ps_warning_code(problem->kind));
        length +=
            (size_t)snprintf(texts + length, sizeof texts - length, "%s%s: %s", length ? "; " : "",
                             problem->text, ps_warning_advice(problem->kind));
    }
    if (problems.count > 0 && used < size)
        (void)snprintf(ret_text + used, size - used, " reason=%s", ps_log_quote(texts, quoted));
}

static void log_outcome(struct ps_log *log, const struct ps_outcome_facts *facts)
{
    char path[PS_LOG_TEXT], reason[PS_LOG_TEXT], problems[2 * PS_LOG_TEXT];
    (void)ps_log_quote(facts->path, path);
    problems_text(facts, problems, sizeof problems);
    if (ps_header_reason(facts))
        ps_log_event(log, PS_LOG_INFO, ps_header_status(facts), "file=%s ms=%.1f reason=%s", path,
                     facts->total_milliseconds, ps_log_quote(ps_header_reason(facts), reason));
    else
        ps_log_event(log, *problems ? PS_LOG_WARNING : PS_LOG_INFO, ps_header_status(facts),
                     "file=%s count=%zu ms=%.1f%s", path, picks_of(facts),
                     facts->total_milliseconds, problems);
}

/* Logs pixel size and diameter, the first time and when they change. */
static void log_scale(const struct ps_completion_dependencies *dependencies,
                      const struct ps_micrograph *micrograph)
{
    char scale[PS_SCALE_TEXT], text[PS_LOG_TEXT];
    if (!micrograph || !dependencies->scale)
        return;
    (void)ps_scale_text(dependencies->config, micrograph->image.pixel_size, scale);
    if (strcmp(scale, dependencies->scale) == 0)
        return;
    memcpy(dependencies->scale, scale, sizeof scale);
    ps_log_event(dependencies->log, PS_LOG_INFO, "scale", "is=%s", ps_log_quote(scale, text));
}

/* The counters are in the order of PS_WARNING_MAP. */
static enum ps_counter counter_of(enum ps_warning kind)
{
#define X(NAME, code, advice)                                                                      \
    _Static_assert(PS_COUNTER_WARNED_##NAME - PS_COUNTER_WARNED_FAILED ==                          \
                       (int)PS_WARNING_##NAME - (int)PS_WARNING_FAILED,                            \
                   "the order of the counters");
    PS_WARNING_MAP(X)
#undef X
    return (enum ps_counter)(PS_COUNTER_WARNED_FAILED + ((int)kind - (int)PS_WARNING_FAILED));
}

static void count_outcome(struct ps_metrics *metrics, const struct ps_outcome_facts *facts)
{
    enum ps_counter kind = PS_COUNTER_FAILED;
    if (facts->result)
        kind = facts->result->outcome == PS_REJECTED ? PS_COUNTER_REJECTED : PS_COUNTER_PICKED;
    ps_metrics_add(metrics, kind, 1);
    if (facts->result && facts->result->unreliable)
        ps_metrics_add(metrics, PS_COUNTER_UNRELIABLE, 1);
    ps_metrics_add(metrics, PS_COUNTER_PUBLISHED, 1);
    ps_metrics_add(metrics, PS_COUNTER_PICKS, picks_of(facts));
    ps_metrics_set(metrics, PS_GAUGE_LAST_OUTCOME, ps_clock_wall_ns() / 1000000000);
    struct ps_problems problems;
    ps_header_problems(facts, &problems);
    for (size_t i = 0; i < problems.count; i++)
        ps_metrics_add(metrics, counter_of(problems.of[i].kind), 1);
}

/* Only if an event reported the end of writing: a file that a scan found can be days old. */
static void observe_latency(struct ps_metrics *metrics, const struct ps_completion *completion,
                            int64_t now_ns)
{
    if (completion->job->closed_mono_ns == 0)
        return;
    double latency = (double)(now_ns - completion->job->closed_mono_ns) * 1e-9;
    double overhead = latency - completion->total_milliseconds * 1e-3;
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, latency);
    ps_metrics_observe(metrics, PS_HISTOGRAM_OVERHEAD, overhead > 0 ? overhead : 0);
}

void ps_completions_report(const struct ps_completion_dependencies *dependencies,
                           const struct ps_completion *completions, size_t count)
{
    int64_t now_ns = ps_clock_mono_ns();
    for (size_t i = 0; i < count; i++) {
        struct ps_outcome_facts facts = facts_of(dependencies, &completions[i]);
        observe_latency(dependencies->metrics, &completions[i], now_ns);
        count_outcome(dependencies->metrics, &facts);
        log_scale(dependencies, completions[i].micrograph);
        log_outcome(dependencies->log, &facts);
    }
}

bool ps_completion_picture(const struct ps_completion_dependencies *dependencies,
                           const struct ps_completion *completion,
                           struct ps_preview_facts *ret_facts)
{
    const struct ps_job *job = completion->job;
    const struct ps_micrograph *micrograph = completion->micrograph;
    if (!micrograph)
        return false;
    *ret_facts = (struct ps_preview_facts){
        .stream = ps_journal_stream(dependencies->journal),
        .session = dependencies->config->publish.session,
        .seq = completion->seq,
        .path = job->path,
        .name = job->name,
        .revision = job->revision,
        .width = micrograph->image.width,
        .height = micrograph->image.height,
    };
    return true;
}

void ps_completions_done(struct ps_completion *completions, size_t count,
                         void (*finished)(void *context, struct ps_job *job), void *context)
{
    frames_done(completions, count);
    for (size_t i = 0; i < count; i++) {
        struct ps_completion *completion = &completions[i];
        if (finished)
            finished(context, completion->job);
        ps_micrograph_free(completion->micrograph);
        ps_result_done(&completion->result);
        free(completion->failure);
        ps_preview_done(&completion->preview);
        ps_particle_set_done(&completion->particles);
        *completion = (struct ps_completion){0};
    }
}
