/* Measures one micrograph at a time. */
#include "cli/bench.h"

#include "backend/cpu/simd.h"
#include "base/error.h"
#include "base/parallel.h"
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>

struct run {
    struct bench_latency *latency;
    double (*milliseconds)[BENCH_COLUMNS]; /* of each repetition */
    double (*spans)[BENCH_SPAN_NAMES];     /* of each repetition */
    double *device;
    double *busy;
};

static void remember_parameters(void *context, const struct ps_stage_view *view)
{
    struct bench_latency *latency = context;
    if (view->parameters)
        latency->parameters = *view->parameters;
    latency->references = view->slot->references;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Median of `count` values, `stride` apart. The largest goes to `ret_largest`. */
static double median(const double *values, size_t count, size_t stride, double *ret_largest)
{
    double sorted[BENCH_MAX_REPEAT] = {0};
    for (size_t i = 0; i < count; i++)
        sorted[i] = values[i * stride];
    qsort(sorted, count, sizeof *sorted, by_value);
    *ret_largest = sorted[count - 1];
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

/* ---- peak performance of the cores ------------------------------------------------------------
 */

struct peak_job {
    const struct ps_simd *simd;
    size_t rounds;
};

static void peak_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    (void)piece;
    const struct peak_job *job = context;
    float sum;
    (void)job->simd->peak(job->rounds, &sum);
}

/* Measures the multiply-adds a second of all cores together. */
static double peak_rate(const struct ps_simd *simd, int threads)
{
    struct peak_job job = {simd, 1000000};
    float sum;
    double operations = simd->peak(job.rounds, &sum) * threads;
    double best = 0;
    for (int trial = 0; trial < 5; trial++) {
        double start = ps_progress_clock();
        ps_parallel(threads, (size_t)threads, peak_piece, &job);
        double rate = operations / (ps_progress_clock() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static void rate_score(struct bench_latency *l)
{
    double pairs = (double)l->parameters.queries * l->parameters.queries * l->references;
    double seconds = l->median_ms[PS_STAGE_SCORE] / 1e3;
    double rate = pairs * ps_score_operations(l->parameters.query) / seconds;
    l->score_nanoseconds = seconds * l->threads / pairs * 1e9;
    l->score_limit_share = rate / peak_rate(ps_simd_best(), l->threads);
}

/* ---- the trace of the device ------------------------------------------------------------------
 */

static size_t span_column(struct bench_latency *latency, const char *stage)
{
    for (size_t i = 0; i < latency->span_count; i++)
        if (strcmp(latency->spans[i].stage, stage) == 0)
            return i;
    if (latency->span_count < BENCH_SPAN_NAMES)
        latency->spans[latency->span_count++].stage = stage;
    return latency->span_count - 1;
}

static int take_spans(struct ps_slot *slot, struct run *run, uint64_t at, struct ps_error *error)
{
    const struct ps_backend_ops *ops = slot->backend->ops;
    struct ps_span spans[PS_MAX_SPANS];
    size_t count = 0;
    if (!ops->trace)
        return 0;
    int status = ops->trace(slot, spans, PS_MAX_SPANS, &count, error);
    if (status || count == 0)
        return status;
    struct bench_latency *latency = run->latency;
    for (size_t i = 0; i < count; i++) {
        size_t column = span_column(latency, spans[i].stage);
        double duration = spans[i].end_ms - spans[i].begin_ms;
        run->spans[at][column] += duration;
        run->busy[at] += duration;
        latency->spans[column].calls += 1;
    }
    run->device[at] = spans[count - 1].end_ms - spans[0].begin_ms;
    return 0;
}

/* ---- measuring --------------------------------------------------------------------------------
 */

static int repeat_picks(struct ps_picker *picker, const struct bench_input *input, struct run *run,
                        struct ps_error *error)
{
    struct bench_latency *latency = run->latency;
    int status = 0;
    for (uint64_t i = 0; i <= latency->repeat && status == 0; i++) {
        struct ps_result result = {0};
        double start = ps_progress_clock();
        status = ps_picker_pick_observed(picker, &input->image, remember_parameters, latency,
                                         &result, error);
        double total = (ps_progress_clock() - start) * 1e3;
        if (status)
            return status;
        if (result.outcome == PS_REJECTED)
            return ps_fail(error, PS_E_INPUT, "rejected: %s", result.reason);
        /* The first repetition allocates memory and starts the trace: not measured. */
        uint64_t at = i > 0 ? i - 1 : 0;
        status = take_spans(picker->slot, run, at, error);
        memcpy(run->milliseconds[at], result.milliseconds, sizeof result.milliseconds);
        run->milliseconds[at][BENCH_TOTAL] = total;
        latency->picks = result.count;
        ps_result_done(&result);
    }
    return status;
}

static void summarise(struct run *run)
{
    struct bench_latency *latency = run->latency;
    size_t count = latency->repeat;
    double largest;
    for (int column = 0; column < BENCH_COLUMNS; column++)
        latency->median_ms[column] =
            median(&run->milliseconds[0][column], count, BENCH_COLUMNS, &latency->slowest_ms);
    for (size_t i = 0; i < latency->span_count; i++) {
        latency->spans[i].median_ms = median(&run->spans[0][i], count, BENCH_SPAN_NAMES, &largest);
        latency->spans[i].calls /= (double)count;
    }
    latency->device_ms = median(run->device, count, 1, &largest);
    latency->device_busy_ms = median(run->busy, count, 1, &largest);
}

int bench_measure_latency(struct ps_picker *picker, const struct bench_input *input,
                          uint64_t repeat, struct bench_latency *ret_latency,
                          struct ps_error *error)
{
    struct bench_latency latency = {.repeat = repeat};
    struct run run = {
        .latency = &latency,
        .milliseconds = calloc(repeat, sizeof *run.milliseconds),
        .spans = calloc(repeat, sizeof *run.spans),
        .device = calloc(repeat, sizeof *run.device),
        .busy = calloc(repeat, sizeof *run.busy),
    };
    int threads = picker->config->compute.threads;
    latency.threads = threads > 0 ? threads : ps_core_count();
    int status = 0;
    if (!run.milliseconds || !run.spans || !run.device || !run.busy)
        status = ps_fail_memory(error, repeat * sizeof *run.milliseconds, "times");
    if (status == 0)
        status = repeat_picks(picker, input, &run, error);
    if (status == 0) {
        summarise(&run);
        if (latency.parameters.query && !ps_picker_is_gpu(picker))
            rate_score(&latency);
        *ret_latency = latency;
    }
    free(run.milliseconds);
    free(run.spans);
    free(run.device);
    free(run.busy);
    return status;
}
