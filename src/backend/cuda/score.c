/* apple-reference section 5 on the GPU: how many references respond to each query window.
 *
 * cuFFT transforms all windows in batches that stay in the L2 cache: 64 MB of spectra for 4096 x
 * 4096 px at any window size. The fused kernel (kernels/score_fused_kernel.h) then correlates
 * pairs, or cuFFT does if the kernel has too little shared memory. Responses are kept until their
 * range is known; if there are too many, they are computed twice. The stage does not wait for the
 * device. */
#include "backend/cuda/aspire.h"

#include <math.h>
#include <stdlib.h>

/* Windows and spectra of one batch: fits the L2 cache of large GPUs. */
static const size_t BATCH_BYTES = (size_t)16 << 20;

struct score {
    struct cuda_slot *slot;
    struct cuda_aspire *a;
    int q;
    size_t complexes; /* per spectrum */
    size_t batch;
    size_t references;
    size_t queries;
    size_t lanes;  /* queries per group: responses are [group][reference][lane] */
    size_t groups; /* total */
    size_t kept;   /* groups whose responses fit into memory */
    bool fused;
    struct ps_fused shape;
};

static size_t chunks_of(size_t count, size_t chunk)
{
    return (count + chunk - 1) / chunk;
}

/* ---- spectra --------------------------------------------------------------------------------- */

/* Spectra of `count` windows: references at `origins`, or the query grid if that is NULL. */
static int score_transform(const struct score *s, const int (*origins)[2], size_t count,
                           float scale, float *ret_spectra, struct ps_error *error)
{
    const struct cuda_fft *fft = &s->slot->cuda->fft;
    for (size_t first = 0; first < count; first += s->batch) {
        PS_TRY(CU(ps_launch_score_gather(s->a->preprocessed.data, s->slot->base.side, s->q, origins,
                                         s->slot->base.queries, first, count - 1, s->batch, scale,
                                         s->a->batch.data, s->slot->stream)));
        PS_TRY(CUFFT(fft->exec_r2c(s->a->plan.forward, s->a->batch.data,
                                   (cufftComplex *)ret_spectra + first * s->complexes)));
    }
    return 0;
}

static int transform_all(const struct score *s, struct ps_error *error)
{
    float scale = (s->fused ? 2.0F : 1.0F) / ((float)s->q * (float)s->q);
    PS_TRY(score_transform(s, s->a->origins.data, s->references, scale,
                           s->a->reference_spectra.data, error));
    return score_transform(s, NULL, s->queries, 1.0F, s->a->spectra.data, error);
}

/* ---- responses ------------------------------------------------------------------------------- */

/* Fills in cosines and sines as the fused kernel reads them (kernels/score_fused_kernel.h). */
static void fill_table(const struct ps_fused *shape, float *ret_table)
{
    int h = shape->q / 2;
    int padded = ps_fused_padded(shape->outputs);
    for (int part = 0; part < shape->parts; part++) {
        for (int k = 0; k <= h; k++, ret_table += 2 * padded) {
            double weight = k == 0 || k == h ? 0.5 : 1;
            for (int j = 0; j < padded; j++) {
                /* Padding beyond the last output repeats that output. */
                int y = part * shape->outputs + j;
                double angle = 2 * M_PI * ((double)k * (y < h / 2 ? y : h / 2) / shape->q);
                ret_table[j] = (float)(cos(angle) * weight);
                ret_table[padded + j] = k == 0 || k == h ? 0 : (float)sin(angle);
            }
        }
    }
}

/* Sends the tables; they stay for the next micrograph with windows of that size. */
static int send_table(const struct score *s, struct ps_error *error)
{
    struct cuda_aspire *a = s->a;
    if (!s->fused || a->table_of == s->q)
        return 0;
    a->table_of = 0;
    size_t bytes = (size_t)s->shape.table_floats * sizeof(float);
    float *table = malloc(bytes);
    if (!table)
        return ps_fail_memory(error, bytes, "cosines");
    fill_table(&s->shape, table);
    int status = cuda_reserve(s->slot, &a->table, bytes, "cosines", error);
    if (status == 0)
        status = cuda_send(s->slot, a->table.data, table, bytes, error);
    free(table);
    for (int i = 0; i < s->q; i++) {
        a->waves[i] = (float)cos(2 * M_PI * i / s->q);
        a->waves[s->q + i] = (float)sin(2 * M_PI * i / s->q);
    }
    if (status == 0)
        a->table_of = s->q;
    return status;
}

/* Responses of `queries` queries from number `first` on. */
static int respond_fused(const struct score *s, size_t first, size_t queries,
                         struct ps_error *error)
{
    struct ps_score_run run = {
        .waves = s->a->waves,
        .table = s->a->table.data,
        .query_spectra = (const float *)s->a->spectra.data + 2 * first * s->complexes,
        .queries = (int)queries,
        .reference_spectra = s->a->reference_spectra.data,
        .references = (int)s->references,
        .responses = s->a->responses.data,
        .stream = s->slot->stream,
    };
    return CU(ps_launch_score_fused(&s->shape, &run));
}

static int respond_plain(const struct score *s, size_t first, size_t queries,
                         struct ps_error *error)
{
    struct cuda_aspire *a = s->a;
    const struct cuda_fft *fft = &s->slot->cuda->fft;
    const float *spectra = (const float *)a->spectra.data + 2 * first * s->complexes;
    size_t pairs = queries * s->references;
    for (size_t done = 0; done < pairs; done += s->batch) {
        size_t count = pairs - done < s->batch ? pairs - done : s->batch;
        PS_TRY(
            CU(ps_launch_score_multiply(spectra, a->reference_spectra.data, s->q, s->references,
                                        pairs, done, s->batch, a->product.data, s->slot->stream)));
        PS_TRY(CUFFT(fft->exec_c2r(a->plan.inverse, a->product.data, a->batch.data)));
        PS_TRY(CU(ps_launch_score_largest(a->batch.data, (size_t)s->q * (size_t)s->q, count,
                                          (float *)a->responses.data + done, s->slot->stream)));
    }
    return 0;
}

/* Responses of the groups from number `first` on, at most as many as are kept. */
static int score_respond(const struct score *s, size_t first, size_t *ret_queries,
                         struct ps_error *error)
{
    size_t query = first * s->lanes;
    size_t left = s->queries - query;
    *ret_queries = left < s->kept * s->lanes ? left : s->kept * s->lanes;
    return s->fused ? respond_fused(s, query, *ret_queries, error)
                    : respond_plain(s, query, *ret_queries, error);
}

/* ---- score ----------------------------------------------------------------------------------- */

static int score_count(const struct score *s, size_t first, size_t queries, struct ps_error *error)
{
    return CU(ps_launch_score_count(
        s->a->responses.data, (int)s->lanes, (int)s->references, queries, s->a->ranges.data,
        (int32_t *)s->a->score.data + first * s->lanes, s->slot->stream));
}

/* Finds the range of all responses, then counts those in its upper part. */
static int score_correlate(const struct score *s, struct ps_error *error)
{
    size_t chunks = chunks_of(s->groups, s->kept);
    float *threshold = s->a->ranges.data;
    float(*ranges)[2] = (float(*)[2])(threshold + 2);
    size_t queries = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        PS_TRY(score_respond(s, chunk * s->kept, &queries, error));
        size_t responses = chunks_of(queries, s->lanes) * s->lanes * s->references;
        PS_TRY(CU(ps_launch_score_range(s->a->responses.data, responses,
                                        ranges + chunk * PS_SCORE_RANGES, s->slot->stream)));
    }
    PS_TRY(CU(ps_launch_score_threshold((const float(*)[2])ranges, (int)(chunks * PS_SCORE_RANGES),
                                        threshold, s->slot->stream)));
    if (chunks == 1)
        return score_count(s, 0, queries, error);
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        PS_TRY(score_respond(s, chunk * s->kept, &queries, error));
        PS_TRY(score_count(s, chunk * s->kept, queries, error));
    }
    return 0;
}

static int score_reserve(const struct score *s, struct ps_error *error)
{
    struct cuda_slot *slot = s->slot;
    struct cuda_aspire *a = s->a;
    size_t spectrum = s->complexes * sizeof(cufftComplex);
    size_t window = (size_t)s->q * (size_t)s->q * sizeof(float);
    size_t ranges = chunks_of(s->groups, s->kept) * PS_SCORE_RANGES * 2 + 2;
    const struct {
        struct cuda_buffer *buffer;
        size_t bytes;
        const char *what;
    } wanted[] = {
        {&a->batch, s->batch * window, "windows"},
        {&a->product, s->fused ? 0 : s->batch * spectrum, "products of spectra"},
        {&a->spectra, chunks_of(s->queries, s->batch) * s->batch * spectrum, "spectra"},
        {&a->reference_spectra, chunks_of(s->references, s->batch) * s->batch * spectrum,
         "reference spectra"},
        {&a->responses, s->kept * s->lanes * s->references * sizeof(float), "responses"},
        {&a->ranges, ranges * sizeof(float), "ranges of responses"},
        {&a->score, s->queries * sizeof(int32_t), "scores"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        PS_TRY(cuda_reserve(slot, wanted[i].buffer, wanted[i].bytes, wanted[i].what, error));
    struct cuda_fft_shape shape = {
        .width = s->q,
        .height = s->q,
        .batch = (int)s->batch,
        .real_stride = s->q,
        .complex_stride = s->q / 2 + 1,
        .real_distance = s->q * s->q,
        .complex_distance = (int)s->complexes,
    };
    return cuda_plan_reserve(slot, &a->plan, &shape, &a->work, error);
}

int cuda_score_by(struct cuda_slot *slot, enum cuda_score_path path, size_t max_kept_bytes,
                  struct ps_error *error)
{
    struct cuda_aspire *a = slot->aspire;
    int q = slot->base.query;
    struct score s = {
        .slot = slot,
        .a = a,
        .q = q,
        .complexes = (size_t)q * ((size_t)q / 2 + 1),
        .references = (size_t)slot->base.references,
        .queries = (size_t)slot->base.queries * (size_t)slot->base.queries,
        .lanes = 1,
    };
    s.fused = path == CUDA_SCORE_BEST &&
              ps_score_fused_plan(q, (int)s.queries, (int)s.references, slot->cuda->shared_limit,
                                  slot->cuda->multiprocessors, &s.shape);
    if (s.fused)
        s.lanes = (size_t)s.shape.lanes;
    s.groups = chunks_of(s.queries, s.lanes);
    s.kept = max_kept_bytes / (s.lanes * s.references * sizeof(float));
    s.kept = s.kept < 1 ? 1 : s.kept < s.groups ? s.kept : s.groups;
    s.batch = BATCH_BYTES / (s.complexes * sizeof(cufftComplex) + (size_t)q * (size_t)q * 4);
    s.batch = s.batch < 1 ? 1 : s.batch < s.queries ? s.batch : s.queries;
    PS_TRY(score_reserve(&s, error));
    PS_TRY(send_table(&s, error));
    PS_TRY(transform_all(&s, error));
    return score_correlate(&s, error);
}

int cuda_score(struct ps_slot *base, struct ps_error *error)
{
    return cuda_score_by((struct cuda_slot *)base, CUDA_SCORE_BEST, CUDA_MAX_KEPT_BYTES, error);
}
