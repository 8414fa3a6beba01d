/* Launchers of the adaptive profile's kernels, in C; see launch.h.
 *
 * Maps are fields of `width` x `height` floats; maps of one kind are `stride` floats apart. A
 * launch on several maps gets a list of jobs as a kernel argument. */
#ifndef PS_KERNELS_LAUNCH_ADAPTIVE_H
#define PS_KERNELS_LAUNCH_ADAPTIVE_H

#include "formulas/adaptive_formulas.h"

#include <cuda_runtime_api.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- filters (adaptive_filter.cu) ---- */

/* Jobs per launch: both channels of every item, or four products of every level. */
enum { PS_MAX_JOBS = 2 * PS_MAX_ITEMS };

/* `passing` holds one map between columns and rows; `out` can be `in`. */
struct ps_filter_job {
    const void *in;
    void *passing;
    void *out;
    const float *weights; /* of a Gaussian, at distances 0 to radius */
    int radius;
    int squared; /* box: filter the squares */
};
struct ps_filter_jobs {
    int count;
    int width;
    int height;
    struct ps_filter_job job[PS_MAX_JOBS];
};

enum { PS_MAX_GAUSS_RADIUS = 128, PS_MAX_BOX_RADIUS = 400 }; /* px of the field */

/* Mean over a square of side 2 radius + 1; borders mirrored. float */
cudaError_t ps_launch_adaptive_box(const struct ps_filter_jobs *jobs, cudaStream_t stream);
/* Borders mirrored. float */
cudaError_t ps_launch_adaptive_gauss(const struct ps_filter_jobs *jobs, cudaStream_t stream);
/* Sets pixels whose square is set everywhere (`erode`), or anywhere. uint8 */
cudaError_t ps_launch_adaptive_square(const struct ps_filter_jobs *jobs, bool erode,
                                      cudaStream_t stream);

/* ---- order (adaptive_order.cu) ---- */

struct ps_spread {
    double median;
    double deviation; /* standard deviation, not 0 */
    float scale;      /* 1 / deviation */
};

/* State of a quantile between its passes; zeros before the first. */
enum { PS_ORDER_BINS = 2048 };
struct ps_order_state {
    unsigned known; /* bits of the key */
    unsigned rank;
    unsigned empty;
    unsigned ticket;
    unsigned counts[PS_ORDER_BINS];
};

struct ps_order_job {
    const float *values;
    const uint8_t *mask; /* NULL: all pixels */
    struct ps_spread *spread;
};
struct ps_order_jobs {
    int count;
    int blocks; /* per job */
    size_t pixels;
    struct ps_order_job job[PS_MAX_JOBS];
};

/* Medians over the pixels where the mask is set: the lower of two middle values; 0 without
 * pixels. */
cudaError_t ps_launch_adaptive_median(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream);
/* Medians, and robust standard deviations from the median deviations. */
cudaError_t ps_launch_adaptive_spread(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream);
/* Medians, and standard deviations of the values below them. */
cudaError_t ps_launch_adaptive_lower_spread(const struct ps_order_jobs *jobs,
                                            struct ps_order_state *states, cudaStream_t stream);

/* ---- from the micrograph to the channels (adaptive_reduce.cu) ---- */

struct ps_pixel_job {
    const float *in;
    const float *other;
    const float *weight; /* NULL: 1 */
    float *out;
    const struct ps_spread *spread;
};
struct ps_pixel_jobs {
    int count;
    size_t pixels;
    struct ps_pixel_job job[PS_MAX_JOBS];
};

/* Means of bin x bin px of the micrograph, which is `micrograph_width` px wide; mirrors the
 * frame. */
cudaError_t ps_launch_adaptive_bin(const float *micrograph, int micrograph_width, int bin,
                                   int width, int height, int frame, float *ret_field,
                                   cudaStream_t stream);
/* out = clip((in - median) / deviation) * weight; without the median unless `centre`. */
cudaError_t ps_launch_adaptive_normalise(const struct ps_pixel_jobs *jobs, bool centre, float clip,
                                         cudaStream_t stream);
/* Marks pixels `far` deviations below, and above, the median. */
cudaError_t ps_launch_adaptive_extremes(const float *mean, const struct ps_spread *spread,
                                        double far, size_t pixels, uint8_t *ret_below,
                                        uint8_t *ret_above, cudaStream_t stream);
/* Marks pixels that are not dead, 1 and 0, from the map of dead ones without the frame: a pixel of
 * the frame is as the nearest one of the image. */
cudaError_t ps_launch_adaptive_live(const uint8_t *dead, int width, int height, int frame,
                                    uint8_t *ret_live, float *ret_weight, cudaStream_t stream);
/* Maps of bytes; NULL: there are no contaminants, and all pixels are live. */
struct ps_mask_inputs {
    const uint8_t *below; /* contaminants, darker and */
    const uint8_t *above; /* brighter */
    const uint8_t *live;  /* may be ret_unmasked */
};
/* Pixels that are live and not contaminants are allowed, and unmasked if not in the frame; the rest
 * of the image becomes 0. Counts the unmasked. */
cudaError_t ps_launch_adaptive_mask(const struct ps_mask_inputs *inputs, int width, int height,
                                    int frame, float *image, uint8_t *ret_allowed,
                                    uint8_t *ret_unmasked, float *ret_weight,
                                    unsigned long long *ret_count, cudaStream_t stream);
/* out = (out - in / share(other)) * weight */
cudaError_t ps_launch_adaptive_background(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* out = (in - other)^2 * weight */
cudaError_t ps_launch_adaptive_detail(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* out = in / share(other) */
cudaError_t ps_launch_adaptive_divide(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* out = log(in + floor(median)) */
cudaError_t ps_launch_adaptive_logarithm(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* out = (in - median) * weight */
cudaError_t ps_launch_adaptive_centre(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* Mean and standard deviation of the image over a square, from the means of the image, of its
 * squares and of the weights over that square, three maps per level. */
cudaError_t ps_launch_adaptive_deviation(const float *means, size_t stride, size_t pixels,
                                         int levels, float *ret_mean, float *ret_deviation,
                                         cudaStream_t stream);

/* ---- correlation (adaptive_template.cu, adaptive_match.cu) ---- */

/* A diameter and its template's pixels, as (x, y) from the centre, ring by ring. */
struct ps_adaptive_level {
    double limit; /* radius of the template's disk, px of the field */
    int reach;    /* the template has (2 reach + 1)^2 px */
    int disk;     /* px inside the disk */
    int rings;    /* by rounded radius, up to that of the limit */
    int first[PS_MAX_RINGS + 1];
    int in_disk[PS_MAX_RINGS]; /* px of the ring inside the disk */
    const short (*pixels)[2];
    const int *area; /* integral image of the disk, (2 reach + 2)^2 */
};

/* Floats of a row, and of an image, that is transformed in place. */
PS_HD size_t ps_image_row(int fft_width)
{
    return 2 * ((size_t)fft_width / 2 + 1);
}
PS_HD size_t ps_image_floats(int fft_width, int fft_height)
{
    return ps_image_row(fft_width) * (size_t)fft_height;
}

/* Entry of the integral images of a template and of its squares. */
struct ps_cut_sums {
    double sum;
    double square;
};

/* Pointers to the state on the device. */
struct ps_adaptive_maps {
    int width;
    int height;
    int frame;
    size_t stride;
    size_t sums_stride;
    int fft_width; /* of images to be transformed */
    int fft_height;
    float fft_scale; /* 1 / pixels of an image: transforms are unscaled */
    const struct ps_adaptive_level *levels;
    const uint8_t *unmasked;
    const uint8_t *allowed;
    float *intensity;
    float *energy;                      /* [level] */
    float *inverse;                     /* [level][channel] 1 / norm of the window */
    float *local;                       /* [level][channel] mean of the window */
    const float *mean;                  /* [level] over a square */
    const float *deviation;             /* [level] */
    float *response;                    /* [item][channel] */
    float *raw;                         /* [item] score before normalisation */
    float *score;                       /* [item] */
    struct ps_radial *profiles;         /* [item][channel] radial means, input of templates */
    float *templates;                   /* [item][channel][PS_MAX_RINGS] zero mean, unit norm */
    struct ps_cut_sums *sums;           /* [item][channel], `sums_stride` apart */
    struct ps_adaptive_result *results; /* [item] */
};

struct ps_adaptive_result {
    double sums[PS_MOMENT_SUMS]; /* over the unmasked pixels */
    int flat[PS_CHANNELS];
    unsigned found; /* maxima */
    unsigned kept;
    unsigned open; /* maxima not yet kept or dropped */
    unsigned ticket;
};

/* One channel of an item. Track t uses image t of a stack. */
struct ps_adaptive_tracks {
    int count;
    int rings; /* of the largest template */
    struct {
        short item;
        short channel;
        short level;
    } track[PS_MAX_JOBS];
};

struct ps_image_jobs {
    int count;
    struct {
        const float *field; /* NULL: the disk of a level */
        int squared;
        int level;
    } job[PS_MAX_JOBS];
};

struct ps_product_jobs {
    int count;
    struct {
        const float2 *image;
        const float2 *template_; /* of a real, even template */
        float2 *out;
    } job[PS_MAX_JOBS];
};

/* Examples of a batch, one item after the other. */
struct ps_adaptive_examples {
    const struct ps_peak *peaks;
    int first[PS_MAX_ITEMS];
    int count[PS_MAX_ITEMS];
};

/* Images to be transformed: fields followed by zeros, or disks around pixel (0, 0), wrapped. */
cudaError_t ps_launch_adaptive_images(const struct ps_adaptive_maps *maps,
                                      const struct ps_image_jobs *jobs, float *ret_stack,
                                      cudaStream_t stream);
/* Radial means around the examples, to maps->profiles. */
cudaError_t ps_launch_adaptive_average(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks,
                                       const struct ps_adaptive_examples *examples,
                                       cudaStream_t stream);
/* Computes maps->templates, ->sums and ->results from ->profiles, and wrapped images of the
 * templates. */
cudaError_t ps_launch_adaptive_templates(const struct ps_adaptive_maps *maps,
                                         const struct ps_adaptive_tracks *tracks, float *ret_stack,
                                         cudaStream_t stream);
cudaError_t ps_launch_adaptive_multiply(const struct ps_adaptive_maps *maps,
                                        const struct ps_product_jobs *jobs, cudaStream_t stream);
/* Window means and norms, to maps->local and ->inverse, from correlations of images and their
 * squares with the disk (two images per job in `stack`, squares first). A job is 2 level +
 * channel. */
cudaError_t ps_launch_adaptive_norms(const struct ps_adaptive_maps *maps, int jobs,
                                     const float *stack, cudaStream_t stream);
/* inverse = 1 / max(inverse, floor(median)) */
cudaError_t ps_launch_adaptive_inverse(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* Responses before smoothing, from correlations, to maps->response. */
cudaError_t ps_launch_adaptive_respond(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks, const float *stack,
                                       cudaStream_t stream);

/* ---- null field (adaptive_null.cu) ---- */

/* Two images to be transformed, followed by zeros: the intensity channel, and noise. */
cudaError_t ps_launch_adaptive_noise(const struct ps_adaptive_maps *maps, unsigned seed,
                                     float *ret_images, cudaStream_t stream);
/* Gives the first image's spectrum the phases of the second's. */
cudaError_t ps_launch_adaptive_turn(const struct ps_adaptive_maps *maps, float *images,
                                    cudaStream_t stream);
/* Copies an image to the intensity channel. */
cudaError_t ps_launch_adaptive_null(const struct ps_adaptive_maps *maps, const float *image,
                                    cudaStream_t stream);

/* ---- results (adaptive_match.cu, adaptive_sample.cu) ---- */

enum { PS_MOMENT_BLOCKS = 256 };
/* Moments of the responses of the tracks' items; `parts` has 5 doubles per track and block. */
cudaError_t ps_launch_adaptive_moments(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks, double *parts,
                                       cudaStream_t stream);
/* Values of `kinds` maps of each item, `stride` floats apart, at its examples, to ret_values[kind *
 * value_stride + first of the item + example]. */
cudaError_t ps_launch_adaptive_sample(const float *maps, size_t stride, int kinds, int width,
                                      int items, const struct ps_adaptive_examples *examples,
                                      size_t value_stride, float *ret_values, cudaStream_t stream);
/* Position (x, y) of the maximum near each peak, to a fraction of a pixel. */
cudaError_t ps_launch_adaptive_locate(const float *score, int width, int height,
                                      const struct ps_peak *peaks, size_t count,
                                      double *ret_centres, cudaStream_t stream);

/* ---- peaks (adaptive_peaks.cu) ---- */

/* Items whose peaks are searched, and the memory of the search. */
struct ps_adaptive_search {
    int count;
    size_t capacity; /* maxima per item */
    size_t cells;    /* per item */
    struct ps_spread *spreads;
    unsigned long long *keys; /* of maxima: larger is better */
    int *next;                /* maximum in the same cell; -1: none */
    uint8_t *states;
    int *heads; /* first maximum of each cell; -1: none */
    unsigned *open;
    unsigned long long *kept; /* keys */
    struct {
        short item;
        short level;
        float weights[PS_CHANNELS];
        int radius;  /* of a maximum, px of the field */
        int squared; /* distance: peaks this close or closer
                        exclude each other */
        float inverse_cell;
        int columns; /* of cells */
        int rows;
    } job[PS_MAX_ITEMS];
};

/* Computes the score, and resets the search. */
cudaError_t ps_launch_adaptive_score(const struct ps_adaptive_maps *maps,
                                     const struct ps_adaptive_search *search, cudaStream_t stream);
/* Normalises the score by `spreads` and finds its peaks, in ret_peaks job after job, best first. */
cudaError_t ps_launch_adaptive_peaks(const struct ps_adaptive_maps *maps,
                                     const struct ps_adaptive_search *search, int blocks,
                                     struct ps_peak *ret_peaks, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
