#include "picker/adaptive_run.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

void ps_hypothesis_done(struct ps_hypothesis *hypothesis)
{
    free(hypothesis->peaks);
    ps_null_done(&hypothesis->null);
    *hypothesis = (struct ps_hypothesis){0};
}

void ps_adaptive_run_done(struct ps_adaptive_run *run)
{
    ps_hypothesis_done(&run->best);
    ps_hypothesis_done(&run->now);
    free(run->centres);
    for (int c = 0; c < PS_CHANNELS; c++)
        free(run->responses[c]);
}

double ps_adaptive_area(const struct ps_adaptive_run *run, double diameter)
{
    return (double)run->field.unmasked / pow(diameter, 2);
}

/* ---- the field -------------------------------------------------------------------------------
 */

/* The corners of the frame are so near that the smallest template still holds a pixel of the
 * image there. */
static int frame_of(const struct ps_adaptive_run *run)
{
    double reach = PS_TEMPLATE_REACH * ps_adaptive_scales[0] * run->diameter;
    int frame = (int)rint(run->rules->frame * run->diameter);
    int most = (int)(reach / M_SQRT2);
    return frame < most ? frame : most;
}

/* Steps 1 to 3 at a resolution: particles become at least so many px wide. */
int ps_adaptive_reduce(struct ps_adaptive_run *run, double least)
{
    const struct ps_picking *base = run->base;
    double diameter = base->result->diameter;
    run->bin = ps_adaptive_bin(diameter, least);
    run->diameter = diameter / run->bin;
    struct ps_reduction reduction = {
        .bin = run->bin,
        .frame_field_px = frame_of(run),
        .diameter_field_px = run->diameter,
        .max_diameter_field_px = ps_adaptive_scales[PS_ADAPTIVE_SCALES - 1] * run->diameter,
        .mask = base->config->picker.mask_contaminants,
    };
    int width = base->image->width / run->bin;
    int height = base->image->height / run->bin;
    size_t pixels = (size_t)width * (size_t)height;
    unsigned char *dead = NULL;
    run->field_live = pixels;
    if (base->dead.count) {
        dead = malloc(pixels);
        if (!dead)
            return ps_fail_memory(base->error, pixels, "dead areas");
        run->field_live -= ps_dead_areas_bin(&base->dead, run->bin, width, height, dead);
    }
    reduction.dead = dead;
    int status = run->ops->reduce(base->slot, &reduction, &run->field, base->error);
    free(dead);
    return status;
}

double ps_adaptive_fine_of(const struct ps_adaptive_run *run)
{
    const struct ps_picking *base = run->base;
    return ps_adaptive_fine(run->rules, base->result->diameter, base->image->width,
                            base->image->height);
}
