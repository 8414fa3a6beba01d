/* The adaptive profile on the CPU: the one lane that it has, and the table of the stages. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"

#include <string.h>

/* ---- the lane ---------------------------------------------------------------------------------
 */

static bool runs(const struct ps_lane *lane, int count)
{
    return count > 0 && !lane->idle && !lane->flat;
}

static int respond(struct ps_slot *base, struct ps_lane *lane, int count, struct ps_error *error)
{
    if (!runs(lane, count))
        return 0;
    return cpu_adaptive_respond((struct cpu_slot *)base, lane->templates, &lane->flat, error);
}

static int learn(struct ps_slot *base, struct ps_lane *lane, int count, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    if (!runs(lane, count))
        return 0;
    int status =
        cpu_adaptive_average(slot, lane->examples, lane->example_count, lane->templates, error);
    if (status == 0)
        status = cpu_adaptive_respond(slot, lane->templates, &lane->flat, error);
    if (status || lane->flat)
        return status;
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    for (int c = 0; c < PS_CHANNELS && status == 0; c++)
        status = cpu_adaptive_sample(base, maps[c], lane->examples, lane->example_count,
                                     lane->responses[c], error);
    if (status == 0)
        status = cpu_adaptive_moments(slot, &lane->moments, error);
    return status;
}

static int peaks(struct ps_slot *base, struct ps_lane *lane, int count, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    if (!runs(lane, count))
        return 0;
    int status = cpu_adaptive_combine(slot, lane->weights, error);
    if (status == 0)
        status = cpu_adaptive_peaks(slot, lane->distance, &lane->peaks, &lane->peak_count, error);
    return status;
}

/* ---- the table --------------------------------------------------------------------------------
 */

static int fetch(struct ps_slot *base, enum ps_map map, float *ret_values, struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
    memcpy(ret_values, cpu_adaptive_map(a, map), cpu_field_pixels(a) * sizeof *ret_values);
    return 0;
}

static int fetch_mask(struct ps_slot *base, unsigned char *ret_mask, struct ps_error *error)
{
    (void)error;
    const struct cpu_adaptive *a = ((const struct cpu_slot *)base)->adaptive;
    memcpy(ret_mask, a->unmasked.data, cpu_field_pixels(a));
    return 0;
}

const struct ps_adaptive_ops ps_adaptive_cpu = {
    .lanes = 1,
    .reduce = cpu_adaptive_reduce,
    .randomise = cpu_adaptive_randomise,
    .scale = cpu_adaptive_scale,
    .respond = respond,
    .learn = learn,
    .peaks = peaks,
    .sample = cpu_adaptive_sample,
    .locate = cpu_adaptive_locate,
    .fetch = fetch,
    .fetch_mask = fetch_mask,
};
