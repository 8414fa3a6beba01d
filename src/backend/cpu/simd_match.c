/* Steps 5, 7 and 10 of the adaptive profile: responses to templates, and the score. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Smoothing of a response, in diameters. */
static const double SMOOTHING[PS_CHANNELS] = {PS_INTENSITY_SMOOTHING, PS_DETAIL_SMOOTHING};

enum { PIXELS_PER_PIECE = 65536 };

/* ---- templates --------------------------------------------------------------------------------
 */

static size_t template_size(const struct cpu_adaptive *a)
{
    size_t side = 2 * (size_t)a->reach + 1;
    return side * side;
}

/* Fills in values of zero mean and unit norm in the disk, 0 outside. False: the template is
 * constant and has no norm. */
static bool draw_template(const struct cpu_adaptive *a, const struct ps_radial *radial,
                          float *ret_values)
{
    const float *disk = a->disk.data;
    int side = 2 * a->reach + 1;
    size_t size = template_size(a);
    double sum = 0;
    double square = 0;
    for (int pass = 0; pass < 3; pass++) {
        for (size_t i = 0; i < size; i++) {
            if (pass == 0)
                ret_values[i] = 0;
            if (disk[i] == 0)
                continue;
            int bin = ps_ring(ps_radius((int)i % side - a->reach, (int)i / side - a->reach));
            double value = radial->values[bin < radial->count ? bin : radial->count - 1];
            if (pass == 0) {
                sum += value;
                continue;
            }
            value -= sum / a->disk_pixels;
            if (pass == 1)
                square += value * value;
            else
                ret_values[i] = (float)(value / sqrt(square));
        }
        if (pass == 1 && !(square > PS_FLAT))
            return false;
    }
    return true;
}

struct border {
    const struct cpu_adaptive *a;
    const double *sum;    /* integral image of the template */
    const double *square; /* and of its squares */
    const float *local;
    const float *inverse;
    float *response;
};

static void weigh_template(const void *context, const struct ps_cut *cut, float *ret_sum,
                           float *ret_norm)
{
    const struct border *b = context;
    double sum = cpu_integral_over(b->a, b->sum, cut);
    *ret_sum = (float)sum;
    *ret_norm = (float)ps_cut_norm(sum, cpu_integral_over(b->a, b->square, cut),
                                   cpu_integral_over(b->a, b->a->area.data, cut));
}

static void correct_responses(void *context, size_t pixel, size_t count, const float *sums,
                              const float *norms)
{
    const struct border *b = context;
    const float *local = b->local + pixel;
    const float *inverse = b->inverse + pixel;
    float *response = b->response + pixel;
    for (size_t i = 0; i < count; i++)
        response[i] = ps_cut_response(response[i], local[i], inverse[i], sums[i], norms[i]);
}

/* Corrects responses near the border: the template gets zero mean and unit norm over the part that
 * is inside, and the response is damped as that part shrinks, so that noise has the same spread
 * everywhere. */
static int correct_cut_windows(struct cpu_slot *slot, int channel, const float *values,
                               float *response, struct ps_error *error)
{
    const struct cpu_adaptive *a = slot->adaptive;
    size_t sums = (2 * (size_t)a->reach + 2) * (2 * (size_t)a->reach + 2);
    double *sum = malloc(2 * sums * sizeof *sum);
    if (!sum)
        return ps_fail_memory(error, 2 * sums * sizeof *sum, "a template");
    cpu_integrate(a, values, false, sum);
    cpu_integrate(a, values, true, sum + sums);
    struct border border = {
        .a = a,
        .sum = sum,
        .square = sum + sums,
        .local = a->local[channel].data,
        .inverse = a->inverse[channel].data,
        .response = response,
    };
    int status = cpu_visit_cut_windows(slot, weigh_template, correct_responses, &border, error);
    free(sum);
    return status;
}

static int respond(struct cpu_slot *slot, int channel, const float *values, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    struct cpu_buffer *buffer = &a->work.response[channel];
    PS_TRY(cpu_buffer_reserve(buffer, cpu_field_pixels(a) * sizeof(float), "responses", error));
    float *response = buffer->data;
    PS_TRY(cpu_fft_correlate(slot, &a->spectrum[channel], values, a->inverse[channel].data,
                             response, error));
    PS_TRY(correct_cut_windows(slot, channel, values, response, error));
    return cpu_gauss(slot, response, SMOOTHING[channel] * a->diameter_field_px, response, error);
}

int cpu_adaptive_respond(struct cpu_slot *slot, const struct ps_radial templates[PS_CHANNELS],
                         bool *ret_flat, struct ps_error *error)
{
    const struct cpu_adaptive *a = slot->adaptive;
    *ret_flat = false;
    float *values = malloc(template_size(a) * sizeof *values);
    if (!values)
        return ps_fail_memory(error, template_size(a) * sizeof *values, "a template");
    int status = 0;
    for (int c = 0; c < PS_CHANNELS && status == 0 && !*ret_flat; c++) {
        if (templates[c].count == 0)
            continue;
        *ret_flat = !draw_template(a, &templates[c], values);
        if (!*ret_flat)
            status = respond(slot, c, values, error);
    }
    free(values);
    return status;
}

/* ---- score ------------------------------------------------------------------------------------
 */

struct combination {
    const struct cpu_adaptive *a;
    float weights[PS_CHANNELS];
    float *score;
    float offset;
    float scale;
    double (*sums)[PS_MOMENT_SUMS]; /* per piece */
    size_t count;
};

static void sum_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct combination *c = context;
    const float *first = c->a->work.response[0].data;
    const float *second = c->a->work.response[1].data;
    size_t begin = piece * PIXELS_PER_PIECE;
    size_t end = begin + PIXELS_PER_PIECE < c->count ? begin + PIXELS_PER_PIECE : c->count;
    for (size_t i = begin; i < end; i++) {
        float value = c->weights[0] != 0 ? c->weights[0] * first[i] : 0;
        c->score[i] = c->weights[1] != 0 ? value + c->weights[1] * second[i] : value;
    }
}

static void normalise_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct combination *c = context;
    size_t begin = piece * PIXELS_PER_PIECE;
    size_t end = begin + PIXELS_PER_PIECE < c->count ? begin + PIXELS_PER_PIECE : c->count;
    for (size_t i = begin; i < end; i++)
        c->score[i] = (c->score[i] - c->offset) * c->scale;
}

static size_t pieces_of(size_t count)
{
    return (count + PIXELS_PER_PIECE - 1) / PIXELS_PER_PIECE;
}

int cpu_adaptive_combine(struct cpu_slot *slot, const double weights[PS_CHANNELS],
                         struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    PS_TRY(cpu_buffer_reserve(&a->work.score, cpu_field_pixels(a) * sizeof(float), "the score",
                              error));
    struct combination c = {
        .a = a,
        .weights = {(float)weights[0], (float)weights[1]},
        .score = a->work.score.data,
        .count = cpu_field_pixels(a),
    };
    ps_parallel(slot->threads, pieces_of(c.count), sum_piece, &c);
    double median = 0;
    double deviation = 0;
    PS_TRY(cpu_lower_spread(slot, c.score, a->unmasked.data, &median, &deviation, error));
    c.offset = (float)median;
    c.scale = (float)(1 / deviation);
    ps_parallel(slot->threads, pieces_of(c.count), normalise_piece, &c);
    return 0;
}

/* ---- moments ----------------------------------------------------------------------------------
 */

static void moments_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct combination *c = context;
    const float *first = c->a->work.response[0].data;
    const float *second = c->a->work.response[1].data;
    const uint8_t *unmasked = c->a->unmasked.data;
    size_t begin = piece * PIXELS_PER_PIECE;
    size_t end = begin + PIXELS_PER_PIECE < c->count ? begin + PIXELS_PER_PIECE : c->count;
    double sums[PS_MOMENT_SUMS] = {0};
    for (size_t i = begin; i < end; i++) {
        if (unmasked[i])
            ps_add_moments(first[i], second[i], sums);
    }
    memcpy(c->sums[piece], sums, sizeof sums);
}

int cpu_adaptive_moments(struct cpu_slot *slot, struct ps_response_moments *ret_moments,
                         struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    struct combination c = {.a = a, .count = cpu_field_pixels(a)};
    size_t pieces = pieces_of(c.count);
    c.sums = calloc(pieces, sizeof *c.sums);
    if (!c.sums)
        return ps_fail_memory(error, pieces * sizeof *c.sums, "moments");
    ps_parallel(slot->threads, pieces, moments_piece, &c);
    double sums[PS_MOMENT_SUMS] = {0};
    for (size_t piece = 0; piece < pieces; piece++)
        for (int i = 0; i < PS_MOMENT_SUMS; i++)
            sums[i] += c.sums[piece][i];
    free(c.sums);
    *ret_moments = ps_moments_of(sums, (double)a->field.unmasked);
    return 0;
}
