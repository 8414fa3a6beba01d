/* Shared by the stages of the adaptive profile on the CPU (adaptive_*.c). */
#ifndef PS_BACKEND_CPU_ADAPTIVE_H
#define PS_BACKEND_CPU_ADAPTIVE_H

#include "formulas/adaptive_formulas.h"
#include "backend/cpu/slot.h"

/* Correlation by FFT of the field, extended by zeros on all sides as far as a template reaches.
 * Rows are transformed one by one, columns eight at a time, which is a cache line. Threads share
 * both, and each needs scratch for one line only. */
enum { FFT_COLUMNS = 8 };
struct cpu_fft {
    int width;     /* px: field, extension, and padding to a good length */
    int height;    /* px */
    size_t stride; /* complex numbers from row to row of a spectrum */
    fftwf_plan rows_forward;
    fftwf_plan rows_inverse;
    fftwf_plan columns_forward;
    fftwf_plan columns_inverse;
};

struct cpu_adaptive {
    struct ps_field field;
    double diameter_field_px; /* of the scale; 0: none */
    int reach;                /* px; a template is 2 reach + 1 px wide */
    int disk;                 /* px of the template inside its disk */
    struct cpu_fft fft;

    struct cpu_buffer unmasked;              /* uint8 */
    struct cpu_buffer allowed;               /* uint8: unmasked, or in the frame */
    struct cpu_buffer weight;                /* float, 1 where unmasked */
    struct cpu_buffer channel[PS_CHANNELS];  /* float */
    struct cpu_buffer inverse[PS_CHANNELS];  /* float: 1 / norm of the window */
    struct cpu_buffer local[PS_CHANNELS];    /* float: mean of the window */
    struct cpu_buffer response[PS_CHANNELS]; /* float */
    struct cpu_buffer spectrum[PS_CHANNELS]; /* complex, of the extended channel */
    struct cpu_buffer score;                 /* float */
    struct cpu_buffer mean;                  /* float, of the intensity */
    struct cpu_buffer deviation;             /* float */
    struct cpu_buffer spare[2];              /* float, scratch of any stage */
    struct cpu_buffer passing;               /* float, between the passes of a filter */
    struct cpu_buffer product;               /* complex */
    struct cpu_buffer kernel;                /* complex, rows of a template */
    struct cpu_buffer lines;                 /* per thread */
    struct cpu_buffer counts;                /* per piece of a median */
    struct cpu_buffer between;               /* float, of a median */
};

/* State of a slot, created by the first call. NULL: no memory. */
struct cpu_adaptive *cpu_adaptive_of(struct cpu_slot *slot, struct ps_error *error);
void cpu_adaptive_done(struct cpu_slot *slot);

static inline size_t cpu_field_pixels(const struct cpu_adaptive *a)
{
    return (size_t)a->field.width * (size_t)a->field.height;
}

/* ---- filters (adaptive_filter.c): in place if both fields are the same; borders are mirrored ----
 */

/* Mean over a square of odd side, px. */
int cpu_box(struct cpu_slot *slot, const float *in, int side, float *ret_out,
            struct ps_error *error);
int cpu_gauss(struct cpu_slot *slot, const float *in, double sigma, float *ret_out,
              struct ps_error *error);
/* Sets pixels whose square of odd side is set everywhere (`erode`), or anywhere. */
int cpu_square(struct cpu_slot *slot, const uint8_t *in, int side, bool erode, uint8_t *ret_out,
               struct ps_error *error);

/* ---- order (adaptive_order.c): over the pixels where `mask` is set (NULL: all) ---- */

/* Exact median of values[i], or of |values[i] - *centre| if `centre` is not NULL; the lower of two
 * middle values; 0 without pixels. */
int cpu_median(struct cpu_slot *slot, const float *values, const uint8_t *mask,
               const double *centre, double *ret_median, struct ps_error *error);
/* Median, and the standard deviation of a Gaussian with the same median deviation. */
int cpu_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask, double *ret_median,
               double *ret_deviation, struct ps_error *error);
/* Median, and the standard deviation of the values below it. */
int cpu_lower_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                     double *ret_median, double *ret_deviation, struct ps_error *error);

/* ---- correlation (adaptive_fft.c) ---- */

int cpu_fft_prepare(struct cpu_slot *slot, struct ps_error *error);
void cpu_fft_done(struct cpu_fft *fft);
/* Spectrum of a field extended by zeros; of its squares if `squared`. */
int cpu_fft_forward(struct cpu_slot *slot, const float *field, bool squared,
                    struct cpu_buffer *ret_spectrum, struct ps_error *error);
/* Correlates a spectrum's field with a template of (2 reach + 1)^2 values. Results are multiplied
 * by `factor`, and by the pixel of `map` if that is not NULL. */
int cpu_fft_correlate(struct cpu_slot *slot, const struct cpu_buffer *spectrum, const float *values,
                      double factor, const float *map, float *ret_field, struct ps_error *error);

/* Replaces a field by one with the same power spectrum and the phases of `noise`. */
int cpu_fft_randomise(struct cpu_slot *slot, const float *noise, float *field,
                      struct ps_error *error);

/* Sets the disk of a template's (2 reach + 1)^2 values to 1, the rest to 0, and counts its pixels
 * in a->disk. The caller frees `*ret_disk`. */
int cpu_template_disk(struct cpu_adaptive *a, float **ret_disk, struct ps_error *error);

/* Near the border a part of the template lies outside and does not count; integral images give the
 * sums over the rest. Returns whether the border cuts the window of pixel (x, y), and what is
 * left. */
static inline bool cpu_window_cut(const struct cpu_adaptive *a, int x, int y,
                                  struct ps_cut *ret_cut)
{
    return ps_window_cut(a->reach, a->field.frame_field_px, a->field.width, a->field.height, x, y,
                         ret_cut);
}
/* First pixel at or after x of row y whose window is cut; the width if there is none. */
int cpu_next_cut(const struct cpu_adaptive *a, int x, int y);
/* Integral image of a template's (2 reach + 1)^2 values, or of their squares; NULL: no memory. */
double *cpu_integral_new(const struct cpu_adaptive *a, const float *values, bool squared);
/* Sum over a rectangle. */
double cpu_integral_over(const struct cpu_adaptive *a, const double *integral,
                         const struct ps_cut *cut);

/* ---- stages, see backend/adaptive.h ---- */
ps_adaptive_reduce_stage cpu_adaptive_reduce;
ps_adaptive_randomise_stage cpu_adaptive_randomise;
ps_adaptive_scale_stage cpu_adaptive_scale;
ps_adaptive_sample_stage cpu_adaptive_sample;
ps_adaptive_locate_stage cpu_adaptive_locate;

/* ---- parts of stages ---- */

/* Stops at a constant template and sets `*ret_flat`. */
int cpu_adaptive_respond(struct cpu_slot *slot, const struct ps_radial templates[PS_CHANNELS],
                         bool *ret_flat, struct ps_error *error);
/* Computes the score. */
int cpu_adaptive_combine(struct cpu_slot *slot, const double weights[PS_CHANNELS],
                         struct ps_error *error);
/* Maxima of the score; the caller frees `*ret_peaks`. */
int cpu_adaptive_peaks(struct cpu_slot *slot, double distance_field_px, struct ps_peak **ret_peaks,
                       size_t *ret_count, struct ps_error *error);
/* Radial mean of both channels around the peaks. */
int cpu_adaptive_average(const struct cpu_slot *slot, const struct ps_peak *peaks, size_t count,
                         struct ps_radial ret_profiles[PS_CHANNELS], struct ps_error *error);
int cpu_adaptive_moments(struct cpu_slot *slot, struct ps_response_moments *ret_moments,
                         struct ps_error *error);
const float *cpu_adaptive_map(const struct cpu_adaptive *a, enum ps_map map);

#endif
