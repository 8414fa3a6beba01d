/* The adaptive profile on the CPU, one batch item at a time: table of the stages. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"

#include <string.h>

/* ---- stages of a batch ------------------------------------------------------------------------
 */

static bool runs(const struct ps_batch_item *item, int count)
{
    return count > 0 && !item->idle && !item->flat;
}

static int batch_respond(struct ps_slot *base, struct ps_batch_item *item, int count,
                         struct ps_error *error)
{
    if (!runs(item, count))
        return 0;
    return cpu_adaptive_respond((struct cpu_slot *)base, item->templates, &item->flat, error);
}

static int batch_learn(struct ps_slot *base, struct ps_batch_item *item, int count,
                       struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    if (!runs(item, count))
        return 0;
    int status =
        cpu_adaptive_average(slot, item->examples, item->example_count, item->templates, error);
    if (status == 0)
        status = cpu_adaptive_respond(slot, item->templates, &item->flat, error);
    if (status || item->flat)
        return status;
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    for (int c = 0; c < PS_CHANNELS && status == 0; c++)
        status = cpu_adaptive_sample(base, maps[c], item->examples, item->example_count,
                                     item->responses[c], error);
    if (status == 0)
        status = cpu_adaptive_moments(slot, &item->moments, error);
    return status;
}

static int batch_peaks(struct ps_slot *base, struct ps_batch_item *item, int count,
                       struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    if (!runs(item, count))
        return 0;
    PS_TRY(cpu_adaptive_combine(slot, item->weights, error));
    return cpu_adaptive_peaks(slot, item->distance_field_px, &item->peaks, &item->peak_count,
                              error);
}

/* ---- the table --------------------------------------------------------------------------------
 */

static int adaptive_fetch(struct ps_slot *base, enum ps_map map, float *ret_values,
                          struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
    memcpy(ret_values, cpu_adaptive_map(a, map), cpu_field_pixels(a) * sizeof *ret_values);
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
    .reduce = cpu_adaptive_reduce,
    .randomise = cpu_adaptive_randomise,
    .scale = cpu_adaptive_scale,
    .respond = batch_respond,
    .learn = batch_learn,
    .peaks = batch_peaks,
    .sample = cpu_adaptive_sample,
    .locate = cpu_adaptive_locate,
    .fetch = adaptive_fetch,
    .fetch_mask = adaptive_fetch_mask,
};
