/* Times of the stages on the GPU: events around stages, for `bench --timeline`, and NVTX ranges for
 * NVIDIA's profilers.
 *
 * Events lie in the slot's stream, so a span begins when the GPU reaches a stage and ends when it
 * has finished it. The first call of cuda_trace() relates the slot's clock to the monotonic clock,
 * with the error of waiting for one event (some ten microseconds). */
#include "backend/cuda/slot.h"

#include <nvtx3/nvToolsExt.h>
#include <stdlib.h>
#include <time.h>

struct noted {
    const char *name;
    cudaEvent_t begin;
    cudaEvent_t end;
};

struct cuda_trace {
    cudaEvent_t origin;
    double origin_ms; /* monotonic clock */
    size_t made;      /* spans that have events */
    size_t count;
    struct noted spans[PS_MAX_SPANS];
};

void cuda_trace_done(struct cuda_slot *slot)
{
    struct cuda_trace *trace = slot->trace;
    if (!trace)
        return;
    for (size_t i = 0; i < trace->made; i++) {
        (void)cudaEventDestroy(trace->spans[i].begin);
        (void)cudaEventDestroy(trace->spans[i].end);
    }
    if (trace->origin)
        (void)cudaEventDestroy(trace->origin);
    free(trace);
    slot->trace = NULL;
}

static int trace_start(struct cuda_slot *slot, struct ps_error *error)
{
    struct cuda_trace *trace = calloc(1, sizeof *trace);
    if (!trace)
        return ps_fail_memory(error, sizeof *trace, "a trace");
    slot->trace = trace;
    PS_TRY(CU(cudaEventCreate(&trace->origin)));
    PS_TRY(CU(cudaEventRecord(trace->origin, slot->stream)));
    PS_TRY(CU(cudaEventSynchronize(trace->origin)));
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    trace->origin_ms = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
    return 0;
}

static int make_events(struct cuda_trace *trace, struct ps_error *error)
{
    struct noted *span = &trace->spans[trace->made];
    int status = CU(cudaEventCreate(&span->begin));
    if (status)
        return status;
    status = CU(cudaEventCreate(&span->end));
    if (status)
        (void)cudaEventDestroy(span->begin);
    else
        trace->made++;
    return status;
}

int cuda_stage_begin(struct cuda_slot *slot, const char *name, struct ps_error *error)
{
    nvtxRangePushA(name);
    int status = cuda_enter(slot, error);
    struct cuda_trace *trace = slot->trace;
    if (status || !trace || trace->count == PS_MAX_SPANS)
        return status;
    if (trace->count == trace->made)
        status = make_events(trace, error);
    if (status)
        return status;
    trace->spans[trace->count].name = name;
    return CU(cudaEventRecord(trace->spans[trace->count].begin, slot->stream));
}

/* After a device error every call fails, so the first error seen may not be the cause. If the
 * stream still works, the device does: it lacked memory, or the call was wrong. */
static int trace_judge(struct cuda_slot *slot, struct ps_error *error)
{
    (void)cudaGetLastError();
    if (cudaStreamSynchronize(slot->stream) != cudaSuccess)
        error->code = PS_E_DEVICE;
    else if (error->code == PS_E_DEVICE)
        error->code = PS_E_BUG;
    return error->code;
}

int cuda_stage_end(struct cuda_slot *slot, int status, struct ps_error *error)
{
    nvtxRangePop();
    struct cuda_trace *trace = slot->trace;
    if (status == PS_E_DEVICE || status == PS_E_NOMEM)
        return trace_judge(slot, error);
    if (status || !trace || trace->count == PS_MAX_SPANS)
        return status;
    return CU(cudaEventRecord(trace->spans[trace->count++].end, slot->stream));
}

int cuda_trace(struct ps_slot *base, struct ps_span *ret_spans, size_t capacity, size_t *ret_count,
               struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    *ret_count = 0;
    PS_TRY(cuda_enter(slot, error));
    if (!slot->trace)
        return trace_start(slot, error);
    PS_TRY(CU(cudaStreamSynchronize(slot->stream)));
    struct cuda_trace *trace = slot->trace;
    size_t count = trace->count < capacity ? trace->count : capacity;
    for (size_t i = 0; i < count; i++) {
        const struct noted *span = &trace->spans[i];
        float before = 0;
        float length = 0;
        PS_TRY(CU(cudaEventElapsedTime(&before, trace->origin, span->begin)));
        /* The difference of two times since the origin would lose precision as they grow. */
        PS_TRY(CU(cudaEventElapsedTime(&length, span->begin, span->end)));
        double begin = trace->origin_ms + (double)before;
        ret_spans[i] = (struct ps_span){span->name, begin, begin + (double)length};
    }
    trace->count = 0;
    *ret_count = count;
    return 0;
}
