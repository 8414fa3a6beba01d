/* The adaptive profile on the GPU: memory, plans, and copies to the host. */
#include "backend/cuda/adaptive.h"

#include <stdlib.h>
#include <string.h>

/* ---- state ------------------------------------------------------------------------------------
 */

void cuda_adaptive_done(struct cuda_slot *slot)
{
    struct cuda_adaptive *a = slot->adaptive;
    if (!a)
        return;
    for (int i = 0; i < BUFFERS; i++)
        cuda_release(&a->buffers[i]);
    for (int i = 0; i < ADAPTIVE_PLANS; i++)
        cuda_plan_done(slot, &a->plans[i]);
    (void)cudaFreeHost(a->pinned_result.data);
    free(a);
    slot->adaptive = NULL;
}

int adaptive_reserve(struct cuda_slot *slot, enum adaptive_buffer buffer, size_t bytes,
                     struct ps_error *error)
{
    return cuda_reserve(slot, &slot->adaptive->buffers[buffer], bytes, "the adaptive profile",
                        error);
}

/* Reserves the buffers of constant size. */
static int reserve_small(struct cuda_slot *slot, struct ps_error *error)
{
    const struct {
        enum adaptive_buffer buffer;
        size_t bytes;
    } small[] = {
        {PROFILES, PS_MAX_JOBS * sizeof(struct ps_radial)},
        {TEMPLATES, PS_MAX_JOBS * PS_MAX_RINGS * sizeof(float)},
        {RESULTS, PS_MAX_ITEMS * sizeof(struct ps_adaptive_result)},
        {UNMASKED_COUNT, sizeof(unsigned long long)},
        {SPREADS, PS_MAX_JOBS * sizeof(struct ps_spread)},
        {ORDER, PS_MAX_JOBS * sizeof(struct ps_order_state)},
        {PARTS, (size_t)PS_MOMENT_SUMS * PS_MAX_ITEMS * PS_MOMENT_BLOCKS * sizeof(double)},
    };
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        PS_TRY(adaptive_reserve(slot, small[i].buffer, small[i].bytes, error));
        PS_TRY(CU(cudaMemsetAsync(slot->adaptive->buffers[small[i].buffer].data, 0, small[i].bytes,
                                  slot->stream)));
    }
    return 0;
}

int cuda_adaptive_of(struct cuda_slot *slot, struct cuda_adaptive **ret_adaptive,
                     struct ps_error *error)
{
    int status = 0;
    if (!slot->adaptive) {
        slot->adaptive = calloc(1, sizeof *slot->adaptive);
        if (!slot->adaptive)
            return ps_fail_memory(error, sizeof *slot->adaptive, "the adaptive profile");
        status = reserve_small(slot, error);
        if (status) {
            cuda_adaptive_done(slot);
            return status;
        }
    }
    *ret_adaptive = slot->adaptive;
    return 0;
}

struct ps_adaptive_maps adaptive_maps(const struct cuda_adaptive *a)
{
    return (struct ps_adaptive_maps){
        .width = a->field.width,
        .height = a->field.height,
        .frame = a->field.frame_field_px,
        .stride = a->stride,
        .sums_stride = adaptive_cut_sums(a),
        .fft_width = a->fft_width,
        .fft_height = a->fft_height,
        .fft_scale = (float)(1 / ((double)a->fft_width * (double)a->fft_height)),
        .levels = a->buffers[LEVELS].data,
        .unmasked = a->buffers[UNMASKED].data,
        .allowed = a->buffers[ALLOWED].data,
        .intensity = a->buffers[INTENSITY].data,
        .energy = a->buffers[ENERGY].data,
        .inverse = a->buffers[INVERSE].data,
        .local = a->buffers[LOCAL].data,
        .mean = a->buffers[MEAN].data,
        .deviation = a->buffers[DEVIATION].data,
        .response = a->buffers[RESPONSE].data,
        .raw = a->buffers[RAW].data,
        .score = a->buffers[SCORE].data,
        .profiles = a->buffers[PROFILES].data,
        .templates = a->buffers[TEMPLATES].data,
        .sums = a->buffers[SUMS].data,
        .results = a->buffers[RESULTS].data,
    };
}

struct ps_filter_jobs adaptive_filter_jobs(const struct cuda_adaptive *a)
{
    return (struct ps_filter_jobs){.width = a->field.width, .height = a->field.height};
}

struct ps_pixel_jobs adaptive_pixel_jobs(const struct cuda_adaptive *a)
{
    return (struct ps_pixel_jobs){.pixels = adaptive_pixels(a)};
}

struct ps_order_jobs adaptive_order_jobs(const struct cuda_slot *slot, enum adaptive_buffer maps,
                                         int count, bool unmasked)
{
    enum { PIXELS_PER_BLOCK = 2048, BLOCKS_PER_MULTIPROCESSOR = 4 };
    const struct cuda_adaptive *a = slot->adaptive;
    size_t pixels = adaptive_pixels(a);
    size_t most = (size_t)slot->cuda->multiprocessors * BLOCKS_PER_MULTIPROCESSOR;
    size_t blocks = (pixels + PIXELS_PER_BLOCK - 1) / PIXELS_PER_BLOCK;
    struct ps_order_jobs jobs = {
        .blocks = (int)(blocks < most ? blocks : most), .pixels = pixels, .count = count};
    for (int i = 0; i < count; i++)
        jobs.job[i] = (struct ps_order_job){
            .values = adaptive_map(a, maps, i),
            .mask = unmasked ? a->buffers[UNMASKED].data : NULL,
            .spread = (struct ps_spread *)a->buffers[SPREADS].data + i,
        };
    return jobs;
}

struct ps_pixel_jobs adaptive_spread_jobs(const struct cuda_adaptive *a, enum adaptive_buffer maps,
                                          int count, bool weighted)
{
    struct ps_pixel_jobs jobs = adaptive_pixel_jobs(a);
    jobs.count = count;
    for (int i = 0; i < count; i++)
        jobs.job[i] = (struct ps_pixel_job){
            .in = adaptive_map(a, maps, i),
            .out = adaptive_map(a, maps, i),
            .weight = weighted ? a->buffers[WEIGHT].data : NULL,
            .spread = (const struct ps_spread *)a->buffers[SPREADS].data + i,
        };
    return jobs;
}

/* ---- transforms -------------------------------------------------------------------------------
 */

static int run_transform(struct cuda_slot *slot, float *images, int width, int height, int batch,
                         bool forward, struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    int row = (int)ps_image_row(width);
    struct cuda_fft_shape shape = {
        .width = width,
        .height = height,
        .batch = batch,
        .real_stride = row,
        .complex_stride = row / 2,
        .real_distance = row * height,
        .complex_distance = row / 2 * height,
    };
    struct cuda_plan *plan = NULL;
    for (int i = 0; i < ADAPTIVE_PLANS; i++)
        if (a->plans[i].handles && memcmp(&a->plans[i].shape, &shape, sizeof shape) == 0)
            plan = &a->plans[i];
    if (!plan) {
        plan = &a->plans[a->next_plan];
        a->next_plan = (a->next_plan + 1) % ADAPTIVE_PLANS;
    }
    PS_TRY(cuda_plan_reserve(slot, plan, &shape, &a->buffers[WORK], error));
    if (forward)
        return CUFFT(slot->cuda->fft.exec_r2c(plan->forward, images, (cufftComplex *)images));
    return CUFFT(slot->cuda->fft.exec_c2r(plan->inverse, (cufftComplex *)images, images));
}

int adaptive_transform(struct cuda_slot *slot, int first, int batch, bool forward,
                       struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    return run_transform(slot, adaptive_image(a, first), a->fft_width, a->fft_height, batch,
                         forward, error);
}

int adaptive_transform_image(struct cuda_slot *slot, float *image, int width, int height,
                             bool forward, struct ps_error *error)
{
    return run_transform(slot, image, width, height, 1, forward, error);
}

/* ---- results ----------------------------------------------------------------------------------
 */

static int reserve_result(struct cuda_slot *slot, size_t bytes, struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    if (a->pinned_result.bytes >= bytes)
        return 0;
    bytes = cuda_round_up_pow2(bytes);
    int status = CU(cudaStreamSynchronize(slot->stream));
    if (status)
        return status;
    (void)cudaFreeHost(a->pinned_result.data);
    a->pinned_result.data = NULL;
    a->pinned_result.bytes = 0;
    status = CU(cudaMallocHost(&a->pinned_result.data, bytes));
    if (status == 0)
        a->pinned_result.bytes = bytes;
    return status;
}

/* Alignment of the parts: suits any type. */
static size_t align_part(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

int adaptive_receive(struct cuda_slot *slot, struct adaptive_part *parts, int count,
                     const struct ps_adaptive_result **ret_results, struct ps_error *error)
{
    struct cuda_adaptive *a = slot->adaptive;
    const size_t header = PS_MAX_ITEMS * sizeof(struct ps_adaptive_result);
    size_t at = align_part(header);
    for (int i = 0; i < count; i++)
        at += align_part(parts[i].bytes);
    PS_TRY(reserve_result(slot, at, error));
    at = align_part(header);
    for (int i = 0; i < count; i++) {
        char *data = (char *)a->pinned_result.data + at;
        if (parts[i].bytes)
            PS_TRY(CU(cudaMemcpyAsync(data, parts[i].device, parts[i].bytes, cudaMemcpyDeviceToHost,
                                      slot->stream)));
        parts[i].data = data;
        at += align_part(parts[i].bytes);
    }
    PS_TRY(cuda_receive(slot, a->pinned_result.data, a->buffers[RESULTS].data, header, error));
    *ret_results = a->pinned_result.data;
    return 0;
}

/* ---- copies -----------------------------------------------------------------------------------
 */

static const float *map_of(const struct cuda_adaptive *a, enum ps_map map)
{
    int level = a->level_of[0];
    const float *const maps[] = {
        [PS_MAP_INTENSITY] = a->buffers[INTENSITY].data,
        [PS_MAP_ENERGY] = adaptive_map(a, ENERGY, level),
        [PS_MAP_INTENSITY_MATCH] = adaptive_map(a, RESPONSE, PS_CHANNEL_INTENSITY),
        [PS_MAP_ENERGY_MATCH] = adaptive_map(a, RESPONSE, PS_CHANNEL_ENERGY),
        [PS_MAP_SCORE] = a->buffers[SCORE].data,
        [PS_MAP_MEAN] = adaptive_map(a, MEAN, level),
        [PS_MAP_DEVIATION] = adaptive_map(a, DEVIATION, level),
    };
    return maps[map];
}

static int send_peaks(struct cuda_slot *slot, const struct ps_peak *peaks, size_t count,
                      size_t value_bytes, struct ps_error *error)
{
    PS_TRY(adaptive_reserve(slot, EXAMPLES, cuda_round_up_pow2(count * sizeof *peaks), error));
    PS_TRY(adaptive_reserve(slot, VALUES, cuda_round_up_pow2(count * value_bytes), error));
    return cuda_send(slot, slot->adaptive->buffers[EXAMPLES].data, peaks, count * sizeof *peaks,
                     error);
}

int cuda_adaptive_sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *peaks,
                         size_t count, float *ret_values, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    if (count == 0)
        return 0;
    PS_TRY(send_peaks(slot, peaks, count, sizeof(float), error));
    float *values = a->buffers[VALUES].data;
    struct ps_adaptive_examples examples = {.peaks = a->buffers[EXAMPLES].data,
                                            .count = {(int)count}};
    PS_TRY(CU(ps_launch_adaptive_sample(map_of(a, map), 0, 1, a->field.width, 1, &examples, 0,
                                        values, slot->stream)));
    return cuda_receive(slot, ret_values, values, count * sizeof *values, error);
}

int cuda_adaptive_locate(struct ps_slot *base, const struct ps_peak *peaks, size_t count,
                         double (*ret_centres)[2], struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    if (count == 0)
        return 0;
    PS_TRY(send_peaks(slot, peaks, count, sizeof *ret_centres, error));
    double *centres = a->buffers[VALUES].data;
    PS_TRY(CU(ps_launch_adaptive_locate(a->buffers[SCORE].data, a->field.width, a->field.height,
                                        a->buffers[EXAMPLES].data, count, centres, slot->stream)));
    return cuda_receive(slot, ret_centres, centres, count * sizeof *ret_centres, error);
}

int cuda_adaptive_fetch(struct ps_slot *base, enum ps_map map, float *ret_values,
                        struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    return cuda_receive(slot, ret_values, map_of(slot->adaptive, map),
                        adaptive_pixels(slot->adaptive) * sizeof *ret_values, error);
}

int cuda_adaptive_fetch_mask(struct ps_slot *base, unsigned char *ret_mask, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    return cuda_receive(slot, ret_mask, slot->adaptive->buffers[UNMASKED].data,
                        adaptive_pixels(slot->adaptive), error);
}
