/* Shared by the stages of the adaptive profile on the CPU. adaptive*.c have its state and the table
 * of its stages; simd_*.c have the loops over pixels, which are built once for each instruction set
 * and give the same results with every one. */
#ifndef PS_BACKEND_CPU_ADAPTIVE_H
#define PS_BACKEND_CPU_ADAPTIVE_H

#include "backend/cpu/slot.h"
#include "formulas/adaptive_formulas.h"

/* Functions with a suffix for each instruction set. */
#ifdef PS_ISA
#define cpu_box                 PS_SIMD_NAME(cpu_box)
#define cpu_gauss               PS_SIMD_NAME(cpu_gauss)
#define cpu_square              PS_SIMD_NAME(cpu_square)
#define cpu_median              PS_SIMD_NAME(cpu_median)
#define cpu_spread              PS_SIMD_NAME(cpu_spread)
#define cpu_lower_spread        PS_SIMD_NAME(cpu_lower_spread)
#define cpu_fft_prepare         PS_SIMD_NAME(cpu_fft_prepare)
#define cpu_fft_forward         PS_SIMD_NAME(cpu_fft_forward)
#define cpu_fft_correlate       PS_SIMD_NAME(cpu_fft_correlate)
#define cpu_fft_randomise       PS_SIMD_NAME(cpu_fft_randomise)
#define cpu_disk_means          PS_SIMD_NAME(cpu_disk_means)
#define cpu_share_box           PS_SIMD_NAME(cpu_share_box)
#define cpu_share_gauss         PS_SIMD_NAME(cpu_share_gauss)
#define cpu_pass_normalise      PS_SIMD_NAME(cpu_pass_normalise)
#define cpu_subtract_background PS_SIMD_NAME(cpu_subtract_background)
#define cpu_normalise           PS_SIMD_NAME(cpu_normalise)
#define cpu_adaptive_reduce     PS_SIMD_NAME(cpu_adaptive_reduce)
#define cpu_adaptive_randomise  PS_SIMD_NAME(cpu_adaptive_randomise)
#define cpu_adaptive_scale      PS_SIMD_NAME(cpu_adaptive_scale)
#define cpu_adaptive_respond    PS_SIMD_NAME(cpu_adaptive_respond)
#define cpu_adaptive_combine    PS_SIMD_NAME(cpu_adaptive_combine)
#define cpu_adaptive_moments    PS_SIMD_NAME(cpu_adaptive_moments)
#define cpu_adaptive_peaks      PS_SIMD_NAME(cpu_adaptive_peaks)
#define cpu_adaptive_average    PS_SIMD_NAME(cpu_adaptive_average)
#define cpu_adaptive_describe   PS_SIMD_NAME(cpu_adaptive_describe)
#endif

/* Correlation by FFT of the field. Zeros follow it, as many as a template reaches, so that nothing
 * wraps around. Rows are transformed one by one, columns eight at a time, which is a cache line.
 * Threads share both, and each needs scratch for one line only. */
enum { FFT_COLUMNS = 8 };
struct cpu_fft {
    int width;     /* px: field, zeros, and padding to a good length */
    int height;    /* px */
    int reach;     /* px, largest of a template */
    size_t stride; /* complex numbers from row to row of a spectrum */
    fftwf_plan rows_forward;
    fftwf_plan rows_inverse;
    fftwf_plan columns_forward;
    fftwf_plan columns_inverse;
    float *cosines[2]; /* [k][i] = cos(2 pi k i / length), k <= reach, i <= length / 2; of width and
                          height */
};

/* Search and refinement, and the null of each. */
enum { CPU_FFTS = 4 };

/* Hypotheses of the same scale that are worked on at the same time: as many as there are starts. */
enum { CPU_ITEMS = 3 };

/* What each of them needs for itself. */
struct cpu_work {
    struct cpu_buffer response[PS_CHANNELS]; /* float */
    struct cpu_buffer score;                 /* float */
    struct cpu_buffer passing;               /* float, between passes of a filter, of a median */
    struct cpu_buffer product;               /* complex */
    struct cpu_buffer kernel;                /* float, spectra of a template's rows */
    struct cpu_buffer lines;                 /* per thread */
};

struct cpu_adaptive {
    struct ps_field field;
    double diameter_field_px; /* of the scale; 0: none */
    int reach;                /* px; a template is 2 reach + 1 px wide */
    int disk_pixels;          /* px of the template inside its disk */
    int max_reach;            /* px, of all scales */
    struct cpu_fft *fft;      /* the one in use */
    struct cpu_fft ffts[CPU_FFTS];
    int next_fft;      /* to be replaced */
    bool has_spectrum; /* that of the intensity is up to date */

    struct cpu_work work;                  /* of the first item */
    struct cpu_work others[CPU_ITEMS - 1]; /* of the other ones */

    struct cpu_buffer unmasked;              /* uint8 */
    struct cpu_buffer allowed;               /* uint8: unmasked, or in the frame */
    struct cpu_buffer weight;                /* float, 1 where unmasked */
    struct cpu_buffer channel[PS_CHANNELS];  /* float */
    struct cpu_buffer inverse[PS_CHANNELS];  /* float: 1 / norm of the window */
    struct cpu_buffer local[PS_CHANNELS];    /* float: mean of the window */
    struct cpu_buffer spectrum[PS_CHANNELS]; /* complex, of the extended channel */
    struct cpu_buffer spare[2];              /* float, scratch of any stage */
    struct cpu_buffer disk;                  /* float: a template, 1 in the disk, 0 outside */
    struct cpu_buffer area;                  /* double: its integral image */
};

/* State of a slot, created by the first call. NULL: no memory. */
struct cpu_adaptive *cpu_adaptive_of(struct cpu_slot *slot, struct ps_error *error);
void cpu_adaptive_done(struct cpu_slot *slot);

static inline size_t cpu_field_pixels(const struct cpu_adaptive *a)
{
    return (size_t)a->field.width * (size_t)a->field.height;
}

/* ---- filters (simd_filter.c): in place if both fields are the same; borders are mirrored ---- */

/* Mean over a square of odd side, px. */
typedef int cpu_box_function(struct cpu_slot *slot, const float *in, int side, float *ret_out,
                             struct ps_error *error);
/* 64 floats after the pixels of `in` can be read. */
typedef int cpu_gauss_function(struct cpu_slot *slot, const float *in, double sigma, float *ret_out,
                               struct ps_error *error);
/* Sets pixels whose square of odd side is set everywhere (`erode`), or anywhere. */
typedef int cpu_square_function(struct cpu_slot *slot, const uint8_t *in, int side, bool erode,
                                uint8_t *ret_out, struct ps_error *error);

/* ---- order (simd_order.c): over the pixels where `mask` is set (NULL: all) ---- */

/* Exact median of values[i], or of |values[i] - *centre| if `centre` is not NULL; the lower of two
 * middle values; 0 without pixels. */
typedef int cpu_median_function(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                                const double *centre, double *ret_median, struct ps_error *error);
/* Median, and a standard deviation: that of a Gaussian with the same median deviation
 * (cpu_spread), or that of the values below the median (cpu_lower_spread). */
typedef int cpu_spread_function(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                                double *ret_median, double *ret_deviation, struct ps_error *error);

/* ---- shares (simd_share.c) ---- */

/* The box filter of the weights, `passes` times, and their Gaussian. */
int cpu_share_box(struct cpu_slot *slot, int side, int passes, float *ret_out,
                  struct ps_error *error);
int cpu_share_gauss(struct cpu_slot *slot, double sigma, float *ret_out, struct ps_error *error);

/* ---- correlation (simd_fft.c) ---- */

/* Sets a->fft, for templates of this reach, px. Plans of a few sizes are kept. */
int cpu_fft_prepare(struct cpu_slot *slot, int reach, struct ps_error *error);
void cpu_fft_done(struct cpu_fft *fft);
/* Spectrum of a field followed by zeros. */
int cpu_fft_forward(struct cpu_slot *slot, const float *field, struct cpu_buffer *ret_spectrum,
                    struct ps_error *error);
/* Correlates a spectrum's field with a radial template of (2 reach + 1)^2 values. Results are
 * multiplied by the pixel of `map`. */
int cpu_fft_correlate(struct cpu_slot *slot, const struct cpu_buffer *spectrum, const float *values,
                      const float *map, float *ret_field, struct ps_error *error);

/* Replaces a field by one with the same power spectrum and the phases of `noise`. */
int cpu_fft_randomise(struct cpu_slot *slot, const float *noise, float *field,
                      struct ps_error *error);

/* Means of a field and of its squares over the disk of the template (a->disk_pixels) around each
 * pixel; pixels outside are 0 (simd_disk.c). */
int cpu_disk_means(struct cpu_slot *slot, const float *field, float *ret_mean,
                   float *ret_mean_square, struct ps_error *error);

/* Sets a->disk and a->area for a->reach and a->diameter_field_px. */
int cpu_disk_prepare(struct cpu_adaptive *a, struct ps_error *error);

/* Near the border a part of the template lies outside and does not count; integral images give the
 * sums over the rest. `weigh` makes two factors of what is left of a window, and `apply` gets those
 * of `count` pixels from number `pixel` on whose windows the border cuts, in several threads. */
typedef void cpu_cut_weigh(const void *context, const struct ps_cut *cut, float *ret_first,
                           float *ret_second);
typedef void cpu_cut_apply(void *context, size_t pixel, size_t count, const float *first,
                           const float *second);
int cpu_visit_cut_windows(struct cpu_slot *slot, cpu_cut_weigh *weigh, cpu_cut_apply *apply,
                          void *context, struct ps_error *error);
/* Integral image of a template's (2 reach + 1)^2 values, or of their squares: (2 reach + 2)^2
 * sums. */
void cpu_integrate(const struct cpu_adaptive *a, const float *values, bool squared,
                   double *ret_sums);
/* Sum over a rectangle. */
double cpu_integral_over(const struct cpu_adaptive *a, const double *integral,
                         const struct ps_cut *cut);

/* ---- stages, see backend/adaptive.h, and parts of them ---- */

typedef int cpu_respond_function(struct cpu_slot *slot,
                                 const struct ps_radial templates[PS_CHANNELS], bool *ret_flat,
                                 struct ps_error *error);
typedef int cpu_combine_function(struct cpu_slot *slot, const double weights[PS_CHANNELS],
                                 struct ps_error *error);
typedef int cpu_moments_function(struct cpu_slot *slot, struct ps_response_moments *ret_moments,
                                 struct ps_error *error);
typedef int cpu_peaks_function(struct cpu_slot *slot, double distance_field_px, bool windows,
                               struct ps_peak **ret_peaks, size_t *ret_count,
                               struct ps_error *error);
typedef int cpu_average_function(const struct cpu_slot *slot, const struct ps_peak *peaks,
                                 size_t count, struct ps_radial ret_profiles[PS_CHANNELS],
                                 struct ps_error *error);

/* Fills in mean and deviation of peaks: of the intensity, over a square as wide as the diameter. */
typedef void cpu_describe_function(const struct cpu_slot *slot, struct ps_peak *peaks,
                                   size_t count);

/* The functions of one instruction set. */
struct cpu_adaptive_functions {
    cpu_box_function *box;
    cpu_gauss_function *gauss;
    cpu_square_function *square;
    cpu_median_function *median;
    cpu_spread_function *spread;
    ps_adaptive_reduce_stage *reduce;
    ps_adaptive_randomise_stage *randomise;
    ps_adaptive_scale_stage *scale;
    cpu_respond_function *respond; /* stops at a constant template and sets `*ret_flat` */
    cpu_combine_function *combine; /* computes the score */
    cpu_moments_function *moments; /* of the responses */
    cpu_peaks_function *peaks;     /* maxima of the score; the caller frees `*ret_peaks` */
    cpu_average_function *average; /* radial mean of both channels around the peaks */
    cpu_describe_function *describe;
};

#ifdef PS_ISA
cpu_box_function cpu_box;
cpu_gauss_function cpu_gauss;
cpu_square_function cpu_square;
cpu_median_function cpu_median;
cpu_spread_function cpu_spread;
cpu_spread_function cpu_lower_spread;
ps_adaptive_reduce_stage cpu_adaptive_reduce;
ps_adaptive_randomise_stage cpu_adaptive_randomise;
ps_adaptive_scale_stage cpu_adaptive_scale;
cpu_respond_function cpu_adaptive_respond;
cpu_combine_function cpu_adaptive_combine;
cpu_moments_function cpu_adaptive_moments;
cpu_peaks_function cpu_adaptive_peaks;
cpu_average_function cpu_adaptive_average;
cpu_describe_function cpu_adaptive_describe;
#endif

#endif
