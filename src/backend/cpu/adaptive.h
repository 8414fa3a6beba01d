/* The CPU's stages of the adaptive profile: what their files (cpu_adaptive_*.c) share. */
#ifndef PS_BACKEND_CPU_ADAPTIVE_H
#define PS_BACKEND_CPU_ADAPTIVE_H

#include "formulas/adaptive_formulas.h"
#include "backend/cpu/slot.h"

/* Correlation by FFT of the field, with zeros on all sides as far as a template reaches. Rows are
 * transformed one by one, columns eight at a time, which is a cache line; both are shared out among
 * the threads, and neither needs more than one line of scratch. */
enum { FFT_COLUMNS = 8 };
struct cpu_fft {
    int width;     /* px, with the extension and what makes it a good length */
    int height;    /* px */
    size_t stride; /* complex numbers from row to row of a spectrum */
    fftwf_plan rows_forward;
    fftwf_plan rows_inverse;
    fftwf_plan columns_forward;
    fftwf_plan columns_inverse;
};

struct cpu_adaptive {
    struct ps_field field;
    double diameter; /* of the scale; 0 before */
    int reach;       /* of a template: it is 2 reach + 1 wide */
    int disk;        /* px of the template that count */
    struct cpu_fft fft;

    struct cpu_buffer unmasked;              /* uint8 */
    struct cpu_buffer allowed;               /* uint8, the same or frame */
    struct cpu_buffer weight;                /* float, 1 where unmasked */
    struct cpu_buffer channel[PS_CHANNELS];  /* float */
    struct cpu_buffer inverse[PS_CHANNELS];  /* float: 1 / norm of the window */
    struct cpu_buffer local[PS_CHANNELS];    /* float: mean of the window */
    struct cpu_buffer response[PS_CHANNELS]; /* float */
    struct cpu_buffer spectrum[PS_CHANNELS]; /* complex, of the extended channel */
    struct cpu_buffer score;                 /* float */
    struct cpu_buffer mean;                  /* float, of the intensity */
    struct cpu_buffer deviation;             /* float */
    struct cpu_buffer spare[2];              /* float, of whoever needs them */
    struct cpu_buffer passing;               /* float, between the passes of a filter */
    struct cpu_buffer product;               /* complex */
    struct cpu_buffer kernel;                /* complex, rows of a template */
    struct cpu_buffer lines;                 /* per thread */
    struct cpu_buffer counts;                /* per thread */
};

/* The state of a slot, made when it is first asked for. NULL without memory. */
struct cpu_adaptive *cpu_adaptive_of(struct cpu_slot *slot, struct ps_error *error);
void cpu_adaptive_done(struct cpu_slot *slot);

static inline size_t cpu_field_pixels(const struct cpu_adaptive *a)
{
    return (size_t)a->field.width * (size_t)a->field.height;
}

/* ---- filters (cpu_adaptive_filter.c): fields in, fields out, may be the same; borders mirrored
 * ---- */

/* Mean over a square of odd side. */
int cpu_box(struct cpu_slot *slot, const float *in, int side, float *ret_out,
            struct ps_error *error);
int cpu_gauss(struct cpu_slot *slot, const float *in, double sigma, float *ret_out,
              struct ps_error *error);
/* Sets pixels whose square of odd side is set everywhere (erode), or anywhere. */
int cpu_square(struct cpu_slot *slot, const uint8_t *in, int side, bool erode, uint8_t *ret_out,
               struct ps_error *error);

/* ---- order (cpu_adaptive_order.c) ---- */

/* Median of values[i], or of |values[i] - *centre| where that is not NULL, over the pixels of the
 * field that `mask` has set (NULL: all). Exact; the lower of two middle ones; 0
 * where there are none. */
int cpu_median(struct cpu_slot *slot, const float *values, const uint8_t *mask,
               const double *centre, double *ret_median, struct ps_error *error);
/* The median, and the median deviation from it in standard deviations of a Gaussian. */
int cpu_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask, double *ret_median,
               double *ret_deviation, struct ps_error *error);
/* The median, and the standard deviation of the half below it. */
int cpu_lower_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                     double *ret_median, double *ret_deviation, struct ps_error *error);

/* ---- correlation (cpu_adaptive_fft.c) ---- */

int cpu_fft_prepare(struct cpu_slot *slot, struct ps_error *error);
void cpu_fft_done(struct cpu_fft *fft);
/* Spectrum of a field with zeros around it, squared first if `squared`. */
int cpu_fft_forward(struct cpu_slot *slot, const float *field, bool squared,
                    struct cpu_buffer *ret_spectrum, struct ps_error *error);
/* Correlation of a spectrum's field with a template of (2 reach + 1)^2 values; each result is
 * multiplied by `factor`, and by its pixel of `map` where that is not NULL. */
int cpu_fft_correlate(struct cpu_slot *slot, const struct cpu_buffer *spectrum, const float *values,
                      double factor, const float *map, float *ret_field, struct ps_error *error);

/* Replaces a field by one of the same power spectrum and the phases of `noise`. */
int cpu_fft_randomise(struct cpu_slot *slot, const float *noise, float *field,
                      struct ps_error *error);

/* 1 in the disk of a template's (2 reach + 1)^2 values, 0 outside; counts them in a->disk. To be
 * freed. */
int cpu_template_disk(struct cpu_adaptive *a, float **ret_disk, struct ps_error *error);

/* Near the border a part of the template lies outside, and counts for nothing: sums over the rest
 * come from integral images. Whether the border cuts the window of pixel (x, y), and what is left
 * of it: */
static inline bool cpu_window_cut(const struct cpu_adaptive *a, int x, int y,
                                  struct ps_cut *ret_cut)
{
    return ps_window_cut(a->reach, a->field.frame, a->field.width, a->field.height, x, y, ret_cut);
}
/* The first pixel at or after x of row y whose window is cut; the width if there is none. */
int cpu_next_cut(const struct cpu_adaptive *a, int x, int y);
/* Sums of (2 reach + 1)^2 values over any rectangle. */
double *cpu_integral_new(const struct cpu_adaptive *a, const float *values, bool squared);
double cpu_integral_over(const struct cpu_adaptive *a, const double *integral,
                         const struct ps_cut *cut);

/* ---- stages, as adaptive.h states them ---- */
int cpu_adaptive_reduce(struct ps_slot *base, const struct ps_reduction *reduction,
                        struct ps_field *ret_field, struct ps_error *error);
int cpu_adaptive_randomise(struct ps_slot *base, unsigned seed, struct ps_error *error);
int cpu_adaptive_scale(struct ps_slot *base, const double *diameters, int lanes,
                       struct ps_error *error);
/* Stops at a template that is the same at every radius, and says so. */
int cpu_adaptive_respond(struct cpu_slot *slot, const struct ps_radial templates[PS_CHANNELS],
                         bool *ret_flat, struct ps_error *error);
/* The score. */
int cpu_adaptive_combine(struct cpu_slot *slot, const double weights[PS_CHANNELS],
                         struct ps_error *error);
/* Maxima of the score; to be freed. */
int cpu_adaptive_peaks(struct cpu_slot *slot, double distance, struct ps_peak **ret_peaks,
                       size_t *ret_count, struct ps_error *error);
/* Mean of both channels around the peaks, by radius. */
int cpu_adaptive_average(const struct cpu_slot *slot, const struct ps_peak *peaks, size_t count,
                         struct ps_radial ret_profiles[PS_CHANNELS], struct ps_error *error);
int cpu_adaptive_moments(struct cpu_slot *slot, struct ps_response_moments *ret_moments,
                         struct ps_error *error);
/* Where a map is. */
const float *cpu_adaptive_map(const struct cpu_adaptive *a, enum ps_map map);
int cpu_adaptive_sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *peaks,
                        size_t count, float *ret_values, struct ps_error *error);
int cpu_adaptive_locate(struct ps_slot *base, const struct ps_peak *peaks, size_t count,
                        double (*ret_centres)[2], struct ps_error *error);

#endif
