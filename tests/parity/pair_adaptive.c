/* Stages of the adaptive profile on both backends. The GPU takes a batch of hypotheses; on the CPU
 * each has a slot. */
#include "pair_internal.h"

#include "base/error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CPU_STAGES(s) (CPU_OPS(s)->adaptive)
#define GPU_STAGES(s) (GPU_OPS(s)->adaptive)

enum { NULL_LOOSENESS = 10 };

static void note(struct pair_slot *slot, enum pair_check check, double difference)
{
    pair_note(slot, check, slot->noise ? difference / NULL_LOOSENESS : difference);
}

static void square(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] *= values[i];
}

/* Maps can be fetched of the first item only. */
static void compare_map(struct pair_slot *slot, enum ps_map map, enum pair_check check)
{
    struct ps_error error;
    float *cpu = pair_alloc(slot->field_pixels * sizeof *cpu);
    float *gpu = pair_alloc(slot->field_pixels * sizeof *gpu);
    if (CPU_STAGES(slot)->fetch(slot->cpu[0], map, cpu, &error) ||
        GPU_STAGES(slot)->fetch(slot->gpu, map, gpu, &error))
        fail_msg("%s", error.message);
    if (map == PS_MAP_DEVIATION) {
        square(cpu, slot->field_pixels);
        square(gpu, slot->field_pixels);
    }
    note(slot, check, pair_distance(cpu, 0, gpu, 0, slot->field_pixels));
    free(gpu);
    free(cpu);
}

static int reduce(struct ps_slot *base, const struct ps_reduction *reduction,
                  struct ps_field *ret_field, struct ps_error *error)
{
    SLOT;
    struct ps_field gpu = {0};
    int status = 0;
    for (int i = 0; i < slot->cpu_slots && status == 0; i++)
        status = CPU_STAGES(slot)->reduce(slot->cpu[i], reduction, ret_field, error);
    status =
        pair_both(slot, status, GPU_STAGES(slot)->reduce(slot->gpu, reduction, &gpu, error), error);
    if (status)
        return status;
    assert_int_equal(ret_field->width, gpu.width);
    assert_int_equal(ret_field->height, gpu.height);
    assert_int_equal(ret_field->frame_field_px, gpu.frame_field_px);
    slot->field_pixels = (size_t)gpu.width * (size_t)gpu.height;
    slot->noise = false;
    unsigned char *masks = pair_alloc(2 * slot->field_pixels);
    if (CPU_STAGES(slot)->fetch_mask(slot->cpu[0], masks, error) ||
        GPU_STAGES(slot)->fetch_mask(slot->gpu, masks + slot->field_pixels, error))
        fail_msg("%s", error->message);
    double different = pair_share(masks, masks + slot->field_pixels, slot->field_pixels, 1);
    pair_note(slot, PAIR_MASKED, different);
    if (different == 0)
        assert_int_equal(ret_field->unmasked, gpu.unmasked);
    free(masks);
    compare_map(slot, PS_MAP_INTENSITY, PAIR_INTENSITY);
    return 0;
}

static int randomise(struct ps_slot *base, unsigned seed, struct ps_error *error)
{
    SLOT;
    int status = 0;
    for (int i = 0; i < slot->cpu_slots && status == 0; i++)
        status = CPU_STAGES(slot)->randomise(slot->cpu[i], seed, error);
    status = pair_both(slot, status, GPU_STAGES(slot)->randomise(slot->gpu, seed, error), error);
    slot->noise = false;
    if (status == 0)
        compare_map(slot, PS_MAP_INTENSITY, PAIR_RANDOMISED);
    slot->noise = true;
    return status;
}

static int scale(struct ps_slot *base, const double *diameters, int count, struct ps_error *error)
{
    SLOT;
    int status = 0;
    for (int i = 0; i < count && status == 0; i++)
        status = CPU_STAGES(slot)->scale(slot->cpu[i], diameters + i, 1, error);
    status =
        pair_both(slot, status, GPU_STAGES(slot)->scale(slot->gpu, diameters, count, error), error);
    if (status)
        return status;
    compare_map(slot, PS_MAP_ENERGY, PAIR_ENERGY);
    compare_map(slot, PS_MAP_MEAN, PAIR_LOCAL_MEAN);
    compare_map(slot, PS_MAP_DEVIATION, PAIR_LOCAL_DEVIATION);
    return 0;
}

typedef int item_stage(struct ps_slot *slot, struct ps_batch_item *items, int count,
                       struct ps_error *error);

/* Runs a stage for all items: on the CPU in a slot each, with `items`; on the GPU with `gpu`. */
static int run_items(struct pair_slot *slot, item_stage *cpu_stage, item_stage *gpu_stage,
                     struct ps_batch_item *items, struct ps_batch_item *gpu, int count,
                     struct ps_error *error)
{
    int status = 0;
    for (int i = 0; i < count && status == 0; i++)
        status = cpu_stage(slot->cpu[i], items + i, 1, error);
    status = pair_both(slot, status, gpu_stage(slot->gpu, gpu, count, error), error);
    for (int i = 0; i < count && status == 0; i++)
        assert_int_equal(items[i].idle, gpu[i].idle);
    return status;
}

/* The GPU may not detect a flat template before peaks(). */
static void check_flat(struct ps_batch_item *items, struct ps_batch_item *gpu, int count,
                       bool is_known)
{
    for (int i = 0; i < count; i++)
        if (!items[i].idle && (is_known || gpu[i].flat))
            assert_int_equal(items[i].flat, gpu[i].flat);
}

static int respond(struct ps_slot *base, struct ps_batch_item *items, int count,
                   struct ps_error *error)
{
    SLOT;
    struct ps_batch_item gpu[PS_MAX_ITEMS];
    memcpy(gpu, items, (size_t)count * sizeof *gpu);
    int status = run_items(slot, CPU_STAGES(slot)->respond, GPU_STAGES(slot)->respond, items, gpu,
                           count, error);
    check_flat(items, gpu, count, false);
    if (status || items[0].flat)
        return status;
    if (items[0].templates[PS_CHANNEL_INTENSITY].count)
        compare_map(slot, PS_MAP_INTENSITY_MATCH, PAIR_INTENSITY_MATCH);
    if (items[0].templates[PS_CHANNEL_ENERGY].count)
        compare_map(slot, PS_MAP_ENERGY_MATCH, PAIR_ENERGY_MATCH);
    return 0;
}

static void compare_templates(struct pair_slot *slot, const struct ps_radial *cpu,
                              const struct ps_radial *gpu)
{
    double largest = 1e-30;
    double difference = 0;
    assert_true(cpu->count > 0);
    assert_int_equal(cpu->count, gpu->count);
    for (int r = 0; r < cpu->count; r++) {
        difference = fmax(difference, fabs(cpu->values[r] - gpu->values[r]));
        largest = fmax(largest, fabs(cpu->values[r]));
    }
    note(slot, PAIR_TEMPLATES, difference / largest);
}

static void compare_learned(struct pair_slot *slot, const struct ps_batch_item *cpu,
                            const struct ps_batch_item *gpu)
{
    double largest = 1e-30;
    double difference = 0;
    for (int c = 0; c < PS_CHANNELS; c++) {
        compare_templates(slot, &cpu->templates[c], &gpu->templates[c]);
        note(slot, PAIR_RESPONSES,
             pair_distance(cpu->responses[c], 0, gpu->responses[c], 0, cpu->example_count));
        difference = fmax(difference, fabs(cpu->moments.mean[c] - gpu->moments.mean[c]));
        largest = fmax(largest, fabs(cpu->moments.mean[c]));
        for (int d = 0; d < PS_CHANNELS; d++) {
            double expected = cpu->moments.covariance[c][d];
            difference = fmax(difference, fabs(expected - gpu->moments.covariance[c][d]));
            largest = fmax(largest, fabs(expected));
        }
    }
    note(slot, PAIR_MOMENTS, difference / largest);
}

static int learn(struct ps_slot *base, struct ps_batch_item *items, int count,
                 struct ps_error *error)
{
    SLOT;
    struct ps_batch_item gpu[PS_MAX_ITEMS];
    memcpy(gpu, items, (size_t)count * sizeof *gpu);
    for (int i = 0; i < count; i++)
        for (int c = 0; c < PS_CHANNELS; c++)
            gpu[i].responses[c] = pair_alloc(items[i].example_count * sizeof(float));
    int status =
        run_items(slot, CPU_STAGES(slot)->learn, GPU_STAGES(slot)->learn, items, gpu, count, error);
    check_flat(items, gpu, count, false);
    for (int i = 0; i < count; i++) {
        if (status == 0 && !items[i].idle && !items[i].flat)
            compare_learned(slot, items + i, gpu + i);
        for (int c = 0; c < PS_CHANNELS; c++)
            free(gpu[i].responses[c]);
    }
    if (status == 0 && !items[0].flat && !items[0].idle) {
        compare_map(slot, PS_MAP_INTENSITY_MATCH, PAIR_INTENSITY_MATCH);
        compare_map(slot, PS_MAP_ENERGY_MATCH, PAIR_ENERGY_MATCH);
    }
    return status;
}

static double peaks_missing(const struct ps_batch_item *of, const struct ps_batch_item *in)
{
    size_t missing = 0;
    for (size_t i = 0; i < of->peak_count; i++) {
        bool found = false;
        for (size_t j = 0; j < in->peak_count && !found; j++)
            found = of->peaks[i].x == in->peaks[j].x && of->peaks[i].y == in->peaks[j].y &&
                    fabsf(of->peaks[i].value - in->peaks[j].value) <=
                        1e-3F * fmaxf(1, fabsf(of->peaks[i].value));
        missing += !found;
    }
    return of->peak_count ? (double)missing / (double)of->peak_count : 0;
}

static int peaks(struct ps_slot *base, struct ps_batch_item *items, int count,
                 struct ps_error *error)
{
    SLOT;
    struct ps_batch_item gpu[PS_MAX_ITEMS];
    memcpy(gpu, items, (size_t)count * sizeof *gpu);
    int status =
        run_items(slot, CPU_STAGES(slot)->peaks, GPU_STAGES(slot)->peaks, items, gpu, count, error);
    check_flat(items, gpu, count, true);
    for (int i = 0; i < count && status == 0; i++) {
        if (items[i].idle || items[i].flat)
            continue;
        pair_note(slot, PAIR_PEAKS,
                  fmax(peaks_missing(items + i, gpu + i), peaks_missing(gpu + i, items + i)));
        free(gpu[i].peaks);
    }
    if (status == 0 && !items[0].flat && !items[0].idle)
        compare_map(slot, PS_MAP_SCORE, PAIR_ADAPTIVE_SCORE);
    return status;
}

static int sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *at, size_t count,
                  float *ret_values, struct ps_error *error)
{
    SLOT;
    float *gpu = pair_alloc(count * sizeof *gpu);
    int status =
        pair_both(slot, CPU_STAGES(slot)->sample(slot->cpu[0], map, at, count, ret_values, error),
                  GPU_STAGES(slot)->sample(slot->gpu, map, at, count, gpu, error), error);
    if (status == 0)
        pair_note(slot, PAIR_SAMPLES, pair_distance(ret_values, 0, gpu, 0, count));
    free(gpu);
    return status;
}

static int locate(struct ps_slot *base, const struct ps_peak *at, size_t count,
                  double (*ret_centres)[2], struct ps_error *error)
{
    SLOT;
    double(*gpu)[2] = pair_alloc(count * sizeof *gpu);
    int status =
        pair_both(slot, CPU_STAGES(slot)->locate(slot->cpu[0], at, count, ret_centres, error),
                  GPU_STAGES(slot)->locate(slot->gpu, at, count, gpu, error), error);
    for (size_t i = 0; i < count && status == 0; i++)
        pair_note(slot, PAIR_LOCATED,
                  hypot(ret_centres[i][0] - gpu[i][0], ret_centres[i][1] - gpu[i][1]));
    free(gpu);
    return status;
}

struct ps_adaptive_ops pair_adaptive(int max_items)
{
    return (struct ps_adaptive_ops){
        .max_items = max_items,
        .max_scales = PS_MAX_LEVELS,
        .reduce = reduce,
        .randomise = randomise,
        .scale = scale,
        .respond = respond,
        .learn = learn,
        .peaks = peaks,
        .sample = sample,
        .locate = locate,
    };
}
