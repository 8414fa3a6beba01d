/* Steps 1 to 3 of the adaptive profile: from the micrograph to the intensity channel. */
#include "backend/cpu/adaptive_pass.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum { ROWS_PER_PIECE = 16 };

void cpu_pass_normalise(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    {
        float value = ps_clipped((p->in[i] - p->offset) * p->scale, p->clip);
        p->out[i] = p->weight ? value * p->weight[i] : value;
    }
}

/* out = (out - in / share(other)) * weight */
static void subtract_background_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    {
        p->out[i] = (p->out[i] - p->in[i] / ps_share(p->other[i])) * p->weight[i];
    }
}

/* ---- step 1: binning --------------------------------------------------------------------------
 */

/* Largest bin: that of the widest particle that a micrograph can hold twice. */
enum { MAX_BIN = 8192 };

/* Means over squares of bin x bin pixels: sums down the columns first, some squares at a time. */
static void bin_row(const float *micrograph, size_t stride, size_t bin, size_t count,
                    float *ret_row)
{
    float sums[MAX_BIN];
    float scale = 1.0F / ((float)bin * (float)bin);
    size_t squares = MAX_BIN / 4 > bin ? MAX_BIN / 4 / bin : 1;
    for (size_t first = 0; first < count; first += squares) {
        size_t now = count - first < squares ? count - first : squares;
        const float *in = micrograph + first * bin;
        memcpy(sums, in, now * bin * sizeof *sums);
        for (size_t y = 1; y < bin; y++) {
            in += stride;
            for (size_t x = 0; x < now * bin; x++)
                sums[x] += in[x];
        }
        for (size_t i = 0; i < now; i++) {
            float sum = 0;
            for (size_t x = i * bin; x < (i + 1) * bin; x++)
                sum += sums[x];
            ret_row[first + i] = sum * scale;
        }
    }
}

/* Fills the frame with the mirror image, which the search for contaminants needs; apply_mask()
 * clears it. */
static void bin_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    size_t bin = (size_t)p->bin;
    int width = p->field_width;
    int height = (int)(p->count / (size_t)width);
    int inner_width = width - 2 * p->frame;
    int inner_height = height - 2 * p->frame;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < height; y++) {
        float *row = p->out + (size_t)y * (size_t)width;
        float *out = row + p->frame;
        memset(row, 0, (size_t)width * sizeof *row);
        size_t top = (size_t)ps_mirror(y - p->frame, inner_height) * bin;
        bin_row(p->micrograph + top * (size_t)p->width, (size_t)p->width, bin, (size_t)inner_width,
                out);
        for (int i = 1; i <= p->frame; i++) {
            out[-i] = out[ps_mirror(-i, inner_width)];
            out[inner_width - 1 + i] = out[ps_mirror(inner_width - 1 + i, inner_width)];
        }
    }
}

/* `live`: pixels that hold image data; NULL: all. Dead ones become 0, the median. */
static int bin_micrograph(struct cpu_slot *slot, const struct ps_reduction *reduction,
                          const uint8_t *live, float *ret_out, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    struct ps_rectangle part = ps_reduction_part(reduction, slot->width, slot->height);
    struct cpu_pass p = {
        .count = cpu_field_pixels(a),
        .micrograph = slot->pixels + (size_t)part.top * (size_t)slot->width + (size_t)part.left,
        .width = slot->width,
        .field_width = a->field.width,
        .frame = a->field.frame_field_px,
        .bin = reduction->bin,
        .out = ret_out,
        .in = ret_out,
        .weight = live ? a->weight.data : NULL,
        .clip = PS_FIRST_CLIP,
    };
    size_t rows = (size_t)a->field.height;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, bin_rows, &p);
    double median = 0;
    double deviation = 0;
    PS_TRY(cpu_spread(slot, ret_out, live, &median, &deviation, error));
    p.offset = (float)median;
    p.scale = (float)(1 / deviation);
    cpu_pass_run(slot, cpu_pass_normalise, &p);
    return 0;
}

/* ---- step 2: contaminants ---------------------------------------------------------------------
 */

static void extreme_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    p->mask[i] = p->sign * (p->in[i] - p->offset) > p->scale;
}

/* Sets `found` in regions whose mean over half a diameter is extreme and that hold a square wider
 * than a particle. */
static int find_contaminants(struct cpu_slot *slot, const float *image, double diameter,
                             const uint8_t *live, uint8_t *found, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t count = cpu_field_pixels(a);
    float *mean = a->spare[0].data;
    uint8_t *extreme = a->spare[1].data;
    double median = 0;
    double deviation = 0;
    PS_TRY(cpu_box(slot, image, ps_box_side(PS_CONTAMINANT_MEAN * diameter), mean, error));
    PS_TRY(cpu_spread(slot, mean, live, &median, &deviation, error));
    int side = ps_box_side(PS_CONTAMINANT_SIDE * diameter);
    for (int sign = -1; sign <= 1; sign += 2) {
        struct cpu_pass p = {
            .count = count,
            .in = mean,
            .mask = extreme,
            .sign = (float)sign,
            .offset = (float)median,
            .scale = (float)(PS_CONTAMINANT_FAR * deviation),
        };
        cpu_pass_run(slot, extreme_piece, &p);
        if (!memchr(extreme, 1, count))
            continue;
        PS_TRY(cpu_square(slot, extreme, side, true, extreme, error));
        PS_TRY(cpu_square(slot, extreme, side, false, extreme, error));
        PS_TRY(cpu_square(slot, extreme, ps_box_side(PS_CONTAMINANT_MARGIN * diameter), false,
                          extreme, error));
        for (size_t i = 0; i < count; i++)
            found[i] |= extreme[i];
    }
    return 0;
}

/* ---- step 3: background -----------------------------------------------------------------------
 */

int cpu_subtract_background(struct cpu_slot *slot, float *image, int side, int passes,
                            struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    struct cpu_pass p = {
        .count = cpu_field_pixels(a),
        .in = a->spare[0].data,
        .other = a->spare[1].data,
        .weight = a->weight.data,
        .out = image,
    };
    const float *in = image;
    for (int pass = 0; pass < passes; pass++, in = a->spare[0].data)
        PS_TRY(cpu_box(slot, in, side, a->spare[0].data, error));
    PS_TRY(cpu_share_box(slot, side, passes, a->spare[1].data, error));
    cpu_pass_run(slot, subtract_background_piece, &p);
    return 0;
}

int cpu_normalise(struct cpu_slot *slot, float *image, float clip, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    double median = 0;
    double deviation = 0;
    PS_TRY(cpu_spread(slot, image, a->unmasked.data, &median, &deviation, error));
    struct cpu_pass p = {
        .count = cpu_field_pixels(a),
        .in = image,
        .out = image,
        .weight = a->weight.data,
        .scale = (float)(1 / deviation),
        .clip = clip,
    };
    cpu_pass_run(slot, cpu_pass_normalise, &p);
    return 0;
}

/* ---- the stages -------------------------------------------------------------------------------
 */

static int reduce_reserve(struct cpu_adaptive *a, struct ps_error *error)
{
    size_t bytes = cpu_field_pixels(a) * sizeof(float);
    struct cpu_buffer *buffers[] = {
        &a->local[0],   &a->local[1],   &a->weight,   &a->channel[0], &a->channel[1],
        &a->inverse[0], &a->inverse[1], &a->spare[0], &a->spare[1],
    };
    PS_TRY(cpu_buffer_reserve(&a->unmasked, cpu_field_pixels(a), "the mask", error));
    PS_TRY(cpu_buffer_reserve(&a->allowed, cpu_field_pixels(a), "the mask", error));
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        PS_TRY(cpu_buffer_reserve(buffers[i], bytes, "the field", error));
    return 0;
}

/* Marks pixels that hold image data in a->allowed, and in a->weight. A pixel of the frame is as the
 * nearest one of the image. */
static void mark_live(struct cpu_adaptive *a, const unsigned char *dead)
{
    uint8_t *live = a->allowed.data;
    float *weight = a->weight.data;
    int frame = a->field.frame_field_px;
    int inner_width = a->field.width - 2 * frame;
    int inner_height = a->field.height - 2 * frame;
    memset(live, 1, cpu_field_pixels(a));
    for (int y = 0; y < a->field.height && dead; y++) {
        size_t row = (size_t)ps_nearest(y - frame, inner_height) * (size_t)inner_width;
        for (int x = 0; x < a->field.width; x++) {
            size_t i = (size_t)y * (size_t)a->field.width + (size_t)x;
            live[i] = !dead[row + (size_t)ps_nearest(x - frame, inner_width)];
            weight[i] = live[i];
        }
    }
}

/* From the live pixels in a->allowed and the contaminants in a->unmasked to what counts; the rest
 * of the image becomes 0. */
static void apply_mask(struct cpu_adaptive *a, float *image)
{
    uint8_t *unmasked = a->unmasked.data;
    uint8_t *allowed = a->allowed.data;
    float *weight = a->weight.data;
    int frame = a->field.frame_field_px;
    a->field.unmasked = 0;
    for (int y = 0; y < a->field.height; y++) {
        bool row_inside = y >= frame && y < a->field.height - frame;
        for (int x = 0; x < a->field.width; x++) {
            size_t i = (size_t)y * (size_t)a->field.width + (size_t)x;
            bool inside = row_inside && x >= frame && x < a->field.width - frame;
            allowed[i] = allowed[i] && !unmasked[i];
            unmasked[i] = inside && allowed[i];
            weight[i] = unmasked[i];
            image[i] *= weight[i];
            a->field.unmasked += unmasked[i];
        }
    }
}

int cpu_adaptive_reduce(struct ps_slot *base, const struct ps_reduction *reduction,
                        struct ps_field *ret_field, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    struct cpu_adaptive *a = cpu_adaptive_of(slot, error);
    if (!a)
        return PS_E_NOMEM;
    a->diameter_field_px = 0;
    a->max_reach = ps_template_reach(reduction->max_diameter_field_px);
    a->has_spectrum = false;
    a->field.frame_field_px = reduction->frame_field_px;
    struct ps_rectangle part = ps_reduction_part(reduction, slot->width, slot->height);
    a->field.width = part.width / reduction->bin + 2 * reduction->frame_field_px;
    a->field.height = part.height / reduction->bin + 2 * reduction->frame_field_px;
    if (reduction->bin > MAX_BIN)
        return ps_fail(error, PS_E_BUG, "bins of %d px", reduction->bin);
    PS_TRY(reduce_reserve(a, error));
    float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    uint8_t *mask = a->unmasked.data;
    memset(mask, 0, cpu_field_pixels(a));
    mark_live(a, reduction->dead);
    const uint8_t *live = reduction->dead ? a->allowed.data : NULL;
    PS_TRY(bin_micrograph(slot, reduction, live, image, error));
    if (reduction->mask)
        PS_TRY(find_contaminants(slot, image, reduction->diameter_field_px, live, mask, error));
    apply_mask(a, image);
    if (a->field.unmasked == 0)
        return ps_fail(error, PS_E_INPUT,
                       "contaminants and areas without image data cover the whole micrograph");
    PS_TRY(cpu_subtract_background(
        slot, image, ps_box_side(PS_INTENSITY_SURROUND * reduction->diameter_field_px), 2, error));
    PS_TRY(cpu_normalise(slot, image, PS_INTENSITY_CLIP, error));
    *ret_field = a->field;
    return 0;
}

/* ---- a null -----------------------------------------------------------------------------------
 */

static void noise_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    p->out[i] = ps_noise((uint32_t)i, p->seed);
}

int cpu_adaptive_randomise(struct ps_slot *base, unsigned seed, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    struct cpu_adaptive *a = slot->adaptive;
    float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    struct cpu_pass p = {
        .count = cpu_field_pixels(a),
        .out = a->spare[0].data,
        .seed = seed,
    };
    cpu_pass_run(slot, noise_piece, &p);
    a->diameter_field_px = 0;
    a->reach = 0;
    a->has_spectrum = false;
    PS_TRY(cpu_fft_prepare(slot, 0, error));
    PS_TRY(cpu_fft_randomise(slot, a->spare[0].data, image, error));
    return cpu_normalise(slot, image, PS_INTENSITY_CLIP, error);
}
