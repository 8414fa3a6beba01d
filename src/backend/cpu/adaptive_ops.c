/* The adaptive profile on the CPU, one batch item at a time: table of the stages. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"

#include <string.h>

/* ---- maps -------------------------------------------------------------------------------------
 */

static const float *map_of(const struct cpu_adaptive *a, enum ps_map map)
{
    const struct cpu_buffer *const maps[] = {
        [PS_MAP_INTENSITY] = &a->channel[PS_CHANNEL_INTENSITY],
        [PS_MAP_ENERGY] = &a->channel[PS_CHANNEL_ENERGY],
        [PS_MAP_INTENSITY_MATCH] = &a->response[PS_CHANNEL_INTENSITY],
        [PS_MAP_ENERGY_MATCH] = &a->response[PS_CHANNEL_ENERGY],
        [PS_MAP_SCORE] = &a->score,
        [PS_MAP_MEAN] = &a->mean,
        [PS_MAP_DEVIATION] = &a->deviation,
    };
    return maps[map]->data;
}

static int adaptive_sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *peaks,
                           size_t count, float *ret_values, struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
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
    const float *score = a->score.data;
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

/* ---- stages of a batch ------------------------------------------------------------------------
 */

static const struct cpu_adaptive_functions *functions_of(const struct ps_slot *base)
{
    return ((const struct cpu_slot *)base)->simd->adaptive;
}

static bool runs(const struct ps_batch_item *item, int count)
{
    return count > 0 && !item->idle && !item->flat;
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

static int batch_respond(struct ps_slot *base, struct ps_batch_item *item, int count,
                         struct ps_error *error)
{
    if (!runs(item, count))
        return 0;
    return functions_of(base)->respond((struct cpu_slot *)base, item->templates, &item->flat,
                                       error);
}

static int batch_learn(struct ps_slot *base, struct ps_batch_item *item, int count,
                       struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    const struct cpu_adaptive_functions *functions = functions_of(base);
    if (!runs(item, count))
        return 0;
    int status =
        functions->average(slot, item->examples, item->example_count, item->templates, error);
    if (status == 0)
        status = functions->respond(slot, item->templates, &item->flat, error);
    if (status || item->flat)
        return status;
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    for (int c = 0; c < PS_CHANNELS && status == 0; c++)
        status = adaptive_sample(base, maps[c], item->examples, item->example_count,
                                 item->responses[c], error);
    if (status == 0)
        status = functions->moments(slot, &item->moments, error);
    return status;
}

static int batch_peaks(struct ps_slot *base, struct ps_batch_item *item, int count,
                       struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    if (!runs(item, count))
        return 0;
    const struct cpu_adaptive_functions *functions = functions_of(base);
    PS_TRY(functions->combine(slot, item->weights, error));
    return functions->peaks(slot, item->distance_field_px, &item->peaks, &item->peak_count, error);
}

/* ---- the table --------------------------------------------------------------------------------
 */

static int adaptive_fetch(struct ps_slot *base, enum ps_map map, float *ret_values,
                          struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
    memcpy(ret_values, map_of(a, map), cpu_field_pixels(a) * sizeof *ret_values);
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
    .max_items = 1,
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
