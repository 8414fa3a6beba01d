/* apple-reference section 5: how many references respond to each query window.
 *
 * DC of every spectrum is zero, so correlations have zero mean and a response is their largest
 * value. References are transformed once. A piece of work is a block of queries, one per vector
 * lane, against all references. Responses are kept until their range is known; if there are too
 * many (tiny particles on a large micrograph), they are computed twice.
 */
#include "backend/cpu/slot.h"

#include "base/error.h"
#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>

/* The direct path was faster at every size measured (`make bench`: 7 to 12 times at 8 to 130, 2.8
 * times at 300). Its advantage shrinks because its products grow with the cube of the size. */
enum { MAX_DIRECT_QUERY = 400 };

/* Correlations per call of FFTW's inverse transform. */
enum { INVERSE_BATCH = 16 };

const struct ps_simd *cpu_score_choose(const struct ps_simd *simd, int query)
{
    return query <= MAX_DIRECT_QUERY ? simd : NULL;
}

static size_t spectrum_size(int q)
{
    return (size_t)q * ((size_t)q / 2 + 1);
}

void cpu_score_done(struct cpu_slot *slot)
{
    cpu_planner_lock();
    if (slot->forward)
        fftwf_destroy_plan(slot->forward);
    if (slot->inverse)
        fftwf_destroy_plan(slot->inverse);
    cpu_planner_unlock();
    slot->forward = slot->inverse = NULL;
    slot->planned_query = 0;
}

/* FFTW_ESTIMATE: a measured plan can differ from run to run, and then round differently. */
static int score_plan(struct cpu_slot *slot, struct ps_error *error)
{
    int q = slot->base.query;
    if (slot->planned_query == q)
        return 0;
    cpu_score_done(slot);
    size_t n = spectrum_size(q);
    float *real = fftwf_alloc_real((size_t)q * (size_t)q * INVERSE_BATCH);
    fftwf_complex *complex = fftwf_alloc_complex(n * INVERSE_BATCH);
    if (real && complex && cpu_planner_has_memory()) {
        const int shape[2] = {q, q};
        cpu_planner_lock();
        slot->forward = fftwf_plan_dft_r2c_2d(q, q, real, complex, FFTW_ESTIMATE | FFTW_UNALIGNED);
        slot->inverse =
            fftwf_plan_many_dft_c2r(2, shape, INVERSE_BATCH, complex, NULL, 1, (int)n, real, NULL,
                                    1, q * q, FFTW_ESTIMATE | FFTW_UNALIGNED);
        cpu_planner_unlock();
    }
    fftwf_free(real);
    fftwf_free(complex);
    if (!slot->forward || !slot->inverse) {
        cpu_score_done(slot);
        return ps_fail_memory(error, n * INVERSE_BATCH * 16, "FFT plans");
    }
    slot->planned_query = q;
    return 0;
}

/* Half spectrum, q x (q/2 + 1), of the q x q window at (row, column), with DC zero. */
static void transform_window(const struct cpu_slot *slot, int row, int column, float *window,
                             fftwf_complex *ret_spectrum)
{
    size_t q = (size_t)slot->base.query;
    size_t side = (size_t)slot->base.side;
    const float *from = (const float *)slot->preprocessed.data + (size_t)row * side + column;
    for (size_t y = 0; y < q; y++)
        memcpy(window + y * q, from + y * side, q * sizeof *window);
    fftwf_execute_dft_r2c(slot->forward, window, ret_spectrum);
    ret_spectrum[0][0] = ret_spectrum[0][1] = 0;
}

struct score_job {
    struct cpu_slot *slot;
    const struct ps_simd *simd; /* NULL: FFTW */
    int lanes;
    size_t queries; /* total */
    float *table;
    size_t scratch_floats;
    bool kept;     /* responses of all blocks are kept; else those of each thread's current block */
    float *minima; /* per block */
    float *maxima;
    float threshold;
};

static float *thread_scratch(const struct score_job *job, int thread)
{
    return (float *)job->slot->scratch.data + (size_t)thread * job->scratch_floats;
}

/* Transforms a reference and divides it by q^2. For the direct path it is transposed, and all but
 * the first and last columns are doubled, because they stand for their mirror images too. */
static void transform_reference(void *context, int thread, size_t piece)
{
    const struct score_job *job = context;
    struct cpu_slot *slot = job->slot;
    size_t q = (size_t)slot->base.query;
    size_t columns = q / 2 + 1;
    const int *origin = (const int *)slot->reference_origins.data + piece * 2;
    float *window = thread_scratch(job, thread);
    fftwf_complex *spectrum = (fftwf_complex *)(window + q * q);
    transform_window(slot, origin[0], origin[1], window, spectrum);
    float scale = 1.0F / ((float)q * (float)q);
    fftwf_complex *out = (fftwf_complex *)slot->spectra.data + piece * spectrum_size((int)q);
    for (size_t ky = 0; ky < q; ky++) {
        for (size_t kx = 0; kx < columns; kx++) {
            float weight = job->simd && kx > 0 && kx < columns - 1 ? 2 * scale : scale;
            size_t to = job->simd ? kx * q + ky : ky * columns + kx;
            out[to][0] = spectrum[ky * columns + kx][0] * weight;
            out[to][1] = spectrum[ky * columns + kx][1] * weight;
        }
    }
}

/* Responses of one query to all references by FFTW. */
static void respond_by_fft(const struct score_job *job, const fftwf_complex *query, float *memory,
                           float *ret_responses)
{
    const struct cpu_slot *slot = job->slot;
    size_t pixels = (size_t)slot->base.query * (size_t)slot->base.query;
    size_t n = spectrum_size(slot->base.query);
    float *real = memory;
    fftwf_complex *product = (fftwf_complex *)(memory + pixels * INVERSE_BATCH);
    size_t references = (size_t)slot->base.references;
    for (size_t done = 0; done < references; done += INVERSE_BATCH) {
        size_t batch = references - done < INVERSE_BATCH ? references - done : INVERSE_BATCH;
        const fftwf_complex *r = (const fftwf_complex *)slot->spectra.data + done * n;
        for (size_t b = 0; b < batch; b++) {
            for (size_t k = 0; k < n; k++) {
                product[b * n + k][0] =
                    r[b * n + k][0] * query[k][0] + r[b * n + k][1] * query[k][1];
                product[b * n + k][1] =
                    r[b * n + k][1] * query[k][0] - r[b * n + k][0] * query[k][1];
            }
        }
        memset(product + batch * n, 0, (INVERSE_BATCH - batch) * n * sizeof *product);
        fftwf_execute_dft_c2r(slot->inverse, product, real);
        for (size_t b = 0; b < batch; b++) {
            float best = real[b * pixels];
            for (size_t i = 1; i < pixels; i++)
                best = real[b * pixels + i] > best ? real[b * pixels + i] : best;
            ret_responses[done + b] = best;
        }
    }
}

/* Responses of a block: references x lanes. */
static float *block_responses(const struct score_job *job, int thread, size_t block)
{
    size_t index = job->kept ? block : (size_t)thread;
    return (float *)job->slot->responses.data +
           index * (size_t)job->slot->base.references * (size_t)job->lanes;
}

static void correlate_block(const struct score_job *job, int thread, size_t block)
{
    struct cpu_slot *slot = job->slot;
    size_t q = (size_t)slot->base.query;
    size_t lanes = (size_t)job->lanes;
    size_t references = (size_t)slot->base.references;
    float *window = thread_scratch(job, thread);
    fftwf_complex *spectra = (fftwf_complex *)(window + q * q);
    float *rest = (float *)(spectra + lanes * spectrum_size((int)q));
    rest += (64 - (uintptr_t)rest % 64) / sizeof *rest % 16;
    float *responses = block_responses(job, thread, block);
    for (size_t lane = 0; lane < lanes; lane++) {
        /* Unused lanes of the last block repeat its last query. */
        size_t index = block * lanes + lane;
        index = index < job->queries ? index : job->queries - 1;
        int row = (int)(index / (size_t)slot->base.queries) * slot->base.query / 2;
        int column = (int)(index % (size_t)slot->base.queries) * slot->base.query / 2;
        transform_window(slot, row, column, window, spectra + lane * spectrum_size((int)q));
    }
    if (job->simd)
        job->simd->score(slot->base.query, job->table, (const float *)spectra, slot->spectra.data,
                         references, rest, responses);
    else
        respond_by_fft(job, (const fftwf_complex *)spectra, rest, responses);
}

static void respond_block(void *context, int thread, size_t block)
{
    const struct score_job *job = context;
    correlate_block(job, thread, block);
    const float *responses = block_responses(job, thread, block);
    size_t count = (size_t)job->slot->base.references * (size_t)job->lanes;
    float minimum = responses[0];
    float maximum = responses[0];
    for (size_t i = 1; i < count; i++) {
        minimum = responses[i] < minimum ? responses[i] : minimum;
        maximum = responses[i] > maximum ? responses[i] : maximum;
    }
    job->minima[block] = minimum;
    job->maxima[block] = maximum;
}

static void count_block(void *context, int thread, size_t block)
{
    const struct score_job *job = context;
    if (!job->kept)
        correlate_block(job, thread, block);
    size_t lanes = (size_t)job->lanes;
    size_t references = (size_t)job->slot->base.references;
    const float *responses = block_responses(job, thread, block);
    int32_t *score = (int32_t *)job->slot->score.data + block * lanes;
    for (size_t lane = 0; lane < lanes && block * lanes + lane < job->queries; lane++) {
        int32_t count = 0;
        for (size_t r = 0; r < references; r++)
            count += responses[r * lanes + lane] >= job->threshold;
        score[lane] = count;
    }
}

static int score_reserve(struct score_job *job, size_t blocks, bool counting,
                         struct ps_error *error)
{
    struct cpu_slot *slot = job->slot;
    int q = slot->base.query;
    size_t n = spectrum_size(q) * sizeof(fftwf_complex);
    size_t window = (size_t)q * (size_t)q * sizeof(float);
    size_t references = (size_t)slot->base.references;
    size_t lanes = (size_t)job->lanes;
    size_t inner =
        job->simd ? job->simd->score_scratch(q) * sizeof(float) : INVERSE_BATCH * (n + window);
    job->scratch_floats = (window + lanes * n + inner + 127) / 64 * 16;
    size_t responses = references * lanes * sizeof(float); /* per block */
    job->kept = !counting || blocks * responses <= slot->max_kept_bytes;
    PS_TRY(cpu_buffer_reserve(&slot->spectra, references * n, "reference spectra", error));
    PS_TRY(cpu_buffer_reserve(&slot->responses,
                              (job->kept ? blocks : (size_t)slot->threads) * responses, "responses",
                              error));
    PS_TRY(cpu_buffer_reserve(&slot->score, job->queries * sizeof(int32_t), "scores", error));
    return cpu_buffer_reserve(&slot->scratch,
                              (size_t)slot->threads * job->scratch_floats * sizeof(float),
                              "correlations", error);
}

static int score_by(struct cpu_slot *slot, const struct ps_simd *simd, bool counting,
                    struct ps_error *error)
{
    int q = slot->base.query;
    struct score_job job = {.slot = slot, .simd = simd, .lanes = simd ? simd->lanes : 1};
    job.queries = (size_t)slot->base.queries * (size_t)slot->base.queries;
    size_t blocks = (job.queries + (size_t)job.lanes - 1) / (size_t)job.lanes;
    int status = score_plan(slot, error);
    if (status == 0)
        status = score_reserve(&job, blocks, counting, error);
    if (status)
        return status;
    size_t table = ps_score_table_size(q);
    job.table = malloc((table + 2 * blocks) * sizeof *job.table);
    if (!job.table)
        return ps_fail_memory(error, (table + 2 * blocks) * sizeof *job.table, "cosines");
    ps_score_table(q, job.table);
    job.minima = job.table + table;
    job.maxima = job.minima + blocks;
    ps_parallel(slot->threads, (size_t)slot->base.references, transform_reference, &job);
    ps_parallel(slot->threads, blocks, respond_block, &job);
    if (counting) {
        float minimum = job.minima[0];
        float maximum = job.maxima[0];
        for (size_t i = 1; i < blocks; i++) {
            minimum = job.minima[i] < minimum ? job.minima[i] : minimum;
            maximum = job.maxima[i] > maximum ? job.maxima[i] : maximum;
        }
        job.threshold = ps_response_threshold(minimum, maximum);
        ps_parallel(slot->threads, blocks, count_block, &job);
    }
    free(job.table);
    return 0;
}

int cpu_score_responses(struct cpu_slot *slot, const struct ps_simd *simd, struct ps_error *error)
{
    return score_by(slot, simd, false, error);
}

int cpu_score(struct ps_slot *base, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    return score_by(slot, cpu_score_choose(slot->simd, base->query), true, error);
}
