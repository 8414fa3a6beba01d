/* apple-reference section 7: classifies every window. */
#include "backend/cpu/slot.h"
#include "formulas/decision.h"

#include "base/error.h"
#include "base/parallel.h"

#include <stdlib.h>

enum { WINDOWS_PER_PIECE = 8192 };

struct classify_job {
    const struct cpu_slot *slot;
    const struct ps_model *model;
    struct ps_rbf rbf;
    struct ps_quadratic quadratic;
    size_t windows;
    size_t *particle; /* windows classified as particle, per piece */
};

/* The compiler vectorises this loop. */
static void classify_quadratic(const struct ps_quadratic *model, const float *mean,
                               const float *deviation, size_t count, float *ret_value)
{
    for (size_t i = 0; i < count; i++)
        ret_value[i] = ps_quadratic_value(model, mean[i], deviation[i]);
}

static void classify_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct classify_job *job = context;
    size_t first = piece * WINDOWS_PER_PIECE;
    size_t count =
        job->windows - first < WINDOWS_PER_PIECE ? job->windows - first : WINDOWS_PER_PIECE;
    const float *mean = (const float *)job->slot->mean.data + first;
    const float *deviation = (const float *)job->slot->deviation.data + first;
    uint8_t *mask = (uint8_t *)job->slot->mask.data + first;
    float values[WINDOWS_PER_PIECE];
    if (job->model->form == PS_MODEL_RBF)
        job->slot->simd->classify_rbf(&job->rbf, mean, deviation, count, values);
    else
        classify_quadratic(&job->quadratic, mean, deviation, count, values);
    size_t particle = 0;
    for (size_t i = 0; i < count; i++)
        particle += mask[i] = values[i] > 0;
    job->particle[piece] = particle;
}

int cpu_classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                 struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    size_t windows = (size_t)slot->base.windows * (size_t)slot->base.windows;
    int status = cpu_buffer_reserve(&slot->mask, windows, "the mask", error);
    if (status)
        return status;
    size_t pieces = (windows + WINDOWS_PER_PIECE - 1) / WINDOWS_PER_PIECE;
    size_t support = model->support_count;
    size_t bytes = pieces * sizeof(size_t) + 3 * support * sizeof(float);
    size_t *particle = calloc(1, bytes);
    if (!particle)
        return ps_fail_memory(error, bytes, "support vectors");
    struct classify_job job = {
        .slot = slot,
        .model = model,
        .windows = windows,
        .particle = particle,
    };
    if (model->form == PS_MODEL_RBF)
        job.rbf = ps_decision_rbf(model, base->grey_offset, (float *)(particle + pieces));
    else
        job.quadratic = ps_decision_quadratic(model, base->grey_offset);
    ps_parallel(slot->threads, pieces, classify_piece, &job);
    size_t total = 0;
    for (size_t i = 0; i < pieces; i++)
        total += particle[i];
    free(particle);
    *ret_particle = total;
    return 0;
}
