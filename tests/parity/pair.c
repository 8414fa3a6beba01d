/* Limits (pair.h has the numbers) and their reasons:
 *   upload           counts equal; sums of float64 in another order
 *   preprocessed, means, deviations, references, features
 *                    largest difference relative to the largest value; float32 transforms and sums
 *                    in another order, and differences of sums for deviations
 *   score            share of windows with another number: correlations near a threshold
 *   classified       share of windows classified differently: decision values near 0
 *   cleaned          share of windows: effect of those
 *   regions          equal if the masks are
 *   mask             share of pixels: values near a threshold
 *   maps, responses  largest difference relative to the largest value, as above; correlation
 *                    coefficients are quotients of such sums
 *   local deviation  the same, of its square: the root's argument can be all rounding
 *   null             the same; the phases of the noise's smallest coefficients are rounding errors
 *   templates        the same
 *                    In a null, maps, responses and templates may differ NULL_LOOSENESS times as
 *                    much: unlike the micrograph's, its field differs between the backends, and the
 *                    logarithm of the energy amplifies that at low energy
 *   peaks            share of peaks that the other lacks: adjacent pixels of equal height
 *   located          largest distance, px */
#include "pair_internal.h"

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
    PAIR_MAP(X)
#undef X
};

void pair_note(struct pair_slot *slot, enum pair_check check, double difference)
{
    slot->seen[check] = true;
    slot->worst[check] = fmax(slot->worst[check], difference);
    if (!(difference <= checks[check].limit))
        fail_msg("%s: %g, at most %g expected", checks[check].name, difference,
                 checks[check].limit);
}

int pair_both(struct pair_slot *slot, int cpu, int gpu, const struct ps_error *error)
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

/* ---- comparing -------------------------------------------------------------------------------
 */

void *pair_alloc(size_t bytes)
{
    void *memory = malloc(bytes + 1);
    assert_non_null(memory);
    return memory;
}

double pair_distance(const float *a, double a_offset, const float *b, double b_offset, size_t count)
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

double pair_share(const void *a, const void *b, size_t count, size_t size)
{
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        different += memcmp((const char *)a + i * size, (const char *)b + i * size, size) != 0;
    return (double)different / (double)count;
}

/* Fetches a buffer from both backends: the CPU's, then the GPU's. */
static void *fetch(struct pair_slot *slot, enum ps_buffer buffer, size_t bytes)
{
    struct ps_error error;
    char *data = pair_alloc(2 * bytes);
    if (CPU_OPS(slot)->fetch(slot->cpu[0], buffer, data, bytes, &error) ||
        GPU_OPS(slot)->fetch(slot->gpu, buffer, data + bytes, bytes, &error))
        fail_msg("%s", error.message);
    return data;
}

static void compare_floats(struct pair_slot *slot, enum ps_buffer buffer, size_t count,
                           bool has_offset, enum pair_check check)
{
    float *values = fetch(slot, buffer, count * sizeof *values);
    pair_note(slot, check,
              pair_distance(values, has_offset ? slot->cpu[0]->grey_offset : 0, values + count,
                            has_offset ? slot->gpu->grey_offset : 0, count));
    free(values);
}

static void compare_bytes(struct pair_slot *slot, enum ps_buffer buffer, size_t count, size_t size,
                          enum pair_check check)
{
    unsigned char *values = fetch(slot, buffer, count * size);
    double different = pair_share(values, values + count * size, count, size);
    slot->masks_equal = different == 0;
    pair_note(slot, check, different);
    free(values);
}

static size_t windows_of(const struct pair_slot *slot)
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
    status = pair_both(slot, status, GPU_OPS(slot)->upload(slot->gpu, image, &gpu, error), error);
    const struct ps_pixel_report *cpu = ret_report;
    assert_int_equal(cpu->non_finite, gpu.non_finite);
    assert_int_equal(cpu->dead_columns, gpu.dead_columns);
    assert_int_equal(cpu->dead_rows, gpu.dead_rows);
    assert_int_equal(cpu->first_dead_column, gpu.first_dead_column);
    assert_int_equal(cpu->first_dead_row, gpu.first_dead_row);
    if (cpu->non_finite < (uint64_t)image->width * (uint64_t)image->height) {
        assert_true(cpu->minimum == gpu.minimum && cpu->maximum == gpu.maximum);
        pair_note(slot, PAIR_UPLOAD,
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
                       PAIR_PREPROCESSED);
    return status;
}

static int moments(struct ps_slot *base, int query, struct ps_error *error)
{
    SLOT;
    int status = BOTH(moments, query, error);
    if (status)
        return status;
    compare_floats(slot, PS_BUFFER_MEAN, windows_of(slot), true, PAIR_MEAN);
    compare_floats(slot, PS_BUFFER_DEVIATION, windows_of(slot), false, PAIR_DEVIATION);
    return 0;
}

static int references_choose(struct ps_slot *base, int container, struct ps_error *error)
{
    SLOT;
    int status = BOTH(references_choose, container, error);
    size_t pixels = (size_t)base->references * (size_t)base->query * (size_t)base->query;
    if (status == 0)
        compare_floats(slot, PS_BUFFER_REFERENCES, pixels, true, PAIR_REFERENCES);
    return status;
}

static int score(struct ps_slot *base, struct ps_error *error)
{
    SLOT;
    int status = BOTH(score, error);
    size_t queries = (size_t)(base->side / (base->query / 2) - 1);
    if (status == 0)
        compare_bytes(slot, PS_BUFFER_SCORE, queries * queries, sizeof(int32_t), PAIR_SCORE);
    return status;
}

static int features(struct ps_slot *base, const int (*windows)[2], size_t count,
                    struct ps_feature *ret_features, struct ps_error *error)
{
    SLOT;
    struct ps_feature *gpu = pair_alloc(count * sizeof *gpu);
    int status =
        pair_both(slot, CPU_OPS(slot)->features(slot->cpu[0], windows, count, ret_features, error),
                  GPU_OPS(slot)->features(slot->gpu, windows, count, gpu, error), error);
    double largest[2] = {1e-30, 1e-30};
    double difference[2] = {0, 0};
    for (size_t i = 0; i < count && status == 0; i++) {
        largest[0] = fmax(largest[0], fabs(ret_features[i].mean));
        largest[1] = fmax(largest[1], ret_features[i].deviation);
        difference[0] = fmax(difference[0], fabs(ret_features[i].mean - gpu[i].mean));
        difference[1] = fmax(difference[1], fabs(ret_features[i].deviation - gpu[i].deviation));
    }
    pair_note(slot, PAIR_FEATURES, fmax(difference[0] / largest[0], difference[1] / largest[1]));
    free(gpu);
    return status;
}

static int classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                    struct ps_error *error)
{
    SLOT;
    size_t gpu = 0;
    int status = pair_both(slot, CPU_OPS(slot)->classify(slot->cpu[0], model, ret_particle, error),
                           GPU_OPS(slot)->classify(slot->gpu, model, &gpu, error), error);
    if (status)
        return status;
    compare_bytes(slot, PS_BUFFER_MASK, windows_of(slot), 1, PAIR_CLASSIFIED);
    pair_note(slot, PAIR_CLASSIFIED,
              fabs((double)*ret_particle - (double)gpu) / (double)windows_of(slot));
    return 0;
}

static int clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error)
{
    SLOT;
    int status = BOTH(clean, smallest, largest, error);
    if (status == 0)
        compare_bytes(slot, PS_BUFFER_MASK, windows_of(slot), 1, PAIR_CLEANED);
    return status;
}

static int regions(struct ps_slot *base, int before, int after, struct ps_region **ret_regions,
                   size_t *ret_count, struct ps_error *error)
{
    SLOT;
    struct ps_region *gpu = NULL;
    size_t count = 0;
    int status = pair_both(
        slot, CPU_OPS(slot)->regions(slot->cpu[0], before, after, ret_regions, ret_count, error),
        GPU_OPS(slot)->regions(slot->gpu, before, after, &gpu, &count, error), error);
    if (status == 0 && slot->masks_equal) {
        assert_int_equal(*ret_count, count);
        if (count)
            pair_note(slot, PAIR_REGIONS, pair_share(*ret_regions, gpu, count, sizeof *gpu));
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

/* ---- the pair --------------------------------------------------------------------------------
 */

static struct ps_slot *new_slot(struct ps_backend *backend)
{
    struct ps_error error;
    struct ps_slot *slot = NULL;
    if (backend->ops->slot_new(backend, &slot, &error))
        fail_msg("%s", error.message);
    return slot;
}

struct ps_picker *pair_picker(const struct ps_config *config, int most_lanes)
{
    struct ps_error error;
    struct pair *pair = pair_alloc(sizeof *pair);
    *pair = (struct pair){
        .ops = {.name = "pair",
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
    };
    pair->base.ops = &pair->ops;
    pair->ops.adaptive = &pair->adaptive;
    if (ps_backend_open("cpu", 0, 0, false, &pair->cpu, &error) ||
        ps_backend_open("cuda", 0, 0, true, &pair->gpu, &error))
        fail_msg("%s", error.message);
    int items = pair->gpu->ops->adaptive->max_items;
    pair->adaptive = pair_adaptive(items < most_lanes ? items : most_lanes);

    struct pair_slot *slot = pair_alloc(sizeof *slot);
    *slot = (struct pair_slot){.base.backend = &pair->base, .gpu = new_slot(pair->gpu)};
    slot->cpu_slots = config->picker.profile == PS_PROFILE_ASPIRE ? 1 : pair->adaptive.max_items;
    for (int i = 0; i < slot->cpu_slots; i++)
        slot->cpu[i] = new_slot(pair->cpu);

    struct ps_picker *picker = pair_alloc(sizeof *picker);
    *picker = (struct ps_picker){
        .config = ps_config_copy(config),
        .backend = &pair->base,
        .slot = &slot->base,
        .rules = &ps_adaptive_rules,
    };
    return picker;
}

void pair_done(struct ps_picker *picker)
{
    struct pair *pair = (struct pair *)picker->backend;
    struct pair_slot *slot = (struct pair_slot *)picker->slot;
    for (int i = 0; i < PAIR_CHECKS; i++)
        if (slot->seen[i])
            print_message("  %-22s %.3g of %.3g\n", checks[i].name, slot->worst[i],
                          checks[i].limit);
    for (int i = 0; i < slot->cpu_slots; i++)
        pair->cpu->ops->slot_free(slot->cpu[i]);
    pair->gpu->ops->slot_free(slot->gpu);
    pair->cpu->ops->close(pair->cpu);
    pair->gpu->ops->close(pair->gpu);
    ps_config_free(picker->config);
    free(slot);
    free(pair);
    free(picker);
}
