/* Steps 1 to 3 of the adaptive profile on the GPU: from the micrograph to the first channel. */
#include "backend/cuda/adaptive.h"

#include <string.h>

/* Robust statistics of the first `count` maps, stored as the spreads from 0 on. */
static int reduce_spread(struct cuda_slot *slot, enum adaptive_buffer maps, int count,
                         bool unmasked, struct ps_error *error)
{
    struct ps_order_jobs jobs = adaptive_order_jobs(slot, maps, count, unmasked);
    return CU(ps_launch_adaptive_spread(&jobs, slot->adaptive->buffers[ORDER].data, slot->stream));
}

static int reduce_normalise(struct cuda_slot *slot, enum adaptive_buffer images, int count,
                            bool centre, bool weighted, float clip, struct ps_error *error)
{
    struct ps_pixel_jobs jobs = adaptive_spread_jobs(slot->adaptive, images, count, weighted);
    return CU(ps_launch_adaptive_normalise(&jobs, centre, clip, slot->stream));
}

int adaptive_normalise(struct cuda_slot *slot, enum adaptive_buffer images, int count, float clip,
                       struct ps_error *error)
{
    PS_TRY(reduce_spread(slot, images, count, true, error));
    return reduce_normalise(slot, images, count, false, true, clip, error);
}

int adaptive_background(struct cuda_slot *slot, enum adaptive_buffer images, int count,
                        const int *sides, int passes, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_filter_jobs boxes = adaptive_filter_jobs(a);
    struct ps_pixel_jobs pixels = adaptive_pixel_jobs(a);
    boxes.count = 2 * count;
    pixels.count = count;
    for (int i = 0; i < count; i++) {
        float *mean = adaptive_map(a, SPARE, 2 * i);
        float *share = adaptive_map(a, SPARE, 2 * i + 1);
        for (int k = 0; k < 2; k++)
            boxes.job[2 * i + k] = (struct ps_filter_job){
                .in = k ? a->buffers[WEIGHT].data : adaptive_map(a, images, i),
                .passing = adaptive_map(a, SPARE, 2 * (count + i) + k),
                .out = k ? share : mean,
                .radius = sides[i] / 2,
            };
        pixels.job[i] = (struct ps_pixel_job){
            .in = mean,
            .other = share,
            .weight = a->buffers[WEIGHT].data,
            .out = adaptive_map(a, images, i),
        };
    }
    for (int pass = 0; pass < passes; pass++) {
        PS_TRY(CU(ps_launch_adaptive_box(&boxes, slot->stream)));
        for (int i = 0; i < boxes.count; i++)
            boxes.job[i].in = boxes.job[i].out;
    }
    return CU(ps_launch_adaptive_background(&pixels, slot->stream));
}

/* Marks pixels that hold image data in the maps of the unmasked and of weights. */
static int mark_live(struct cuda_slot *slot, const unsigned char *dead, struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    int frame = a->field.frame_field_px;
    size_t bytes = (size_t)(a->field.width - 2 * frame) * (size_t)(a->field.height - 2 * frame);
    PS_TRY(adaptive_reserve(slot, DEAD, bytes, error));
    PS_TRY(cuda_send(slot, a->buffers[DEAD].data, dead, bytes, error));
    return CU(ps_launch_adaptive_live(a->buffers[DEAD].data, a->field.width, a->field.height, frame,
                                      a->buffers[UNMASKED].data, a->buffers[WEIGHT].data,
                                      slot->stream));
}

/* Step 1. With `masked`, dead pixels do not count and become 0, the median. */
static int bin_micrograph(struct cuda_slot *slot, const struct ps_reduction *reduction, bool masked,
                          struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_rectangle part = ps_reduction_part(reduction, slot->width, slot->height);
    const float *first = (const float *)slot->micrograph.data +
                         (size_t)part.top * (size_t)slot->width + (size_t)part.left;
    PS_TRY(CU(ps_launch_adaptive_bin(first, slot->width, reduction->bin, a->field.width,
                                     a->field.height, a->field.frame_field_px,
                                     a->buffers[INTENSITY].data, slot->stream)));
    PS_TRY(reduce_spread(slot, INTENSITY, 1, masked, error));
    return reduce_normalise(slot, INTENSITY, 1, true, masked, PS_FIRST_CLIP, error);
}

/* Step 2: regions whose mean over half a diameter is extreme and that hold a square wider than a
 * particle, in two byte maps: darker and brighter ones. */
static int find_contaminants(struct cuda_slot *slot, double diameter, bool masked,
                             uint8_t *found[2], struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_filter_jobs box = adaptive_filter_jobs(a);
    box.count = 1;
    box.job[0] = (struct ps_filter_job){
        .in = a->buffers[INTENSITY].data,
        .passing = adaptive_map(a, SPARE, 1),
        .out = adaptive_map(a, SPARE, 0),
        .radius = ps_box_side(PS_CONTAMINANT_MEAN * diameter) / 2,
    };
    PS_TRY(CU(ps_launch_adaptive_box(&box, slot->stream)));
    PS_TRY(reduce_spread(slot, SPARE, 1, masked, error));
    PS_TRY(
        CU(ps_launch_adaptive_extremes(box.job[0].out, a->buffers[SPREADS].data, PS_CONTAMINANT_FAR,
                                       adaptive_pixels(a), found[0], found[1], slot->stream)));
    struct ps_filter_jobs squares = adaptive_filter_jobs(a);
    int opening = ps_box_side(PS_CONTAMINANT_SIDE * diameter) / 2;
    int margin = ps_box_side(PS_CONTAMINANT_MARGIN * diameter) / 2;
    squares.count = 2;
    for (int i = 0; i < 2; i++)
        squares.job[i] = (struct ps_filter_job){
            .in = found[i],
            .passing = (uint8_t *)adaptive_map(a, SPARE, 1) + (size_t)i * a->stride,
            .out = found[i],
            .radius = opening,
        };
    PS_TRY(CU(ps_launch_adaptive_square(&squares, true, slot->stream)));
    /* Two successive dilations by squares equal one by a square of the summed radius. */
    for (int i = 0; i < 2; i++)
        squares.job[i].radius = opening + margin;
    return CU(ps_launch_adaptive_square(&squares, false, slot->stream));
}

/* Applies the contaminant maps (or none) and counts the unmasked pixels. With `masked`, the map of
 * the unmasked holds the live pixels before. */
static int apply_mask(struct cuda_slot *slot, uint8_t *const found[2], bool masked,
                      struct ps_error *error)
{
    const struct cuda_adaptive *a = slot->adaptive;
    struct ps_mask_inputs inputs = {
        .below = found[0],
        .above = found[1],
        .live = masked ? a->buffers[UNMASKED].data : NULL,
    };
    return CU(ps_launch_adaptive_mask(
        &inputs, a->field.width, a->field.height, a->field.frame_field_px,
        a->buffers[INTENSITY].data, a->buffers[ALLOWED].data, a->buffers[UNMASKED].data,
        a->buffers[WEIGHT].data, a->buffers[UNMASKED_COUNT].data, slot->stream));
}

/* Sizes of transforms: the field, followed by zeros as far as the largest template reaches. */
static void begin_field(struct cuda_slot *slot, const struct ps_reduction *reduction)
{
    enum { ALIGNMENT = 64 };
    struct cuda_adaptive *a = slot->adaptive;
    int reach = ps_template_reach(reduction->max_diameter_field_px);
    struct ps_rectangle part = ps_reduction_part(reduction, slot->width, slot->height);
    a->field = (struct ps_field){
        .width = part.width / reduction->bin + 2 * reduction->frame_field_px,
        .height = part.height / reduction->bin + 2 * reduction->frame_field_px,
        .frame_field_px = reduction->frame_field_px,
    };
    a->stride = (adaptive_pixels(a) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    a->fft_width = ps_good_length(a->field.width + reach);
    a->fft_height = ps_good_length(a->field.height + reach);
    a->max_diameter_field_px = reduction->max_diameter_field_px;
    a->levels = 0;
    a->items = 0;
}

static int reduce_reserve(struct cuda_slot *slot, struct ps_error *error)
{
    enum { SPARE_MAPS = 4 };
    size_t pixels = slot->adaptive->stride;
    PS_TRY(adaptive_reserve(slot, UNMASKED, pixels, error));
    PS_TRY(adaptive_reserve(slot, ALLOWED, pixels, error));
    PS_TRY(adaptive_reserve(slot, WEIGHT, pixels * sizeof(float), error));
    PS_TRY(adaptive_reserve(slot, INTENSITY, pixels * sizeof(float), error));
    return adaptive_reserve(slot, SPARE, SPARE_MAPS * pixels * sizeof(float), error);
}

int cuda_adaptive_reduce(struct ps_slot *base, const struct ps_reduction *reduction,
                         struct ps_field *ret_field, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = NULL;
    PS_TRY(cuda_adaptive_of(slot, &a, error));
    int side = ps_box_side(PS_INTENSITY_SURROUND * reduction->diameter_field_px);
    if (side / 2 > PS_MAX_BOX_RADIUS)
        return ps_fail(error, PS_E_BUG, "a diameter of %g px", reduction->diameter_field_px);
    begin_field(slot, reduction);
    PS_TRY(reduce_reserve(slot, error));
    uint8_t *found[2] = {NULL, NULL};
    bool masked = reduction->dead != NULL;
    if (masked)
        PS_TRY(mark_live(slot, reduction->dead, error));
    PS_TRY(bin_micrograph(slot, reduction, masked, error));
    if (reduction->mask) {
        found[0] = (uint8_t *)adaptive_map(a, SPARE, 2);
        found[1] = (uint8_t *)adaptive_map(a, SPARE, 3);
        PS_TRY(find_contaminants(slot, reduction->diameter_field_px, masked, found, error));
    }
    PS_TRY(apply_mask(slot, found, masked, error));
    PS_TRY(adaptive_background(slot, INTENSITY, 1, &side, 2, error));
    PS_TRY(adaptive_normalise(slot, INTENSITY, 1, PS_INTENSITY_CLIP, error));
    unsigned long long unmasked = 0;
    PS_TRY(cuda_receive(slot, &unmasked, a->buffers[UNMASKED_COUNT].data, sizeof unmasked, error));
    if (unmasked == 0)
        return ps_fail(error, PS_E_INPUT,
                       "contaminants and areas without image data cover the whole micrograph");
    a->field.unmasked = (size_t)unmasked;
    *ret_field = a->field;
    return 0;
}

/* ---- null field -------------------------------------------------------------------------------
 */

/* Transforms have the field's size, as on the CPU, so that both get the same noise. */
int cuda_adaptive_randomise(struct ps_slot *base, unsigned seed, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_adaptive *a = slot->adaptive;
    int width = ps_good_length(a->field.width);
    int height = ps_good_length(a->field.height);
    size_t floats = ps_image_floats(width, height);
    a->levels = 0;
    a->items = 0;
    PS_TRY(adaptive_reserve(slot, STACK, 2 * floats * sizeof(float), error));
    struct ps_adaptive_maps maps = adaptive_maps(a);
    maps.fft_width = width;
    maps.fft_height = height;
    maps.fft_scale = (float)(1 / ((double)width * (double)height));
    float *images = a->buffers[STACK].data;
    PS_TRY(CU(ps_launch_adaptive_noise(&maps, seed, images, slot->stream)));
    for (int i = 0; i < 2; i++)
        PS_TRY(adaptive_transform_image(slot, images + (size_t)i * floats, width, height, true,
                                        error));
    PS_TRY(CU(ps_launch_adaptive_turn(&maps, images, slot->stream)));
    PS_TRY(adaptive_transform_image(slot, images, width, height, false, error));
    PS_TRY(CU(ps_launch_adaptive_null(&maps, images, slot->stream)));
    return adaptive_normalise(slot, INTENSITY, 1, PS_INTENSITY_CLIP, error);
}
