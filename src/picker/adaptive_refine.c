#include "picker/adaptive_refine.h"

#include "base/error.h"
#include "picker/adaptive_group.h"

#include <math.h>
#include <stdlib.h>

/* Seed of the first field of noise, not one of the search's. */
enum { FINE_SEED = 101 };

/* A hypothesis' candidates from the field of another bin and frame to this one, as found. */
static int move_peaks(struct ps_group *group, const struct ps_hypothesis *from, int bin, int frame)
{
    const struct ps_adaptive_run *run = group->run;
    struct ps_peak *peaks = malloc((from->count + 1) * sizeof *peaks);
    if (!peaks)
        return ps_fail_memory(run->base->error, from->count * sizeof *peaks, "peaks");
    double ratio = (double)bin / run->bin;
    for (size_t i = 0; i < from->count; i++) {
        int x = (int)floor((from->peaks[i].x - frame + 0.5) * ratio) + run->field.frame_field_px;
        int y = (int)floor((from->peaks[i].y - frame + 0.5) * ratio) + run->field.frame_field_px;
        peaks[i] = from->peaks[i];
        peaks[i].x = x < 0 ? 0 : x < run->field.width ? x : run->field.width - 1;
        peaks[i].y = y < 0 ? 0 : y < run->field.height ? y : run->field.height - 1;
    }
    group->found[0].peaks = peaks;
    group->found[0].count = from->count;
    return 0;
}

int ps_adaptive_describe_candidates(struct ps_adaptive_run *run)
{
    static const enum ps_map maps[PS_CHANNELS] = {PS_MAP_INTENSITY_MATCH, PS_MAP_ENERGY_MATCH};
    const struct ps_hypothesis *h = &run->now;
    struct ps_picking *base = run->base;
    run->centres = malloc((h->count + 1) * sizeof *run->centres);
    if (!run->centres)
        return ps_fail_memory(base->error, h->count * sizeof *run->centres, "centres");
    int status = run->ops->locate(base->slot, h->peaks, h->count, run->centres, base->error);
    for (int c = 0; c < PS_CHANNELS && status == 0; c++) {
        run->responses[c] = malloc((h->count + 1) * sizeof *run->responses[c]);
        if (!run->responses[c])
            return ps_fail_memory(base->error, h->count * sizeof *run->responses[c], "responses");
        status = run->ops->sample(base->slot, maps[c], h->peaks, h->count, run->responses[c],
                                  base->error);
    }
    return status;
}

static int refine(struct ps_group *group)
{
    struct ps_adaptive_run *run = group->run;
    int status = ps_group_scale(group);
    if (status == 0)
        status = ps_group_improve(group, run->rules->fine_rounds, true);
    if (status == 0 && run->now.clean && !run->now.flat)
        status = ps_group_find_all(group);
    if (status == 0)
        ps_group_keep(group);
    if (status == 0 && run->now.flat)
        status =
            ps_fail(run->base->error, PS_E_INPUT, "no contrast: an average without any structure");
    if (status == 0)
        status = ps_adaptive_describe_candidates(run);
    int nulls =
        ps_adaptive_nulls(run->rules, ps_adaptive_area(run, ps_group_diameter(run, &run->now)));
    for (int i = 0; i < nulls && status == 0; i++) {
        status = run->ops->randomise(run->base->slot, (unsigned)(FINE_SEED + i), run->base->error);
        if (status == 0)
            status = ps_group_scale(group);
        if (status == 0)
            status = ps_group_match_noise(group);
    }
    return status;
}

int ps_adaptive_refine(struct ps_adaptive_run *run)
{
    int bin = run->bin;
    int frame = run->field.frame_field_px;
    int status = ps_adaptive_reduce(run, ps_adaptive_fine_of(run));
    if (status)
        return status;
    run->now = (struct ps_hypothesis){
        .scale = run->best.scale,
        .begin = run->best.begin,
        .clean = run->best.clean,
        .test = run->best.test,
    };
    struct ps_group group = {.run = run, .count = 1, .hypotheses = {&run->now}};
    status = move_peaks(&group, &run->best, bin, frame);
    if (status == 0)
        status = refine(&group);
    ps_group_forget(&group);
    return status;
}
