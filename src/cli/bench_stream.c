/* Measures a micrograph in each slot at the same time, as in the service: each thread reads its
 * micrograph (from the page cache, if it is a file), picks it and takes the next number. */
#include "cli/bench.h"

#include "base/error.h"
#include "cli/progress.h"
#include "image/micrograph.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct stream {
    const struct bench_input *input;
    FILE *timeline;
    pthread_mutex_t lock; /* guards the following fields */
    uint64_t next;
    uint64_t micrographs;
    struct interval *intervals;
    size_t interval_count;
    size_t interval_capacity;
    int status;
    struct ps_error error;
};

struct interval {
    double begin;
    double end;
};

struct slot_thread {
    struct stream *stream;
    struct ps_picker *picker;
    pthread_t thread;
    size_t number;
};

static int pick(struct slot_thread *thread, struct ps_error *error)
{
    const struct bench_input *input = thread->stream->input;
    struct ps_read_options options = {.movies = input->config->input.movies,
                                      .max_pixels = input->config->compute.max_pixels};
    struct ps_micrograph *micrograph = NULL;
    struct ps_result result = {0};
    int status = input->file ? ps_micrograph_read(input->file, &options, &micrograph, error) : 0;
    if (status == 0)
        status = ps_picker_pick(thread->picker, micrograph ? &micrograph->image : &input->image,
                                &result, error);
    ps_micrograph_free(micrograph);
    ps_result_done(&result);
    return status;
}

/* The caller holds the lock. */
static int keep_interval(struct stream *stream, const struct ps_span *span, struct ps_error *error)
{
    if (stream->interval_count == stream->interval_capacity) {
        size_t grown = stream->interval_capacity ? 2 * stream->interval_capacity : 4096;
        void *memory = realloc(stream->intervals, grown * sizeof *stream->intervals);
        if (!memory)
            return ps_fail_memory(error, grown * sizeof *stream->intervals, "a timeline");
        stream->intervals = memory;
        stream->interval_capacity = grown;
    }
    stream->intervals[stream->interval_count++] = (struct interval){span->begin_ms, span->end_ms};
    return 0;
}

static int take_spans(struct slot_thread *thread, uint64_t micrograph, struct ps_error *error)
{
    struct stream *stream = thread->stream;
    struct ps_slot *slot = thread->picker->slot;
    struct ps_span spans[PS_MAX_SPANS];
    size_t count = 0;
    if (!slot->backend->ops->trace)
        return 0;
    int status = slot->backend->ops->trace(slot, spans, PS_MAX_SPANS, &count, error);
    pthread_mutex_lock(&stream->lock);
    for (size_t i = 0; i < count && status == 0; i++) {
        status = keep_interval(stream, &spans[i], error);
        if (stream->timeline)
            (void)fprintf(stream->timeline, "%zu\t%llu\t%s\t%.3f\t%.3f\n", thread->number,
                          (unsigned long long)micrograph, spans[i].stage, spans[i].begin_ms,
                          spans[i].end_ms);
    }
    pthread_mutex_unlock(&stream->lock);
    return status;
}

static void *work(void *argument)
{
    struct slot_thread *thread = argument;
    struct stream *stream = thread->stream;
    struct ps_error error;
    int status = 0;
    while (status == 0) {
        pthread_mutex_lock(&stream->lock);
        uint64_t micrograph = stream->next;
        bool more = micrograph < stream->micrographs && stream->status == 0;
        stream->next += more;
        pthread_mutex_unlock(&stream->lock);
        if (!more)
            return NULL;
        status = pick(thread, &error);
        if (status == 0)
            status = take_spans(thread, micrograph, &error);
    }
    pthread_mutex_lock(&stream->lock);
    stream->status = status;
    stream->error = error;
    pthread_mutex_unlock(&stream->lock);
    return NULL;
}

static int by_begin(const void *left, const void *right)
{
    const struct interval *a = left;
    const struct interval *b = right;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* The length of the union of the intervals, in ms. */
static double covered(struct interval *intervals, size_t count)
{
    if (count)
        qsort(intervals, count, sizeof *intervals, by_begin);
    double sum = 0;
    double until = 0;
    for (size_t i = 0; i < count; i++) {
        double begin = i == 0 || intervals[i].begin > until ? intervals[i].begin : until;
        if (intervals[i].end > begin) {
            sum += intervals[i].end - begin;
            until = intervals[i].end;
        }
    }
    return sum;
}

/* Picks once in each slot, which allocates all its memory, and then starts the trace. */
static int warm_up(struct slot_thread *thread, struct ps_error *error)
{
    struct ps_span none;
    size_t count;
    struct ps_slot *slot = thread->picker->slot;
    int status = pick(thread, error);
    if (status == 0 && slot->backend->ops->trace)
        status = slot->backend->ops->trace(slot, &none, 0, &count, error);
    return status;
}

static int run(struct stream *stream, struct slot_thread *threads, size_t slots,
               double *ret_seconds, struct ps_error *error)
{
    size_t started = 0;
    double start = ps_progress_clock();
    while (started < slots &&
           pthread_create(&threads[started].thread, NULL, work, &threads[started]) == 0)
        started++;
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i].thread, NULL);
    *ret_seconds = ps_progress_clock() - start;
    if (started < slots)
        return ps_fail(error, PS_E_SYSTEM, "cannot start %zu threads", slots);
    if (stream->status)
        *error = stream->error;
    return stream->status;
}

int bench_measure_stream(const struct bench_input *input, int device, size_t slots,
                         uint64_t micrographs, FILE *timeline, struct bench_stream *ret_stream,
                         struct ps_error *error)
{
    struct stream stream = {.input = input, .timeline = timeline, .micrographs = micrographs};
    struct slot_thread *threads = calloc(slots, sizeof *threads);
    if (!threads)
        return ps_fail_memory(error, slots * sizeof *threads, "slots");
    pthread_mutex_init(&stream.lock, NULL);
    int status = 0;
    for (size_t i = 0; i < slots && status == 0; i++) {
        threads[i].stream = &stream;
        threads[i].number = i;
        status = ps_picker_new_on(input->config, device, &threads[i].picker, error);
        if (status == 0)
            status = warm_up(&threads[i], error);
    }
    double seconds = 0;
    if (status == 0)
        status = run(&stream, threads, slots, &seconds, error);
    if (status == 0)
        *ret_stream = (struct bench_stream){slots, micrographs, seconds,
                                            covered(stream.intervals, stream.interval_count) /
                                                (seconds * 1e3)};
    for (size_t i = 0; i < slots; i++)
        ps_picker_free(threads[i].picker);
    pthread_mutex_destroy(&stream.lock);
    free(stream.intervals);
    free(threads);
    return status;
}
