/* The adaptive profile on the CPU: table of the stages, and the items of a batch side by side. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <string.h>

/* ---- maps -------------------------------------------------------------------------------------
 */

/* Mean and deviation are computed where they are wanted; the others are maps. */
static bool is_of_window(enum ps_map map)
{
    return map == PS_MAP_MEAN || map == PS_MAP_DEVIATION;
}

static float window_of(const struct cpu_slot *slot, enum ps_map map, int x, int y)
{
    struct ps_peak peak = {.x = x, .y = y};
    slot->simd->adaptive->describe(slot, &peak, 1);
    return map == PS_MAP_MEAN ? peak.mean : peak.deviation;
}

static const float *map_of(const struct cpu_adaptive *a, enum ps_map map)
{
    const struct cpu_buffer *const maps[] = {
        [PS_MAP_INTENSITY] = &a->channel[PS_CHANNEL_INTENSITY],
        [PS_MAP_ENERGY] = &a->channel[PS_CHANNEL_ENERGY],
        [PS_MAP_INTENSITY_MATCH] = &a->work.response[PS_CHANNEL_INTENSITY],
        [PS_MAP_ENERGY_MATCH] = &a->work.response[PS_CHANNEL_ENERGY],
        [PS_MAP_SCORE] = &a->work.score,
    };
    return maps[map]->data;
}

static int adaptive_sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *peaks,
                           size_t count, float *ret_values, struct ps_error *error)
{
    (void)error;
    const struct cpu_slot *slot = (const struct cpu_slot *)base;
    const struct cpu_adaptive *a = slot->adaptive;
    for (size_t i = 0; i < count && is_of_window(map); i++)
        ret_values[i] = window_of(slot, map, peaks[i].x, peaks[i].y);
    if (is_of_window(map))
        return 0;
    const float *values = map_of(a, map);
    for (size_t i = 0; i < count; i++)
        ret_values[i] = values[(size_t)peaks[i].y * (size_t)a->field.width + (size_t)peaks[i].x];
    return 0;
}

static int adaptive_locate(struct ps_slot *base, const struct ps_peak *peaks, size_t count,
                           double (*ret_centres)[2], struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
    const float *score = a->work.score.data;
    size_t width = (size_t)a->field.width;
    for (size_t i = 0; i < count; i++) {
        int x = peaks[i].x;
        int y = peaks[i].y;
        const float *at = score + (size_t)y * width + (size_t)x;
        bool inside_x = x > 0 && x < a->field.width - 1;
        bool inside_y = y > 0 && y < a->field.height - 1;
        ret_centres[i][0] =
            x + (inside_x ? ps_parabola_top((double)at[-1], (double)at[0], (double)at[1]) : 0);
        ret_centres[i][1] =
            y + (inside_y ? ps_parabola_top((double)*(at - width), (double)at[0], (double)at[width])
                          : 0);
    }
    return 0;
}

/* ---- stages of the whole field ----------------------------------------------------------------
 */

static const struct cpu_adaptive_functions *functions_of(const struct ps_slot *base)
{
    return ((const struct cpu_slot *)base)->simd->adaptive;
}

static int choose_reduce(struct ps_slot *base, const struct ps_reduction *reduction,
                         struct ps_field *ret_field, struct ps_error *error)
{
    return functions_of(base)->reduce(base, reduction, ret_field, error);
}

static int choose_randomise(struct ps_slot *base, unsigned seed, struct ps_error *error)
{
    return functions_of(base)->randomise(base, seed, error);
}

static int choose_scale(struct ps_slot *base, const double *diameters_field_px, int count,
                        struct ps_error *error)
{
    return functions_of(base)->scale(base, diameters_field_px, count, error);
}

/* ---- stages of a batch ------------------------------------------------------------------------
 */

typedef int item_stage(struct cpu_slot *slot, struct ps_batch_item *item, struct ps_error *error);

/* Each item has a copy of the slot, with work of its own and its share of the threads. */
struct batch {
    item_stage *stage;
    struct ps_batch_item *items;
    struct cpu_slot slots[CPU_ITEMS];
    struct cpu_adaptive states[CPU_ITEMS];
    struct ps_error errors[CPU_ITEMS];
    int status[CPU_ITEMS];
};

static void run_item(void *context, int thread, size_t i)
{
    (void)thread;
    struct batch *batch = context;
    struct ps_batch_item *item = &batch->items[i];
    if (!item->idle && !item->flat)
        batch->status[i] = batch->stage(&batch->slots[i], item, &batch->errors[i]);
}

static struct cpu_work *work_of(struct cpu_adaptive *a, int item)
{
    return item ? &a->others[item - 1] : &a->work;
}

static int run_batch(struct ps_slot *base, struct ps_batch_item *items, int count,
                     item_stage *stage, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    struct cpu_adaptive *a = slot->adaptive;
    struct batch batch = {.stage = stage, .items = items};
    if (count > CPU_ITEMS)
        return ps_fail(error, PS_E_BUG, "%d batch items: the CPU takes %d", count, CPU_ITEMS);
    for (int i = 0; i < count; i++) {
        batch.states[i] = *a;
        batch.states[i].work = *work_of(a, i);
        batch.slots[i] = *slot;
        batch.slots[i].adaptive = &batch.states[i];
        batch.slots[i].threads = (slot->threads + count - 1) / count;
    }
    ps_parallel(slot->threads, (size_t)count, run_item, &batch);
    for (int i = 0; i < count; i++)
        *work_of(a, i) = batch.states[i].work;
    for (int i = 0; i < count; i++)
        if (batch.status[i])
            return ps_fail(error, batch.status[i], "%s", batch.errors[i].message);
    return 0;
}

static int respond_item(struct cpu_slot *slot, struct ps_batch_item *item, struct ps_error *error)
{
    return slot->simd->adaptive->respond(slot, item->templates, &item->flat, error);
}

static int learn_item(struct cpu_slot *slot, struct ps_batch_item *item, struct ps_error *error)
{
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    const struct cpu_adaptive_functions *functions = slot->simd->adaptive;
    PS_TRY(functions->average(slot, item->examples, item->example_count, item->templates, error));
    PS_TRY(functions->respond(slot, item->templates, &item->flat, error));
    if (item->flat)
        return 0;
    for (int c = 0; c < PS_CHANNELS; c++)
        PS_TRY(adaptive_sample(&slot->base, maps[c], item->examples, item->example_count,
                               item->responses[c], error));
    return functions->moments(slot, &item->moments, error);
}

static int peaks_of_item(struct cpu_slot *slot, struct ps_batch_item *item, struct ps_error *error)
{
    const struct cpu_adaptive_functions *functions = slot->simd->adaptive;
    PS_TRY(functions->combine(slot, item->weights, error));
    return functions->peaks(slot, item->distance_field_px, item->windows, &item->peaks,
                            &item->peak_count, error);
}

static int batch_respond(struct ps_slot *base, struct ps_batch_item *items, int count,
                         struct ps_error *error)
{
    return run_batch(base, items, count, respond_item, error);
}

static int batch_learn(struct ps_slot *base, struct ps_batch_item *items, int count,
                       struct ps_error *error)
{
    return run_batch(base, items, count, learn_item, error);
}

static int batch_peaks(struct ps_slot *base, struct ps_batch_item *items, int count,
                       struct ps_error *error)
{
    return run_batch(base, items, count, peaks_of_item, error);
}

/* ---- the table --------------------------------------------------------------------------------
 */

static int adaptive_fetch(struct ps_slot *base, enum ps_map map, float *ret_values,
                          struct ps_error *error)
{
    (void)error;
    const struct cpu_slot *slot = (const struct cpu_slot *)base;
    const struct cpu_adaptive *a = slot->adaptive;
    if (!is_of_window(map)) {
        memcpy(ret_values, map_of(a, map), cpu_field_pixels(a) * sizeof *ret_values);
        return 0;
    }
    for (int y = 0; y < a->field.height; y++)
        for (int x = 0; x < a->field.width; x++)
            *ret_values++ = window_of(slot, map, x, y);
    return 0;
}

static int adaptive_fetch_mask(struct ps_slot *base, unsigned char *ret_mask,
                               struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
    memcpy(ret_mask, a->unmasked.data, cpu_field_pixels(a));
    return 0;
}

const struct ps_adaptive_ops ps_adaptive_cpu = {
    .max_items = CPU_ITEMS,
    .max_scales = 1,
    .reduce = choose_reduce,
    .randomise = choose_randomise,
    .scale = choose_scale,
    .respond = batch_respond,
    .learn = batch_learn,
    .peaks = batch_peaks,
    .sample = adaptive_sample,
    .locate = adaptive_locate,
    .fetch = adaptive_fetch,
    .fetch_mask = adaptive_fetch_mask,
};
