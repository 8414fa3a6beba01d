/* The aspire profile on the GPU: preprocessing, windows, references, classification, fetch. Scores
 * are in score.c, regions in clean.c. */
#include "backend/cuda/aspire.h"
#include "backend/windows.h"

#include "formulas/decision.h"
#include "formulas/weights.h"
#include "launch.h"

#include <stdlib.h>
#include <string.h>

int cuda_aspire_get(struct cuda_slot *slot, struct cuda_aspire **ret_aspire, struct ps_error *error)
{
    if (!slot->aspire)
        slot->aspire = calloc(1, sizeof *slot->aspire);
    if (!slot->aspire)
        return ps_fail_memory(error, sizeof *slot->aspire, "the aspire profile on a GPU");
    *ret_aspire = slot->aspire;
    return 0;
}

void cuda_aspire_done(struct cuda_slot *slot)
{
    struct cuda_aspire *a = slot->aspire;
    if (!a)
        return;
    struct cuda_buffer *buffers[] = {
        &a->weights,    &a->sums,
        &a->shrunk,     &a->preprocessed,
        &a->prefix,     &a->mean,
        &a->deviation,  &a->origins,
        &a->features,   &a->work,
        &a->batch,      &a->product,
        &a->spectra,    &a->reference_spectra,
        &a->table,      &a->responses,
        &a->ranges,     &a->score,
        &a->support,    &a->counters,
        &a->mask,       &a->levels,
        &a->distances,  &a->labels,
        &a->row_counts, &a->measures,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        cuda_release(buffers[i]);
    cuda_plan_done(slot, &a->plan);
    free(a);
    slot->aspire = NULL;
}

/* ---- preprocess ------------------------------------------------------------------------------ */

/* Sends the weights that shrink `from` px; they stay for the next micrograph of that size. */
static int send_weights(struct cuda_slot *slot, struct cuda_aspire *a, int from,
                        struct ps_error *error)
{
    if (a->shrunk_from == from)
        return 0;
    a->shrunk_from = 0;
    size_t side = (size_t)from / 2;
    struct ps_resampler resampler = {0};
    int status = ps_resampler_new(from, (int)side, &resampler, error);
    if (status)
        return status;
    size_t weights = side * (size_t)resampler.taps * sizeof *resampler.weights;
    size_t first = side * sizeof *resampler.first;
    if (resampler.taps > PS_SHRINK_MAX_TAPS)
        status = ps_fail(error, PS_E_BUG, "%d taps to shrink %d px", resampler.taps, from);
    if (status == 0)
        status = cuda_reserve(slot, &a->weights, weights + first, "bicubic weights", error);
    if (status == 0)
        status = cuda_send(slot, a->weights.data, resampler.weights, weights, error);
    if (status == 0)
        status = cuda_send(slot, (char *)a->weights.data + weights, resampler.first, first, error);
    a->taps = resampler.taps;
    if (status == 0)
        a->shrunk_from = from;
    ps_resampler_done(&resampler);
    return status;
}

static int aspire_shrink(struct cuda_slot *slot, struct cuda_aspire *a, const struct ps_crop *crop,
                         struct ps_error *error)
{
    size_t side = (size_t)crop->side_px / 2;
    const double *weights = a->weights.data;
    const struct ps_shrink shrink = {
        .side = (int)side,
        .taps = a->taps,
        .first = (const int *)(weights + side * (size_t)a->taps),
        .weights = weights,
    };
    const float *from = (const float *)slot->micrograph.data +
                        (size_t)crop->top_px * (size_t)slot->width + crop->left_px;
    float *outside = a->sums.data;
    struct ps_smooth smooth = ps_smooth_weights();
    PS_TRY(CU(ps_launch_preprocess_shrink(from, slot->width, &shrink, a->shrunk.data,
                                          (double *)a->sums.data + 1, outside, slot->stream)));
    return CU(ps_launch_preprocess_smooth(a->shrunk.data, (int)side, &smooth, outside,
                                          a->preprocessed.data, slot->stream));
}

int cuda_preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = NULL;
    size_t side = (size_t)crop->side_px / 2;
    size_t image = side * side * sizeof(float);
    size_t sums = (ps_shrink_parts((int)side) + 1) * sizeof(double);
    PS_TRY(cuda_aspire_get(slot, &a, error));
    PS_TRY(cuda_reserve(slot, &a->shrunk, image, "the shrunk image", error));
    PS_TRY(cuda_reserve(slot, &a->preprocessed, image, "the preprocessed image", error));
    PS_TRY(cuda_reserve(slot, &a->sums, sums, "sums of the shrunk image", error));
    PS_TRY(send_weights(slot, a, crop->side_px, error));
    PS_TRY(aspire_shrink(slot, a, crop, error));
    float outside = 0;
    PS_TRY(cuda_receive(slot, &outside, a->sums.data, sizeof outside, error));
    base->side = (int)side;
    base->grey_offset = -(double)outside;
    return 0;
}

/* ---- windows --------------------------------------------------------------------------------- */

int cuda_moments(struct ps_slot *base, int query, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = slot->aspire;
    PS_TRY(ps_windows_check_query(base, query, error));
    int windows = base->side - query + 1;
    size_t bytes = (size_t)windows * (size_t)windows * sizeof(float);
    size_t prefix = (size_t)base->side * ((size_t)base->side + 1) * 2 * sizeof(double);
    PS_TRY(cuda_reserve(slot, &a->mean, bytes, "window means", error));
    PS_TRY(cuda_reserve(slot, &a->deviation, bytes, "window deviations", error));
    PS_TRY(cuda_reserve(slot, &a->prefix, prefix, "prefix sums", error));
    PS_TRY(CU(ps_launch_moments(a->preprocessed.data, base->side, query, a->prefix.data,
                                a->mean.data, a->deviation.data, slot->stream)));
    ps_windows_set_query(base, query);
    return 0;
}

int cuda_references_choose(struct ps_slot *base, int container, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = slot->aspire;
    int per_side = 0;
    PS_TRY(ps_windows_check_container(base, container, &per_side, error));
    size_t references = (size_t)per_side * (size_t)per_side * 4;
    PS_TRY(cuda_reserve(slot, &a->origins, references * 2 * sizeof(int), "references", error));
    PS_TRY(CU(ps_launch_references_choose(a->mean.data, a->deviation.data, base->side, base->query,
                                          container, per_side, a->origins.data, slot->stream)));
    base->references = (int)references;
    return 0;
}

int cuda_features(struct ps_slot *base, const int (*windows)[2], size_t count,
                  struct ps_feature *ret_features, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = slot->aspire;
    PS_TRY(ps_windows_check_origins(base, windows, count, error));
    if (count == 0)
        return 0;
    size_t places = count * sizeof *windows;
    size_t bytes = count * 2 * sizeof(float);
    float(*features)[2] = malloc(bytes);
    if (!features)
        return ps_fail_memory(error, bytes, "the features of windows");
    int status = cuda_reserve(slot, &a->features, places + bytes, "the features of windows", error);
    float(*gathered)[2] = (float(*)[2])((char *)a->features.data + places);
    if (status == 0)
        status = cuda_send(slot, a->features.data, windows, places, error);
    if (status == 0)
        status =
            CU(ps_launch_features_gather(a->mean.data, a->deviation.data, slot->base.windows,
                                         a->features.data, (int)count, gathered, slot->stream));
    if (status == 0)
        status = cuda_receive(slot, features, gathered, bytes, error);
    for (size_t i = 0; i < count && status == 0; i++)
        ret_features[i] =
            (struct ps_feature){base->grey_offset + (double)features[i][0], (double)features[i][1]};
    free(features);
    return status;
}

/* ---- classify -------------------------------------------------------------------------------- */

static int classify_rbf(struct cuda_slot *slot, const struct ps_model *model, size_t windows,
                        struct ps_error *error)
{
    struct cuda_aspire *a = slot->aspire;
    size_t bytes = 3 * model->support_count * sizeof(float);
    float *support = malloc(bytes + 1);
    if (!support)
        return ps_fail_memory(error, bytes, "support vectors");
    struct ps_rbf rbf = ps_decision_rbf(model, slot->base.grey_offset, support);
    int status =
        cuda_reserve(slot, &a->support, cuda_round_up_pow2(bytes), "support vectors", error);
    if (status == 0 && bytes)
        status = cuda_send(slot, a->support.data, support, bytes, error);
    free(support);
    rbf.u = a->support.data;
    rbf.v = rbf.u + rbf.count;
    rbf.weight = rbf.v + rbf.count;
    if (status == 0)
        status = CU(ps_launch_classify_rbf(&rbf, a->mean.data, a->deviation.data, windows,
                                           a->mask.data, a->counters.data, slot->stream));
    return status;
}

int cuda_classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                  struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = slot->aspire;
    size_t windows = (size_t)base->windows * (size_t)base->windows;
    unsigned long long particle = 0;
    PS_TRY(cuda_reserve(slot, &a->mask, windows, "the mask", error));
    PS_TRY(cuda_reserve(slot, &a->counters, sizeof particle, "counters", error));
    if (model->form == PS_MODEL_RBF) {
        PS_TRY(classify_rbf(slot, model, windows, error));
    } else {
        struct ps_quadratic quadratic = ps_decision_quadratic(model, base->grey_offset);
        PS_TRY(CU(ps_launch_classify_quadratic(&quadratic, a->mean.data, a->deviation.data, windows,
                                               a->mask.data, a->counters.data, slot->stream)));
    }
    PS_TRY(cuda_receive(slot, &particle, a->counters.data, sizeof particle, error));
    *ret_particle = (size_t)particle;
    return 0;
}

/* ---- copies ---------------------------------------------------------------------------------- */

static int fetch_references(struct cuda_slot *slot, float *ret_data, struct ps_error *error)
{
    struct cuda_aspire *a = slot->aspire;
    size_t references = (size_t)slot->base.references;
    size_t pixels = (size_t)slot->base.query * (size_t)slot->base.query;
    int(*origins)[2] = malloc(references * sizeof *origins);
    if (!origins)
        return ps_fail_memory(error, references * sizeof *origins, "references");
    int status = cuda_receive(slot, origins, a->origins.data, references * sizeof *origins, error);
    size_t row = (size_t)slot->base.query * sizeof *ret_data;
    size_t stride = (size_t)slot->base.side * sizeof *ret_data;
    for (size_t r = 0; r < references && status == 0; r++) {
        const char *from = (const char *)a->preprocessed.data + (size_t)origins[r][0] * stride +
                           (size_t)origins[r][1] * sizeof *ret_data;
        status =
            CU(cudaMemcpy2DAsync(ret_data + r * pixels, row, from, stride, row,
                                 (size_t)slot->base.query, cudaMemcpyDeviceToHost, slot->stream));
    }
    if (status == 0)
        status = CU(cudaStreamSynchronize(slot->stream));
    free(origins);
    return status;
}

int cuda_fetch(struct ps_slot *base, enum ps_buffer which, void *ret_data, size_t bytes,
               struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = NULL;
    PS_TRY(cuda_aspire_get(slot, &a, error));
    PS_TRY(ps_windows_check_fetch(base, which, bytes, error));
    if (which == PS_BUFFER_REFERENCES)
        return fetch_references(slot, ret_data, error);
    const struct cuda_buffer *const buffers[] = {
        [PS_BUFFER_PREPROCESSED] = &a->preprocessed,
        [PS_BUFFER_MEAN] = &a->mean,
        [PS_BUFFER_DEVIATION] = &a->deviation,
        [PS_BUFFER_SCORE] = &a->score,
        [PS_BUFFER_MASK] = &a->mask,
    };
    return cuda_receive(slot, ret_data, buffers[which]->data, bytes, error);
}
