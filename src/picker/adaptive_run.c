#include "picker/adaptive_run.h"

#include "base/error.h"
#include "formulas/adaptive_formulas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void ps_hypothesis_done(struct ps_hypothesis *hypothesis)
{
    free(hypothesis->peaks);
    ps_null_done(&hypothesis->null);
    *hypothesis = (struct ps_hypothesis){0};
}

void ps_adaptive_forget_candidates(struct ps_adaptive_run *run)
{
    free(run->now.peaks);
    run->now.peaks = NULL;
    run->now.count = 0;
    free(run->centres);
    run->centres = NULL;
    for (int c = 0; c < PS_CHANNELS; c++) {
        free(run->responses[c]);
        run->responses[c] = NULL;
    }
}

void ps_adaptive_run_done(struct ps_adaptive_run *run)
{
    ps_adaptive_forget_candidates(run);
    ps_hypothesis_done(&run->best);
    ps_hypothesis_done(&run->now);
    free(run->mask.unmasked);
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

/* The reduction of run->where at a resolution. */
static struct ps_reduction make_reduction(struct ps_adaptive_run *run, double least)
{
    double diameter = run->base->result->diameter;
    run->bin = ps_adaptive_bin(diameter, least);
    run->diameter = diameter / run->bin;
    return (struct ps_reduction){
        .part = run->where,
        .bin = run->bin,
        .frame_field_px = frame_of(run),
        .diameter_field_px = run->diameter,
        .max_diameter_field_px = ps_adaptive_scales[PS_ADAPTIVE_SCALES - 1] * run->diameter,
        .mask = run->base->config->picker.mask_contaminants && !run->mask.unmasked,
    };
}

/* The row or column of the mask that holds the middle of a pixel of the field. */
static int mask_line(const struct ps_adaptive_run *run, int first, int i, int lines)
{
    return ps_nearest((first + i * run->bin + run->bin / 2) / run->mask.bin, lines);
}

/* What the mask says of the field: 1 where it is masked. Returns how many are 1. */
static size_t take_mask(const struct ps_adaptive_run *run, int width, int height,
                        unsigned char *ret_dead)
{
    const struct ps_adaptive_mask *mask = &run->mask;
    size_t count = 0;
    for (int y = 0; y < height; y++) {
        size_t row = (size_t)mask_line(run, run->where.top, y, mask->height) * (size_t)mask->width;
        for (int x = 0; x < width; x++, ret_dead++) {
            int column = mask_line(run, run->where.left, x, mask->width);
            *ret_dead = !mask->unmasked[row + (size_t)column];
            count += *ret_dead;
        }
    }
    return count;
}

int ps_adaptive_reduce(struct ps_adaptive_run *run, double least)
{
    const struct ps_picking *base = run->base;
    struct ps_reduction reduction = make_reduction(run, least);
    int width = run->where.width / run->bin;
    int height = run->where.height / run->bin;
    size_t pixels = (size_t)width * (size_t)height;
    size_t count = 0;
    unsigned char *dead = NULL;
    if (run->mask.unmasked || base->dead.count) {
        dead = malloc(pixels);
        if (!dead)
            return ps_fail_memory(base->error, pixels, "dead areas");
        count = run->mask.unmasked ? take_mask(run, width, height, dead)
                                   : ps_dead_areas_bin(&base->dead, run->bin, width, height, dead);
    }
    reduction.dead = count ? dead : NULL;
    int status = run->ops->reduce(base->slot, &reduction, &run->field, base->error);
    free(dead);
    if (status == 0 && !run->mask.unmasked)
        run->masked = 1 - (double)run->field.unmasked / (double)(pixels - count);
    return status;
}

/* ---- the mask of all --------------------------------------------------------------------------
 */

/* Width of a particle where contaminants, which are wider, are looked for in the whole, px. */
static const double MASK_RESOLUTION = 4.75;

int ps_adaptive_make_mask(struct ps_adaptive_run *run)
{
    const struct ps_picking *base = run->base;
    if (!base->config->picker.mask_contaminants && base->dead.count == 0)
        return 0;
    PS_TRY(ps_adaptive_reduce(run, MASK_RESOLUTION));
    size_t frame = (size_t)run->field.frame_field_px;
    size_t stride = (size_t)run->field.width;
    unsigned char *mask = malloc(stride * (size_t)run->field.height);
    if (!mask)
        return ps_fail_memory(base->error, stride * (size_t)run->field.height, "the mask");
    run->mask = (struct ps_adaptive_mask){
        .bin = run->bin,
        .width = run->field.width - 2 * (int)frame,
        .height = run->field.height - 2 * (int)frame,
        .unmasked = mask,
    };
    PS_TRY(run->ops->fetch_mask(base->slot, mask, base->error));
    for (size_t y = 0; y < (size_t)run->mask.height; y++)
        memmove(mask + y * (size_t)run->mask.width, mask + (y + frame) * stride + frame,
                (size_t)run->mask.width);
    return 0;
}

void ps_adaptive_take_whole(struct ps_adaptive_run *run)
{
    free(run->mask.unmasked);
    run->mask = (struct ps_adaptive_mask){.unmasked = NULL};
    run->where = (struct ps_rectangle){0, 0, run->base->image->width, run->base->image->height};
}

size_t ps_adaptive_unmasked_in(const struct ps_adaptive_run *run, const struct ps_rectangle *part)
{
    const struct ps_adaptive_mask *mask = &run->mask;
    if (!mask->unmasked)
        return (size_t)part->width * (size_t)part->height;
    int right = ps_nearest((part->left + part->width) / mask->bin, mask->width + 1);
    int bottom = ps_nearest((part->top + part->height) / mask->bin, mask->height + 1);
    size_t count = 0;
    for (int y = part->top / mask->bin; y < bottom; y++)
        for (int x = part->left / mask->bin; x < right; x++)
            count += mask->unmasked[(size_t)y * (size_t)mask->width + (size_t)x];
    return count;
}

double ps_adaptive_fine_of(const struct ps_adaptive_run *run)
{
    const struct ps_picking *base = run->base;
    return ps_adaptive_fine(run->rules, base->result->diameter, base->image->width,
                            base->image->height);
}
