#include "picker/adaptive_search.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

/* Tiles of the halves of a field, in diameters. */
static const double HALF_TILE = 3;

/* ---- one hypothesis ---------------------------------------------------------------------------
 */

static double scale_diameter(const struct ps_adaptive_run *run)
{
    return run->now.scale * run->diameter;
}

static int find_peaks(struct ps_adaptive_run *run)
{
    free(run->now.peaks);
    run->now.peaks = NULL;
    run->now.count = 0;
    return run->ops->peaks(run->base->slot, run->rules->distance * scale_diameter(run),
                           &run->now.peaks, &run->now.count, run->base->error);
}

static int start(struct ps_adaptive_run *run)
{
    enum ps_channel channel =
        run->now.begin == BEGIN_DETAIL ? PS_CHANNEL_ENERGY : PS_CHANNEL_INTENSITY;
    int sign = run->now.begin == BEGIN_DARK ? -1 : 1;
    struct ps_radial templates[PS_CHANNELS] = {{0}, {0}};
    double weights[PS_CHANNELS] = {0};
    templates[channel] = ps_adaptive_start(scale_diameter(run), sign);
    weights[channel] = 1;
    int status = run->ops->respond(run->base->slot, templates, run->base->error);
    if (status == 0)
        status = run->ops->combine(run->base->slot, weights, run->base->error);
    if (status == 0)
        status = find_peaks(run);
    return status;
}

/* Steps 8 to 10; `peaks` are those that may be examples, and `share` is the share of the field that
 * they come from. */
static int improve(struct ps_adaptive_run *run, const struct ps_peak *peaks, size_t peak_count,
                   double share)
{
    struct ps_slot *slot = run->base->slot;
    struct ps_error *error = run->base->error;
    double ds = scale_diameter(run);
    size_t count =
        ps_adaptive_examples(peaks, peak_count, share * (double)run->field.unmasked / ds / ds);
    float *responses = malloc(2 * count * sizeof *responses);
    if (!responses)
        return ps_fail_memory(error, 2 * count * sizeof *responses, "examples");
    const float *const both[PS_CHANNELS] = {responses, responses + count};
    struct ps_radial templates[PS_CHANNELS];
    struct ps_response_moments moments;
    double weights[PS_CHANNELS];
    int status = run->ops->average(slot, peaks, count, templates, error);
    if (status == 0)
        status = run->ops->respond(slot, templates, error);
    if (status == 0)
        status = run->ops->sample(slot, PS_MAP_INTENSITY_MATCH, peaks, count, responses, error);
    if (status == 0)
        status =
            run->ops->sample(slot, PS_MAP_ENERGY_MATCH, peaks, count, responses + count, error);
    if (status == 0)
        status = run->ops->moments(slot, &moments, error);
    if (status == 0) {
        ps_adaptive_weights(both, count, &moments, weights);
        if (!run->rules->energy) {
            weights[PS_CHANNEL_INTENSITY] = 1;
            weights[PS_CHANNEL_ENERGY] = 0;
        }
        status = run->ops->combine(slot, weights, error);
    }
    free(responses);
    if (status == 0)
        status = find_peaks(run);
    return status;
}

static int improve_times(struct ps_adaptive_run *run, int rounds)
{
    int status = 0;
    for (int round = 0; round < rounds && run->now.count > 0 && status == 0; round++)
        status = improve(run, run->now.peaks, run->now.count, 1);
    if (status == 0)
        run->now.verdict = ps_adaptive_judge(run->rules, run->now.peaks, run->now.count);
    return status;
}

/* ---- the search -------------------------------------------------------------------------------
 */

int ps_adaptive_reduce(struct ps_adaptive_run *run, double target)
{
    double diameter = run->base->result->diameter;
    run->bin = ps_adaptive_bin(diameter, target);
    run->diameter = diameter / run->bin;
    struct ps_reduction reduction = {
        .bin = run->bin,
        .frame = (int)rint(run->rules->frame * run->diameter),
        .diameter = run->diameter,
        .mask = run->base->config->picker.mask_contaminants,
    };
    return run->ops->reduce(run->base->slot, &reduction, &run->field, run->base->error);
}

static void take_if_better(struct ps_adaptive_run *run)
{
    if (run->best.peaks && run->now.verdict.objective <= run->best.verdict.objective)
        return;
    free(run->best.peaks);
    run->best = run->now;
    run->now.peaks = NULL;
    run->now.count = 0;
}

/* Step 12: scale by scale, the starts that the contrast allows. */
int ps_adaptive_search(struct ps_adaptive_run *run)
{
    enum ps_contrast contrast = run->base->config->picker.contrast;
    int status = 0;
    for (int s = 0; s < PS_ADAPTIVE_SCALES && status == 0; s++) {
        run->now.scale = ps_adaptive_scales[s];
        status = run->ops->scale(run->base->slot, scale_diameter(run), run->base->error);
        for (int begin = 0; begin < BEGINS && status == 0; begin++) {
            if ((begin == BEGIN_DARK && contrast == PS_CONTRAST_BRIGHT) ||
                (begin == BEGIN_BRIGHT && contrast == PS_CONTRAST_DARK) ||
                (begin == BEGIN_DETAIL && !run->rules->energy))
                continue;
            run->now.begin = (enum ps_adaptive_begin)begin;
            status = start(run);
            if (status == 0)
                status = improve_times(run, run->rules->coarse_rounds);
            if (status == 0)
                take_if_better(run);
            else if (status == PS_E_INPUT) /* no template: no hypothesis */
                status = 0;
        }
    }
    return status;
}

/* Whether a place belongs to the one half of a chequered field or to the other. */
static bool in_half(const struct ps_adaptive_run *run, const struct ps_peak *peak, int half)
{
    int tile = (int)(HALF_TILE * scale_diameter(run)) + 1;
    return (peak->x / tile + peak->y / tile) % 2 == half;
}

/* Appends the peaks of one half to `list`, which has room; returns how many it then holds. */
static size_t append_half(const struct ps_adaptive_run *run, int half, struct ps_peak *list,
                          size_t count)
{
    for (size_t i = 0; i < run->now.count; i++)
        if (in_half(run, &run->now.peaks[i], half))
            list[count++] = run->now.peaks[i];
    return count;
}

static int learn_from_half(struct ps_adaptive_run *run, int half, struct ps_peak **list,
                           size_t *count)
{
    int status = start(run);
    for (int round = 0; round <= run->rules->coarse_rounds && status == 0; round++) {
        bool last = round == run->rules->coarse_rounds;
        size_t room = (last ? *count : 0) + run->now.count + 1;
        struct ps_peak *grown = realloc(last ? *list : NULL, room * sizeof *grown);
        if (!grown)
            return ps_fail_memory(run->base->error, room * sizeof *grown, "peaks");
        if (last) {
            *list = grown;
            *count = append_half(run, !half, grown, *count);
        } else {
            size_t own = append_half(run, half, grown, 0);
            if (own > 0)
                status = improve(run, grown, own, 0.5);
            free(grown);
        }
    }
    return status;
}

int ps_adaptive_probe(struct ps_adaptive_run *run)
{
    if (!run->rules->probation) {
        run->probation.reliable = true;
        return 0;
    }
    free(run->now.peaks);
    run->now = (struct ps_hypothesis){.scale = run->best.scale, .begin = run->best.begin};
    struct ps_peak *held_out = NULL;
    size_t count = 0;
    int status = run->ops->scale(run->base->slot, scale_diameter(run), run->base->error);
    for (int half = 0; half < 2 && status == 0; half++)
        status = learn_from_half(run, half, &held_out, &count);
    if (status == 0)
        run->probation = ps_adaptive_judge(run->rules, held_out, count);
    free(held_out);
    return status == PS_E_INPUT ? 0 : status;
}

int ps_adaptive_refine(struct ps_adaptive_run *run)
{
    int bin = run->bin;
    int frame = run->field.frame;
    free(run->now.peaks);
    run->now = run->best;
    run->best.peaks = NULL;
    int status = ps_adaptive_reduce(run, run->rules->fine);
    if (status)
        return status;
    for (size_t i = 0; i < run->now.count && run->bin != bin; i++) {
        struct ps_peak *peak = &run->now.peaks[i];
        double ratio = (double)bin / run->bin;
        int x = (int)floor((peak->x - frame + 0.5) * ratio) + run->field.frame;
        int y = (int)floor((peak->y - frame + 0.5) * ratio) + run->field.frame;
        peak->x = x < 0 ? 0 : x < run->field.width ? x : run->field.width - 1;
        peak->y = y < 0 ? 0 : y < run->field.height ? y : run->field.height - 1;
    }
    status = run->ops->scale(run->base->slot, scale_diameter(run), run->base->error);
    if (status == 0)
        status = improve_times(run, run->rules->fine_rounds);
    return status;
}
