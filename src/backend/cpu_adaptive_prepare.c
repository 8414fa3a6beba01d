/* Steps 1 to 4 of the adaptive profile: from the micrograph to the two channels. */
#include "backend/cpu_adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS_PER_PIECE = 65536, ROWS_PER_PIECE = 16 };

static const float FIRST_CLIP = 10;       /* robust standard deviations, before the background */
static const float INTENSITY_CLIP = 3.5F; /* after it */
static const float ENERGY_CLIP = 4;
static const double CONTAMINANT = 4;     /* robust standard deviations of a mean */
static const float LEAST_WEIGHT = 0.05F; /* of the unmasked share of a background's window */

/* ---- a pass over all pixels -------------------------------------------------------------------
 */

/* What the passes below read and write; which they do, their names say. */
struct pass {
    size_t count;
    const float *in;
    const float *other;
    const float *weight;
    float *out;
    uint8_t *mask;
    float offset;
    float scale;
    float clip;
    float sign;
    const float *micrograph;
    int width;
    int field_width;
    int frame;
    int bin;
};

static void run(struct cpu_slot *slot, void (*body)(void *, int, size_t), struct pass *pass)
{
    ps_parallel(slot->threads, (pass->count + PIXELS_PER_PIECE - 1) / PIXELS_PER_PIECE, body, pass);
}

#define FOR_PIXELS(p, i, piece)                                                                    \
    for (size_t i = (piece)*PIXELS_PER_PIECE,                                                      \
                end_ = i + PIXELS_PER_PIECE < (p)->count ? i + PIXELS_PER_PIECE : (p)->count;      \
         i < end_; i++)

static inline float clipped(float value, float limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

/* out = clip((in - offset) * scale) * weight */
static void normalise_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    {
        float value = clipped((p->in[i] - p->offset) * p->scale, p->clip);
        p->out[i] = p->weight ? value * p->weight[i] : value;
    }
}

static inline float share_of(const struct pass *p, size_t i)
{
    return p->other[i] > LEAST_WEIGHT ? p->other[i] : LEAST_WEIGHT;
}

/* out = in / max(other, least) */
static void divide_by_share_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    p->out[i] = p->in[i] / share_of(p, i);
}

/* out = (out - in / max(other, least)) * weight */
static void subtract_background_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    {
        p->out[i] = (p->out[i] - p->in[i] / share_of(p, i)) * p->weight[i];
    }
}

/* ---- step 1: binning --------------------------------------------------------------------------
 */

/* The frame is filled with the mirror image for now: contaminants are looked for before it is
 * emptied. */
static void bin_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    size_t bin = (size_t)p->bin;
    int width = p->field_width;
    int height = (int)(p->count / (size_t)width);
    int inner_width = width - 2 * p->frame;
    int inner_height = height - 2 * p->frame;
    float scale = 1.0F / ((float)bin * (float)bin);
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < height; y++) {
        float *row = p->out + (size_t)y * (size_t)width;
        float *out = row + p->frame;
        memset(row, 0, (size_t)width * sizeof *row);
        size_t top = (size_t)cpu_mirror(y - p->frame, inner_height) * bin;
        for (size_t dy = 0; dy < bin; dy++) {
            const float *in = p->micrograph + (top + dy) * (size_t)p->width;
            for (int x = 0; x < inner_width; x++) {
                float sum = 0;
                for (size_t dx = 0; dx < bin; dx++)
                    sum += in[(size_t)x * bin + dx];
                out[x] += sum;
            }
        }
        for (int x = 0; x < inner_width; x++)
            out[x] *= scale;
        for (int i = 1; i <= p->frame; i++) {
            out[-i] = out[cpu_mirror(-i, inner_width)];
            out[inner_width - 1 + i] = out[cpu_mirror(inner_width - 1 + i, inner_width)];
        }
    }
}

static int bin_micrograph(struct cpu_slot *slot, int bin, float *ret_out, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    struct pass p = {
        .count = cpu_field_pixels(a),
        .micrograph = slot->micrograph.data,
        .width = slot->width,
        .field_width = a->field.width,
        .frame = a->field.frame,
        .bin = bin,
        .out = ret_out,
        .in = ret_out,
        .clip = FIRST_CLIP,
    };
    size_t rows = (size_t)a->field.height;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, bin_rows, &p);
    double median = 0;
    double deviation = 0;
    int status = cpu_spread(slot, ret_out, NULL, &median, &deviation, error);
    if (status)
        return status;
    p.offset = (float)median;
    p.scale = (float)(1 / deviation);
    run(slot, normalise_piece, &p);
    return 0;
}

/* ---- step 2: contaminants ---------------------------------------------------------------------
 */

static void extreme_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    p->mask[i] = p->sign * (p->in[i] - p->offset) > p->scale;
}

/* Regions whose mean over half a diameter is far from the rest, and that hold a square wider than a
 * particle: set in `found`. */
static int find_contaminants(struct cpu_slot *slot, const float *image, double diameter,
                             uint8_t *found, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t count = cpu_field_pixels(a);
    float *mean = a->spare[0].data;
    uint8_t *extreme = a->spare[1].data;
    double median = 0;
    double deviation = 0;
    int status = cpu_box(slot, image, cpu_box_side(diameter / 2), mean, error);
    if (status == 0)
        status = cpu_spread(slot, mean, NULL, &median, &deviation, error);
    int side = cpu_box_side(1.25 * diameter);
    for (int sign = -1; sign <= 1 && status == 0; sign += 2) {
        struct pass p = {
            .count = count,
            .in = mean,
            .mask = extreme,
            .sign = (float)sign,
            .offset = (float)median,
            .scale = (float)(CONTAMINANT * deviation),
        };
        run(slot, extreme_piece, &p);
        status = cpu_square(slot, extreme, side, true, extreme, error);
        if (status == 0)
            status = cpu_square(slot, extreme, side, false, extreme, error);
        if (status == 0)
            status = cpu_square(slot, extreme, cpu_box_side(diameter / 2), false, extreme, error);
        for (size_t i = 0; i < count; i++)
            found[i] |= extreme[i];
    }
    return status;
}

/* ---- step 3: background -----------------------------------------------------------------------
 */

/* Takes a weighted local mean off `image`: `passes` boxes of odd side one after the other. */
static int subtract_background(struct cpu_slot *slot, float *image, int side, int passes,
                               struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    struct pass p = {
        .count = cpu_field_pixels(a),
        .in = a->spare[0].data,
        .other = a->spare[1].data,
        .weight = a->weight.data,
        .out = image,
    };
    int status = cpu_box(slot, image, side, a->spare[0].data, error);
    if (status == 0)
        status = cpu_box(slot, a->weight.data, side, a->spare[1].data, error);
    for (int pass = 1; pass < passes && status == 0; pass++) {
        status = cpu_box(slot, a->spare[0].data, side, a->spare[0].data, error);
        if (status == 0)
            status = cpu_box(slot, a->spare[1].data, side, a->spare[1].data, error);
    }
    if (status == 0)
        run(slot, subtract_background_piece, &p);
    return status;
}

/* Divides by the spread over the unmasked pixels and clips. */
static int normalise(struct cpu_slot *slot, float *image, float clip, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    double median = 0;
    double deviation = 0;
    int status = cpu_spread(slot, image, a->unmasked.data, &median, &deviation, error);
    if (status)
        return status;
    struct pass p = {
        .count = cpu_field_pixels(a),
        .in = image,
        .out = image,
        .weight = a->weight.data,
        .scale = (float)(1 / deviation),
        .clip = clip,
    };
    run(slot, normalise_piece, &p);
    return 0;
}

/* ---- the stages -------------------------------------------------------------------------------
 */

static int reserve(struct cpu_adaptive *a, struct ps_error *error)
{
    size_t bytes = cpu_field_pixels(a) * sizeof(float);
    struct cpu_buffer *buffers[] = {
        &a->local[0],   &a->local[1],   &a->weight,      &a->channel[0],  &a->channel[1],
        &a->inverse[0], &a->inverse[1], &a->response[0], &a->response[1], &a->score,
        &a->mean,       &a->deviation,  &a->spare[0],    &a->spare[1],
    };
    int status = cpu_buffer_reserve(&a->unmasked, cpu_field_pixels(a), "the mask", error);
    if (status == 0)
        status = cpu_buffer_reserve(&a->allowed, cpu_field_pixels(a), "the mask", error);
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers && status == 0; i++)
        status = cpu_buffer_reserve(buffers[i], bytes, "the field", error);
    return status;
}

/* From the contaminants that a->unmasked holds to what counts; the rest of the image becomes 0. */
static void apply_mask(struct cpu_adaptive *a, float *image)
{
    uint8_t *unmasked = a->unmasked.data;
    uint8_t *allowed = a->allowed.data;
    float *weight = a->weight.data;
    int frame = a->field.frame;
    a->field.unmasked = 0;
    for (int y = 0; y < a->field.height; y++) {
        bool row_inside = y >= frame && y < a->field.height - frame;
        for (int x = 0; x < a->field.width; x++) {
            size_t i = (size_t)y * (size_t)a->field.width + (size_t)x;
            bool inside = row_inside && x >= frame && x < a->field.width - frame;
            allowed[i] = !unmasked[i];
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
    a->field.frame = reduction->frame;
    a->field.width = slot->width / reduction->bin + 2 * reduction->frame;
    a->field.height = slot->height / reduction->bin + 2 * reduction->frame;
    int status = reserve(a, error);
    float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    if (status == 0)
        status = bin_micrograph(slot, reduction->bin, image, error);
    size_t count = cpu_field_pixels(a);
    uint8_t *mask = a->unmasked.data;
    memset(mask, 0, count);
    if (status == 0 && reduction->mask)
        status = find_contaminants(slot, image, reduction->diameter, mask, error);
    if (status)
        return status;
    apply_mask(a, image);
    if (a->field.unmasked == 0)
        return ps_fail(error, PS_E_INPUT, "contaminants cover the whole micrograph");
    status = subtract_background(slot, image, cpu_box_side(3 * reduction->diameter), 2, error);
    if (status == 0)
        status = normalise(slot, image, INTENSITY_CLIP, error);
    if (status == 0)
        *ret_field = a->field;
    return status;
}

static void square_difference_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    {
        float difference = p->in[i] - p->other[i];
        p->out[i] = difference * difference * p->weight[i];
    }
}

static void logarithm_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    p->out[i] = logf(p->in[i] + p->offset);
}

static int make_energy(struct cpu_slot *slot, double diameter, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    const float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    float *energy = a->channel[PS_CHANNEL_ENERGY].data;
    struct pass p = {
        .count = cpu_field_pixels(a),
        .in = a->spare[0].data,
        .other = a->spare[1].data,
        .out = energy,
    };
    int status = cpu_gauss(slot, image, 0.6 * diameter / 16, a->spare[0].data, error);
    if (status == 0)
        status = cpu_gauss(slot, image, 1.2 * diameter / 16, a->spare[1].data, error);
    if (status)
        return status;
    p.weight = a->weight.data;
    run(slot, square_difference_piece, &p);
    double median = 0;
    status = cpu_gauss(slot, energy, 0.1 * diameter, energy, error);
    if (status == 0)
        status = cpu_gauss(slot, a->weight.data, 0.1 * diameter, a->spare[0].data, error);
    p.in = energy;
    p.other = a->spare[0].data;
    run(slot, divide_by_share_piece, &p);
    if (status == 0)
        status = cpu_median(slot, energy, a->unmasked.data, NULL, &median, error);
    if (status)
        return status;
    p.in = energy;
    p.offset = (float)(0.1 * median + 1e-30);
    run(slot, logarithm_piece, &p);
    status = cpu_median(slot, energy, a->unmasked.data, NULL, &median, error);
    if (status)
        return status;
    p.offset = (float)median;
    p.scale = 1;
    p.clip = INFINITY;
    p.weight = a->weight.data;
    run(slot, normalise_piece, &p);
    status = subtract_background(slot, energy, cpu_box_side(4 * diameter), 1, error);
    if (status == 0)
        status = normalise(slot, energy, ENERGY_CLIP, error);
    return status;
}

static void window_norm_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    {
        float variance = p->in[i] - p->other[i] * p->other[i];
        p->out[i] = sqrtf(variance > 0 ? variance * p->scale : 0);
    }
}

static void inverse_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    p->out[i] = 1 / (p->in[i] > p->offset ? p->in[i] : p->offset);
}

/* Means over the disk to means over what the border leaves of it. */
static int complete_cut_windows(const struct cpu_adaptive *a, const float *disk, float *squares,
                                float *means, struct ps_error *error)
{
    double *integral = cpu_integral_new(a, disk, false);
    if (!integral)
        return ps_fail_memory(error, 0, "a template");
    struct cpu_cut cut;
    for (int y = 0; y < a->field.height; y++) {
        for (int x = cpu_next_cut(a, 0, y); x < a->field.width; x = cpu_next_cut(a, x + 1, y)) {
            if (!cpu_window_cut(a, x, y, &cut))
                continue;
            size_t i = (size_t)y * (size_t)a->field.width + (size_t)x;
            float factor = (float)(a->disk / cpu_integral_over(a, integral, &cut));
            squares[i] *= factor;
            means[i] *= factor;
        }
    }
    free(integral);
    return 0;
}

/* 1 / max(sqrt(n variance), half its median), variance over the disk of each window. */
static int make_norms(struct cpu_slot *slot, enum ps_channel channel, const float *disk,
                      struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    float *inverse = a->inverse[channel].data;
    const float *image = a->channel[channel].data;
    struct cpu_buffer *spectrum = &a->spectrum[channel];
    float *local = a->local[channel].data;
    double share = 1.0 / a->disk;
    int status = cpu_fft_forward(slot, image, true, spectrum, error);
    if (status == 0)
        status = cpu_fft_correlate(slot, spectrum, disk, share, NULL, a->spare[0].data, error);
    if (status == 0)
        status = cpu_fft_forward(slot, image, false, spectrum, error);
    if (status == 0)
        status = cpu_fft_correlate(slot, spectrum, disk, share, NULL, local, error);
    if (status == 0)
        status = complete_cut_windows(a, disk, a->spare[0].data, local, error);
    if (status)
        return status;
    struct pass p = {
        .count = cpu_field_pixels(a),
        .in = a->spare[0].data,
        .other = local,
        .out = inverse,
        .scale = (float)a->disk,
    };
    run(slot, window_norm_piece, &p);
    double median = 0;
    status = cpu_median(slot, inverse, a->unmasked.data, NULL, &median, error);
    p.in = inverse;
    p.offset = (float)(median / 2 + 1e-20);
    run(slot, inverse_piece, &p);
    return status;
}

static void square_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct pass *p = context;
    FOR_PIXELS(p, i, piece)
    p->out[i] = p->in[i] * p->in[i];
}

static int make_moments(struct cpu_slot *slot, double diameter, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    const float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    struct pass p = {
        .count = cpu_field_pixels(a),
        .in = image,
        .out = a->spare[0].data,
        .scale = 1,
    };
    run(slot, square_piece, &p);
    int side = cpu_box_side(diameter);
    int status = cpu_box(slot, image, side, a->mean.data, error);
    if (status == 0)
        status = cpu_box(slot, a->spare[0].data, side, a->spare[0].data, error);
    if (status == 0)
        status = cpu_box(slot, a->weight.data, side, a->spare[1].data, error);
    if (status)
        return status;
    p.other = a->spare[1].data;
    p.in = p.out = a->mean.data;
    run(slot, divide_by_share_piece, &p);
    p.in = p.out = a->spare[0].data;
    run(slot, divide_by_share_piece, &p);
    p.in = a->spare[0].data;
    p.other = a->mean.data;
    p.out = a->deviation.data;
    run(slot, window_norm_piece, &p);
    return 0;
}

int cpu_adaptive_scale(struct ps_slot *base, double diameter, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    struct cpu_adaptive *a = slot->adaptive;
    a->diameter = diameter;
    a->reach = (int)ceil(PS_TEMPLATE_REACH * diameter);
    int status = cpu_fft_prepare(slot, error);
    if (status == 0)
        status = make_energy(slot, diameter, error);
    if (status == 0)
        status = make_moments(slot, diameter, error);
    float *disk = NULL;
    if (status == 0)
        status = cpu_template_disk(a, &disk, error);
    for (int channel = 0; channel < PS_CHANNELS && status == 0; channel++)
        status = make_norms(slot, (enum ps_channel)channel, disk, error);
    free(disk);
    return status;
}
