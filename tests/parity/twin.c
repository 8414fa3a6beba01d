/* Limits, with the reason (twin.h has the numbers):
 *   upload           counts equal; sums of float64 in another order
 *   preprocessed, means, deviations, references, features
 *                    largest difference over the largest value; float32 transforms and sums in
 *                    another order, and differences of sums for deviations
 *   score            share of windows with another number: a correlation near a threshold
 *   classified       share of windows on the other side: a decision value near 0
 *   cleaned          share: what those windows move
 *   regions          equal where the masks are
 *   mask             share of pixels: a value near a threshold
 *   maps, responses  largest difference over the largest value, as above; correlation coefficients
 *                    are quotients of such sums
 *   peaks            share of peaks that the other does not have: neighbours as high as each other
 *   located          largest distance, px */
#include "twin.h"

#include "base/error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *name;
    double limit;
} checks[] = {
#define X(NAME, name, limit) {name, limit},
    TWIN_MAP(X)
#undef X
};

struct twin {
    struct ps_backend base;
    struct ps_backend_ops ops;
    struct ps_adaptive_ops adaptive;
    struct ps_backend *cpu;
    struct ps_backend *gpu;
};

struct twin_slot {
    struct ps_slot base;
    struct ps_slot *cpu[PS_LANES]; /* one for each lane; stages without lanes are the first one's */
    struct ps_slot *gpu;
    int cpu_slots;
    bool masks_equal; /* of the stages classify and clean */
    size_t field_pixels;
    double worst[TWIN_CHECKS];
    bool seen[TWIN_CHECKS];
};

static struct twin *twin_of(struct ps_slot *slot)
{
    return (struct twin *)slot->backend;
}

static void note(struct twin_slot *slot, enum twin_check check, double difference)
{
    slot->seen[check] = true;
    slot->worst[check] = fmax(slot->worst[check], difference);
    if (!(difference <= checks[check].limit))
        fail_msg("%s: %g, at most %g expected", checks[check].name, difference,
                 checks[check].limit);
}

/* What a stage returned on both sides; the CPU's code if it is one that the picker goes on with. */
static int both(struct twin_slot *slot, int cpu, int gpu, const struct ps_error *error)
{
    if (cpu != gpu)
        fail_msg("the CPU returned %d, the GPU %d: %s", cpu, gpu, error->message);
    if (gpu == PS_E_DEVICE || gpu == PS_E_NOMEM || gpu == PS_E_BUG)
        fail_msg("%s", error->message);
    const struct ps_slot *gpus = slot->gpu;
    struct ps_slot *first = slot->cpu[0];
    assert_int_equal(first->side, gpus->side);
    assert_int_equal(first->query, gpus->query);
    assert_int_equal(first->references, gpus->references);
    slot->base.side = first->side;
    slot->base.query = first->query;
    slot->base.references = first->references;
    slot->base.grey_offset = first->grey_offset;
    return cpu;
}

#define SLOT       struct twin_slot *slot = (struct twin_slot *)base
#define CPU_OPS(s) (twin_of(&(s)->base)->cpu->ops)
#define GPU_OPS(s) (twin_of(&(s)->base)->gpu->ops)
#define BOTH(op, ...)                                                                              \
    both(slot, CPU_OPS(slot)->op(slot->cpu[0], __VA_ARGS__),                                       \
         GPU_OPS(slot)->op(slot->gpu, __VA_ARGS__), error)

/* ---- comparing -------------------------------------------------------------------------------
 */

static void *room(size_t bytes)
{
    void *memory = malloc(bytes + 1);
    assert_non_null(memory);
    return memory;
}

/* Largest difference over the largest value; infinite where one has a number and the other none. */
static double distance(const float *a, double a_offset, const float *b, double b_offset,
                       size_t count)
{
    double difference = 0;
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(a[i]) != isfinite(b[i]))
            return INFINITY;
        if (!isfinite(a[i]))
            continue;
        difference = fmax(difference, fabs((double)a[i] + a_offset - (double)b[i] - b_offset));
        largest = fmax(largest, fabs((double)a[i] + a_offset));
    }
    return largest > 0 ? difference / largest : difference;
}

static double share(const unsigned char *a, const unsigned char *b, size_t count, size_t size)
{
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        different += memcmp(a + i * size, b + i * size, size) != 0;
    return (double)different / (double)count;
}

/* Copies a buffer of both out; `*ret_cpu` holds both, one after the other. */
static void *fetch(struct twin_slot *slot, enum ps_buffer buffer, size_t bytes)
{
    struct ps_error error;
    char *data = room(2 * bytes);
    if (CPU_OPS(slot)->fetch(slot->cpu[0], buffer, data, bytes, &error) ||
        GPU_OPS(slot)->fetch(slot->gpu, buffer, data + bytes, bytes, &error))
        fail_msg("%s", error.message);
    return data;
}

static void compare_floats(struct twin_slot *slot, enum ps_buffer buffer, size_t count,
                           bool has_offset, enum twin_check check)
{
    float *values = fetch(slot, buffer, count * sizeof *values);
    note(slot, check,
         distance(values, has_offset ? slot->cpu[0]->grey_offset : 0, values + count,
                  has_offset ? slot->gpu->grey_offset : 0, count));
    free(values);
}

static void compare_bytes(struct twin_slot *slot, enum ps_buffer buffer, size_t count, size_t size,
                          enum twin_check check)
{
    unsigned char *values = fetch(slot, buffer, count * size);
    double different = share(values, values + count * size, count, size);
    slot->masks_equal = different == 0;
    note(slot, check, different);
    free(values);
}

static size_t windows_of(const struct twin_slot *slot)
{
    size_t side = (size_t)(slot->base.side - slot->base.query + 1);
    return side * side;
}

/* ---- stages of both profiles and of aspire ---------------------------------------------------
 */

static int upload(struct ps_slot *base, const struct ps_image *image,
                  struct ps_pixel_report *ret_report, struct ps_error *error)
{
    SLOT;
    struct ps_pixel_report gpu = {0};
    int status = 0;
    for (int i = 0; i < slot->cpu_slots && status == 0; i++)
        status = CPU_OPS(slot)->upload(slot->cpu[i], image, ret_report, error);
    status = both(slot, status, GPU_OPS(slot)->upload(slot->gpu, image, &gpu, error), error);
    const struct ps_pixel_report *cpu = ret_report;
    assert_int_equal(cpu->non_finite, gpu.non_finite);
    assert_int_equal(cpu->dead_columns, gpu.dead_columns);
    assert_int_equal(cpu->dead_rows, gpu.dead_rows);
    assert_int_equal(cpu->first_dead_column, gpu.first_dead_column);
    assert_int_equal(cpu->first_dead_row, gpu.first_dead_row);
    if (cpu->non_finite < (uint64_t)image->width * (uint64_t)image->height) {
        assert_true(cpu->minimum == gpu.minimum && cpu->maximum == gpu.maximum);
        note(slot, TWIN_UPLOAD,
             fabs(cpu->mean - gpu.mean) / fmax(fabs(cpu->minimum), fabs(cpu->maximum)));
    }
    return status;
}

static int preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error)
{
    SLOT;
    int status = BOTH(preprocess, crop, error);
    if (status == 0)
        compare_floats(slot, PS_BUFFER_PREPROCESSED, (size_t)base->side * (size_t)base->side, true,
                       TWIN_PREPROCESSED);
    return status;
}

static int moments(struct ps_slot *base, int query, struct ps_error *error)
{
    SLOT;
    int status = BOTH(moments, query, error);
    if (status)
        return status;
    compare_floats(slot, PS_BUFFER_MEAN, windows_of(slot), true, TWIN_MEAN);
    compare_floats(slot, PS_BUFFER_DEVIATION, windows_of(slot), false, TWIN_DEVIATION);
    return 0;
}

static int references_choose(struct ps_slot *base, int container, struct ps_error *error)
{
    SLOT;
    int status = BOTH(references_choose, container, error);
    size_t pixels = (size_t)base->references * (size_t)base->query * (size_t)base->query;
    if (status == 0)
        compare_floats(slot, PS_BUFFER_REFERENCES, pixels, true, TWIN_REFERENCES);
    return status;
}

static int score(struct ps_slot *base, struct ps_error *error)
{
    SLOT;
    int status = BOTH(score, error);
    size_t queries = (size_t)(base->side / (base->query / 2) - 1);
    if (status == 0)
        compare_bytes(slot, PS_BUFFER_SCORE, queries * queries, sizeof(int32_t), TWIN_SCORE);
    return status;
}

static int features(struct ps_slot *base, const int (*windows)[2], size_t count,
                    struct ps_feature *ret_features, struct ps_error *error)
{
    SLOT;
    struct ps_feature *gpu = room(count * sizeof *gpu);
    int status =
        both(slot, CPU_OPS(slot)->features(slot->cpu[0], windows, count, ret_features, error),
             GPU_OPS(slot)->features(slot->gpu, windows, count, gpu, error), error);
    double largest[2] = {1e-30, 1e-30};
    double difference[2] = {0, 0};
    for (size_t i = 0; i < count && status == 0; i++) {
        largest[0] = fmax(largest[0], fabs(ret_features[i].mean));
        largest[1] = fmax(largest[1], ret_features[i].deviation);
        difference[0] = fmax(difference[0], fabs(ret_features[i].mean - gpu[i].mean));
        difference[1] = fmax(difference[1], fabs(ret_features[i].deviation - gpu[i].deviation));
    }
    note(slot, TWIN_FEATURES, fmax(difference[0] / largest[0], difference[1] / largest[1]));
    free(gpu);
    return status;
}

static int classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                    struct ps_error *error)
{
    SLOT;
    size_t gpu = 0;
    int status = both(slot, CPU_OPS(slot)->classify(slot->cpu[0], model, ret_particle, error),
                      GPU_OPS(slot)->classify(slot->gpu, model, &gpu, error), error);
    if (status)
        return status;
    compare_bytes(slot, PS_BUFFER_MASK, windows_of(slot), 1, TWIN_CLASSIFIED);
    note(slot, TWIN_CLASSIFIED,
         fabs((double)*ret_particle - (double)gpu) / (double)windows_of(slot));
    return 0;
}

static int clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error)
{
    SLOT;
    int status = BOTH(clean, smallest, largest, error);
    if (status == 0)
        compare_bytes(slot, PS_BUFFER_MASK, windows_of(slot), 1, TWIN_CLEANED);
    return status;
}

static int regions(struct ps_slot *base, int before, int after, struct ps_region **ret_regions,
                   size_t *ret_count, struct ps_error *error)
{
    SLOT;
    struct ps_region *gpu = NULL;
    size_t count = 0;
    int status = both(
        slot, CPU_OPS(slot)->regions(slot->cpu[0], before, after, ret_regions, ret_count, error),
        GPU_OPS(slot)->regions(slot->gpu, before, after, &gpu, &count, error), error);
    if (status == 0 && slot->masks_equal) {
        assert_int_equal(*ret_count, count);
        if (count)
            note(slot, TWIN_REGIONS,
                 share((unsigned char *)*ret_regions, (unsigned char *)gpu, count, sizeof *gpu));
    }
    free(gpu);
    return status;
}

static int fetch_buffer(struct ps_slot *base, enum ps_buffer buffer, void *ret_data, size_t bytes,
                        struct ps_error *error)
{
    SLOT;
    return CPU_OPS(slot)->fetch(slot->cpu[0], buffer, ret_data, bytes, error);
}

/* ---- stages of adaptive ----------------------------------------------------------------------
 */

#define CPU_STAGES(s) (CPU_OPS(s)->adaptive)
#define GPU_STAGES(s) (GPU_OPS(s)->adaptive)

/* Maps can be had of the first lane only. */
static void compare_map(struct twin_slot *slot, enum ps_map map, enum twin_check check)
{
    struct ps_error error;
    float *cpu = room(slot->field_pixels * sizeof *cpu);
    float *gpu = room(slot->field_pixels * sizeof *gpu);
    if (CPU_STAGES(slot)->fetch(slot->cpu[0], map, cpu, &error) ||
        GPU_STAGES(slot)->fetch(slot->gpu, map, gpu, &error))
        fail_msg("%s", error.message);
    note(slot, check, distance(cpu, 0, gpu, 0, slot->field_pixels));
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
    status = both(slot, status, GPU_STAGES(slot)->reduce(slot->gpu, reduction, &gpu, error), error);
    if (status)
        return status;
    assert_int_equal(ret_field->width, gpu.width);
    assert_int_equal(ret_field->height, gpu.height);
    assert_int_equal(ret_field->frame, gpu.frame);
    slot->field_pixels = (size_t)gpu.width * (size_t)gpu.height;
    unsigned char *masks = room(2 * slot->field_pixels);
    if (CPU_STAGES(slot)->fetch_mask(slot->cpu[0], masks, error) ||
        GPU_STAGES(slot)->fetch_mask(slot->gpu, masks + slot->field_pixels, error))
        fail_msg("%s", error->message);
    double different = share(masks, masks + slot->field_pixels, slot->field_pixels, 1);
    note(slot, TWIN_MASKED, different);
    if (different == 0)
        assert_int_equal(ret_field->unmasked, gpu.unmasked);
    free(masks);
    compare_map(slot, PS_MAP_INTENSITY, TWIN_INTENSITY);
    return 0;
}

static int scale(struct ps_slot *base, const double *diameters, int lanes, struct ps_error *error)
{
    SLOT;
    int status = 0;
    for (int i = 0; i < lanes && status == 0; i++)
        status = CPU_STAGES(slot)->scale(slot->cpu[i], diameters + i, 1, error);
    status = both(slot, status, GPU_STAGES(slot)->scale(slot->gpu, diameters, lanes, error), error);
    if (status)
        return status;
    compare_map(slot, PS_MAP_ENERGY, TWIN_ENERGY);
    compare_map(slot, PS_MAP_MEAN, TWIN_LOCAL_MEAN);
    compare_map(slot, PS_MAP_DEVIATION, TWIN_LOCAL_DEVIATION);
    return 0;
}

typedef int lane_stage(struct ps_slot *slot, struct ps_lane *lanes, int count,
                       struct ps_error *error);

/* Runs a stage for all lanes: on the CPU in a slot each, with `lanes`; on the GPU with `gpu`. */
static int run_lanes(struct twin_slot *slot, lane_stage *cpu_stage, lane_stage *gpu_stage,
                     struct ps_lane *lanes, struct ps_lane *gpu, int count, struct ps_error *error)
{
    int status = 0;
    for (int i = 0; i < count && status == 0; i++)
        status = cpu_stage(slot->cpu[i], lanes + i, 1, error);
    status = both(slot, status, gpu_stage(slot->gpu, gpu, count, error), error);
    for (int i = 0; i < count && status == 0; i++)
        assert_int_equal(lanes[i].idle, gpu[i].idle);
    return status;
}

/* The GPU may learn of a flat template only when it looks for peaks. */
static void check_flat(struct ps_lane *lanes, struct ps_lane *gpu, int count, bool is_known)
{
    for (int i = 0; i < count; i++)
        if (!lanes[i].idle && (is_known || gpu[i].flat))
            assert_int_equal(lanes[i].flat, gpu[i].flat);
}

static int respond(struct ps_slot *base, struct ps_lane *lanes, int count, struct ps_error *error)
{
    SLOT;
    struct ps_lane gpu[PS_LANES];
    memcpy(gpu, lanes, (size_t)count * sizeof *gpu);
    int status = run_lanes(slot, CPU_STAGES(slot)->respond, GPU_STAGES(slot)->respond, lanes, gpu,
                           count, error);
    check_flat(lanes, gpu, count, false);
    if (status || lanes[0].flat)
        return status;
    if (lanes[0].templates[PS_CHANNEL_INTENSITY].count)
        compare_map(slot, PS_MAP_INTENSITY_MATCH, TWIN_INTENSITY_MATCH);
    if (lanes[0].templates[PS_CHANNEL_ENERGY].count)
        compare_map(slot, PS_MAP_ENERGY_MATCH, TWIN_ENERGY_MATCH);
    return 0;
}

static void compare_learned(struct twin_slot *slot, const struct ps_lane *cpu,
                            const struct ps_lane *gpu)
{
    double largest = 1e-30;
    double difference = 0;
    for (int c = 0; c < PS_CHANNELS; c++) {
        note(slot, TWIN_RESPONSES,
             distance(cpu->responses[c], 0, gpu->responses[c], 0, cpu->example_count));
        difference = fmax(difference, fabs(cpu->moments.mean[c] - gpu->moments.mean[c]));
        largest = fmax(largest, fabs(cpu->moments.mean[c]));
        for (int d = 0; d < PS_CHANNELS; d++) {
            double expected = cpu->moments.covariance[c][d];
            difference = fmax(difference, fabs(expected - gpu->moments.covariance[c][d]));
            largest = fmax(largest, fabs(expected));
        }
    }
    note(slot, TWIN_MOMENTS, difference / largest);
}

static int learn(struct ps_slot *base, struct ps_lane *lanes, int count, struct ps_error *error)
{
    SLOT;
    struct ps_lane gpu[PS_LANES];
    memcpy(gpu, lanes, (size_t)count * sizeof *gpu);
    for (int i = 0; i < count; i++)
        for (int c = 0; c < PS_CHANNELS; c++)
            gpu[i].responses[c] = room(lanes[i].example_count * sizeof(float));
    int status =
        run_lanes(slot, CPU_STAGES(slot)->learn, GPU_STAGES(slot)->learn, lanes, gpu, count, error);
    check_flat(lanes, gpu, count, false);
    for (int i = 0; i < count; i++) {
        if (status == 0 && !lanes[i].idle && !lanes[i].flat)
            compare_learned(slot, lanes + i, gpu + i);
        for (int c = 0; c < PS_CHANNELS; c++)
            free(gpu[i].responses[c]);
    }
    if (status == 0 && !lanes[0].flat && !lanes[0].idle) {
        compare_map(slot, PS_MAP_INTENSITY_MATCH, TWIN_INTENSITY_MATCH);
        compare_map(slot, PS_MAP_ENERGY_MATCH, TWIN_ENERGY_MATCH);
    }
    return status;
}

static double peaks_missing(const struct ps_lane *of, const struct ps_lane *in)
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

static int peaks(struct ps_slot *base, struct ps_lane *lanes, int count, struct ps_error *error)
{
    SLOT;
    struct ps_lane gpu[PS_LANES];
    memcpy(gpu, lanes, (size_t)count * sizeof *gpu);
    int status =
        run_lanes(slot, CPU_STAGES(slot)->peaks, GPU_STAGES(slot)->peaks, lanes, gpu, count, error);
    check_flat(lanes, gpu, count, true);
    for (int i = 0; i < count && status == 0; i++) {
        if (lanes[i].idle || lanes[i].flat)
            continue;
        note(slot, TWIN_PEAKS,
             fmax(peaks_missing(lanes + i, gpu + i), peaks_missing(gpu + i, lanes + i)));
        free(gpu[i].peaks);
    }
    if (status == 0 && !lanes[0].flat && !lanes[0].idle)
        compare_map(slot, PS_MAP_SCORE, TWIN_ADAPTIVE_SCORE);
    return status;
}

static int sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *at, size_t count,
                  float *ret_values, struct ps_error *error)
{
    SLOT;
    float *gpu = room(count * sizeof *gpu);
    int status =
        both(slot, CPU_STAGES(slot)->sample(slot->cpu[0], map, at, count, ret_values, error),
             GPU_STAGES(slot)->sample(slot->gpu, map, at, count, gpu, error), error);
    if (status == 0)
        note(slot, TWIN_SAMPLES, distance(ret_values, 0, gpu, 0, count));
    free(gpu);
    return status;
}

static int locate(struct ps_slot *base, const struct ps_peak *at, size_t count,
                  double (*ret_centres)[2], struct ps_error *error)
{
    SLOT;
    double(*gpu)[2] = room(count * sizeof *gpu);
    int status = both(slot, CPU_STAGES(slot)->locate(slot->cpu[0], at, count, ret_centres, error),
                      GPU_STAGES(slot)->locate(slot->gpu, at, count, gpu, error), error);
    for (size_t i = 0; i < count && status == 0; i++)
        note(slot, TWIN_LOCATED,
             hypot(ret_centres[i][0] - gpu[i][0], ret_centres[i][1] - gpu[i][1]));
    free(gpu);
    return status;
}

/* ---- both ------------------------------------------------------------------------------------
 */

static struct ps_slot *new_slot(struct ps_backend *backend)
{
    struct ps_error error;
    struct ps_slot *slot = NULL;
    if (backend->ops->slot_new(backend, &slot, &error))
        fail_msg("%s", error.message);
    return slot;
}

struct ps_picker *twin_picker(const struct ps_config *config, int most_lanes)
{
    struct ps_error error;
    struct twin *twin = room(sizeof *twin);
    *twin = (struct twin){
        .ops = {.name = "twin",
                .upload = upload,
                .preprocess = preprocess,
                .moments = moments,
                .references_choose = references_choose,
                .score = score,
                .features = features,
                .classify = classify,
                .clean = clean,
                .regions = regions,
                .fetch = fetch_buffer},
        .adaptive = {.reduce = reduce,
                     .scale = scale,
                     .respond = respond,
                     .learn = learn,
                     .peaks = peaks,
                     .sample = sample,
                     .locate = locate},
    };
    twin->base.ops = &twin->ops;
    twin->ops.adaptive = &twin->adaptive;
    if (ps_backend_open("cpu", 0, 0, false, &twin->cpu, &error) ||
        ps_backend_open("cuda", 0, 0, true, &twin->gpu, &error))
        fail_msg("%s", error.message);
    int lanes = twin->gpu->ops->adaptive->lanes;
    twin->adaptive.lanes = lanes < most_lanes ? lanes : most_lanes;

    struct twin_slot *slot = room(sizeof *slot);
    *slot = (struct twin_slot){.base.backend = &twin->base, .gpu = new_slot(twin->gpu)};
    slot->cpu_slots = config->picker.profile == PS_PROFILE_ASPIRE ? 1 : twin->adaptive.lanes;
    for (int i = 0; i < slot->cpu_slots; i++)
        slot->cpu[i] = new_slot(twin->cpu);

    struct ps_picker *picker = room(sizeof *picker);
    *picker = (struct ps_picker){
        .config = ps_config_copy(config),
        .backend = &twin->base,
        .slot = &slot->base,
        .rules = &ps_adaptive_rules,
    };
    return picker;
}

void twin_done(struct ps_picker *picker)
{
    struct twin *twin = (struct twin *)picker->backend;
    struct twin_slot *slot = (struct twin_slot *)picker->slot;
    for (int i = 0; i < TWIN_CHECKS; i++)
        if (slot->seen[i])
            print_message("  %-22s %.3g of %.3g\n", checks[i].name, slot->worst[i],
                          checks[i].limit);
    for (int i = 0; i < slot->cpu_slots; i++)
        twin->cpu->ops->slot_free(slot->cpu[i]);
    twin->gpu->ops->slot_free(slot->gpu);
    twin->cpu->ops->close(twin->cpu);
    twin->gpu->ops->close(twin->gpu);
    ps_config_free(picker->config);
    free(slot);
    free(twin);
    free(picker);
}
