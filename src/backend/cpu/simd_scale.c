/* Step 4 of the adaptive profile: the energy channel, and what correlation needs of each window. */
#include "backend/cpu/adaptive_pass.h"

#include "base/error.h"

#include <math.h>

/* out = in / share(other) */
static void divide_by_share_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    p->out[i] = p->in[i] / ps_share(p->other[i]);
}

static void square_difference_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    {
        float difference = p->in[i] - p->other[i];
        p->out[i] = difference * difference * p->weight[i];
    }
}

static void logarithm_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    p->out[i] = ps_log(p->in[i] + p->offset);
}

static int make_energy(struct cpu_slot *slot, double diameter, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    const float *image = a->channel[PS_CHANNEL_INTENSITY].data;
    float *energy = a->channel[PS_CHANNEL_ENERGY].data;
    struct cpu_pass p = {
        .count = cpu_field_pixels(a),
        .in = a->spare[0].data,
        .other = a->spare[1].data,
        .out = energy,
    };
    PS_TRY(cpu_gauss(slot, image, PS_DETAIL_FINE * diameter, a->spare[0].data, error));
    PS_TRY(cpu_gauss(slot, image, PS_DETAIL_COARSE * diameter, a->spare[1].data, error));
    p.weight = a->weight.data;
    cpu_pass_run(slot, square_difference_piece, &p);
    double median = 0;
    PS_TRY(cpu_gauss(slot, energy, PS_ENERGY_SMOOTHING * diameter, energy, error));
    PS_TRY(cpu_share_gauss(slot, PS_ENERGY_SMOOTHING * diameter, a->spare[0].data, error));
    p.in = energy;
    p.other = a->spare[0].data;
    cpu_pass_run(slot, divide_by_share_piece, &p);
    PS_TRY(cpu_median(slot, energy, a->unmasked.data, NULL, &median, error));
    p.in = energy;
    p.offset = ps_energy_floor(median);
    cpu_pass_run(slot, logarithm_piece, &p);
    PS_TRY(cpu_median(slot, energy, a->unmasked.data, NULL, &median, error));
    p.offset = (float)median;
    p.scale = 1;
    p.clip = INFINITY;
    p.weight = a->weight.data;
    cpu_pass_run(slot, cpu_pass_normalise, &p);
    PS_TRY(cpu_subtract_background(slot, energy, ps_box_side(PS_ENERGY_SURROUND * diameter), 1,
                                   error));
    return cpu_normalise(slot, energy, PS_ENERGY_CLIP, error);
}

static void window_norm_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    p->out[i] = ps_window_norm(p->in[i], p->other[i], p->scale);
}

static void inverse_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct cpu_pass *p = context;
    CPU_FOR_PIXELS(p, i, piece)
    p->out[i] = 1 / (p->in[i] > p->offset ? p->in[i] : p->offset);
}

struct means {
    const struct cpu_adaptive *a;
    float *squares;
    float *means;
};

static void weigh_disk(const void *context, const struct ps_cut *cut, float *ret_factor,
                       float *ret_unused)
{
    const struct means *m = context;
    *ret_factor = (float)(m->a->disk_pixels / cpu_integral_over(m->a, m->a->area.data, cut));
    *ret_unused = 0;
}

/* Rescales means over the disk to means over the part that the border leaves of it. */
static void complete_means(void *context, size_t pixel, size_t count, const float *factors,
                           const float *unused)
{
    (void)unused;
    const struct means *m = context;
    float *squares = m->squares + pixel;
    float *means = m->means + pixel;
    for (size_t i = 0; i < count; i++) {
        squares[i] *= factors[i];
        means[i] *= factors[i];
    }
}

/* 1 / max(sqrt(n variance), half its median); the variance is over the disk of each window. */
static int make_norms(struct cpu_slot *slot, enum ps_channel channel, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    float *inverse = a->inverse[channel].data;
    const float *image = a->channel[channel].data;
    float *local = a->local[channel].data;
    if (channel != PS_CHANNEL_INTENSITY || !a->has_spectrum)
        PS_TRY(cpu_fft_forward(slot, image, &a->spectrum[channel], error));
    if (channel == PS_CHANNEL_INTENSITY)
        a->has_spectrum = true;
    PS_TRY(cpu_disk_means(slot, image, local, a->spare[0].data, error));
    struct means means = {a, a->spare[0].data, local};
    PS_TRY(cpu_visit_cut_windows(slot, weigh_disk, complete_means, &means, error));
    struct cpu_pass p = {
        .count = cpu_field_pixels(a),
        .in = a->spare[0].data,
        .other = local,
        .out = inverse,
        .scale = (float)a->disk_pixels,
    };
    cpu_pass_run(slot, window_norm_piece, &p);
    double median = 0;
    PS_TRY(cpu_median(slot, inverse, a->unmasked.data, NULL, &median, error));
    p.in = inverse;
    p.offset = ps_norm_floor(median);
    cpu_pass_run(slot, inverse_piece, &p);
    return 0;
}

int cpu_adaptive_scale(struct ps_slot *base, const double *diameters_field_px, int count,
                       struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    struct cpu_adaptive *a = slot->adaptive;
    double diameter = diameters_field_px[0];
    for (int i = 1; i < count; i++)
        if (diameters_field_px[i] != diameter)
            return ps_fail(error, PS_E_BUG, "different diameters in a batch: the CPU takes one");
    if (a->diameter_field_px == diameter)
        return 0;
    a->diameter_field_px = diameter;
    a->reach = ps_template_reach(diameter);
    int status = cpu_fft_prepare(slot, a->max_reach, error);
    if (status == 0)
        status = make_energy(slot, diameter, error);
    if (status == 0)
        status = cpu_disk_prepare(a, error);
    for (int channel = 0; channel < PS_CHANNELS && status == 0; channel++)
        status = make_norms(slot, (enum ps_channel)channel, error);
    if (status)
        a->diameter_field_px = 0;
    return status;
}

const struct cpu_adaptive_functions PS_SIMD_NAME(cpu_adaptive) = {
    .box = cpu_box,
    .gauss = cpu_gauss,
    .square = cpu_square,
    .median = cpu_median,
    .spread = cpu_spread,
    .reduce = cpu_adaptive_reduce,
    .randomise = cpu_adaptive_randomise,
    .scale = cpu_adaptive_scale,
    .respond = cpu_adaptive_respond,
    .combine = cpu_adaptive_combine,
    .moments = cpu_adaptive_moments,
    .peaks = cpu_adaptive_peaks,
    .average = cpu_adaptive_average,
    .describe = cpu_adaptive_describe,
};
