/* Launchers of the adaptive profile's kernels, in plain C; see launch.h.
 *
 * Maps are fields of `width` x `height` floats, `stride` floats from one to the next of a kind.
 * What is done to several maps at once is a launch with a list of jobs, which travels with the
 * launch. */
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

/* Jobs of a launch, at most: both channels of every lane, or four products of every level. */
enum { PS_JOBS = 2 * PS_LANES };

/* `passing` has room for one map, between columns and rows; `out` may be `in`. */
struct ps_filter_job {
    const void *in;
    void *passing;
    void *out;
    const float *weights; /* of a Gaussian, at distances 0 to radius */
    int radius;
    int squared; /* a box: of the squares */
};
struct ps_filter_jobs {
    int count;
    int width;
    int height;
    struct ps_filter_job job[PS_JOBS];
};

enum { PS_GAUSS_RADIUS_MAX = 128, PS_BOX_RADIUS_MAX = 400 };

/* Mean over a square of side 2 radius + 1; borders mirrored. float */
cudaError_t ps_launch_adaptive_box(const struct ps_filter_jobs *jobs, cudaStream_t stream);
/* Borders mirrored. float */
cudaError_t ps_launch_adaptive_gauss(const struct ps_filter_jobs *jobs, cudaStream_t stream);
/* Sets pixels whose square is set everywhere (erode), or anywhere. uint8 */
cudaError_t ps_launch_adaptive_square(const struct ps_filter_jobs *jobs, bool erode,
                                      cudaStream_t stream);

/* ---- order (adaptive_order.cu) ---- */

struct ps_spread {
    double median;
    double deviation; /* standard deviation, not 0, */
    float scale;      /* and 1 over it */
};

/* What a quantile needs between its passes; zeros before the first. */
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
    int blocks; /* of a job */
    size_t pixels;
    struct ps_order_job job[PS_JOBS];
};

/* Medians of the values where the mask is set: the lower of two middle ones, 0 of none. */
cudaError_t ps_launch_adaptive_median(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream);
/* And robust standard deviations: from the median deviation. */
cudaError_t ps_launch_adaptive_spread(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream);
/* Medians, and standard deviations of the halves below them. */
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
    struct ps_pixel_job job[PS_JOBS];
};

/* Means of bin x bin px of the micrograph, which is `micrograph_width` wide; the frame is mirrored.
 */
cudaError_t ps_launch_adaptive_bin(const float *micrograph, int micrograph_width, int bin,
                                   int width, int height, int frame, float *ret_field,
                                   cudaStream_t stream);
/* out = clip((in - median) / deviation) * weight, without the median unless `centre` */
cudaError_t ps_launch_adaptive_normalise(const struct ps_pixel_jobs *jobs, bool centre, float clip,
                                         cudaStream_t stream);
/* Marks what is far below, and what is far above, the median. */
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
/* From the means of the image, of its squares and of the weights over a square, three maps a level:
 * the image's mean and standard deviation there. */
cudaError_t ps_launch_adaptive_deviation(const float *means, size_t stride, size_t pixels,
                                         int levels, float *ret_mean, float *ret_deviation,
                                         cudaStream_t stream);

/* ---- correlation (adaptive_match.cu) ---- */

/* A diameter and its template's pixels, as (x, y) from the centre, ring by ring. */
struct ps_adaptive_level {
    double limit; /* a template counts up to this radius */
    int reach;    /* it has (2 reach + 1)^2 px */
    int disk;     /* so many of them count */
    int rings;    /* by rounded radius, up to the limit's */
    int first[PS_RADIAL_MAX + 1];
    int in_disk[PS_RADIAL_MAX]; /* px of the ring that count */
    const short (*pixels)[2];
    const int *area; /* px that count in the first rows and columns, (2 reach + 2)^2 of them */
};

/* Floats of an image to be transformed, and of a row of it: a spectrum takes its place. */
PS_HD size_t ps_image_row(int fft_width)
{
    return 2 * ((size_t)fft_width / 2 + 1);
}
PS_HD size_t ps_image_floats(int fft_width, int fft_height)
{
    return ps_image_row(fft_width) * (size_t)fft_height;
}

/* Sums over a template's first rows and columns. */
struct ps_cut_sums {
    double sum;
    double square;
};

/* What is where on the card. */
struct ps_adaptive_maps {
    int width;
    int height;
    int frame;
    size_t stride;
    size_t sums_stride;
    int fft_width; /* images to be transformed */
    int fft_height;
    float fft_scale; /* 1 over their pixels: a transform there and back multiplies by these */
    const struct ps_adaptive_level *levels;
    const uint8_t *unmasked;
    const uint8_t *allowed;
    float *intensity;
    float *energy;                      /* [level] */
    float *inverse;                     /* [level][channel] 1 / norm of the window */
    float *local;                       /* [level][channel] mean of the window */
    const float *mean;                  /* [level] over a square */
    const float *deviation;             /* [level] */
    float *response;                    /* [lane][channel] */
    float *raw;                         /* [lane] score before it is normalised */
    float *score;                       /* [lane] */
    struct ps_radial *profiles;         /* [lane][channel] what a template is made of */
    float *templates;                   /* [lane][channel][PS_RADIAL_MAX] zero mean, unit norm */
    struct ps_cut_sums *sums;           /* [lane][channel], `sums_stride` apart */
    struct ps_adaptive_answer *answers; /* [lane] */
};

struct ps_adaptive_answer {
    double sums[PS_MOMENT_SUMS]; /* over the unmasked pixels */
    int flat[PS_CHANNELS];
    unsigned found; /* maxima */
    unsigned kept;
    unsigned open; /* not yet known whether kept */
    unsigned ticket;
};

/* A channel of a lane: track t has the image t of a stack. */
struct ps_adaptive_tracks {
    int count;
    int rings; /* of the largest template */
    struct {
        short lane;
        short channel;
        short level;
    } track[PS_JOBS];
};

struct ps_image_jobs {
    int count;
    struct {
        const float *field; /* NULL: the disk of a level */
        int squared;
        int level;
    } job[PS_JOBS];
};

struct ps_product_jobs {
    int count;
    struct {
        const float2 *image;
        const float2 *template_; /* of a real, even template */
        float2 *out;
    } job[PS_JOBS];
};

/* Examples of lanes, one lane after the other. */
struct ps_adaptive_examples {
    const struct ps_peak *peaks;
    int first[PS_LANES];
    int count[PS_LANES];
};

/* Images to be transformed: fields with zeros after them, or disks about pixel (0, 0), wrapped. */
cudaError_t ps_launch_adaptive_images(const struct ps_adaptive_maps *maps,
                                      const struct ps_image_jobs *jobs, float *ret_stack,
                                      cudaStream_t stream);
/* Means around the examples, by radius, to maps->profiles. */
cudaError_t ps_launch_adaptive_average(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks,
                                       const struct ps_adaptive_examples *examples,
                                       cudaStream_t stream);
/* From maps->profiles to maps->templates, ->sums and ->answers, and to images of them, wrapped. */
cudaError_t ps_launch_adaptive_templates(const struct ps_adaptive_maps *maps,
                                         const struct ps_adaptive_tracks *tracks, float *ret_stack,
                                         cudaStream_t stream);
cudaError_t ps_launch_adaptive_multiply(const struct ps_adaptive_maps *maps,
                                        const struct ps_product_jobs *jobs, cudaStream_t stream);
/* From correlations with images, their squares and the disk (stack: two images a job, squares
 * first): means, and norms, to maps->local and ->inverse. A job is 2 level + channel. */
cudaError_t ps_launch_adaptive_norms(const struct ps_adaptive_maps *maps, int jobs,
                                     const float *stack, cudaStream_t stream);
/* inverse = 1 / max(inverse, floor(median)) */
cudaError_t ps_launch_adaptive_inverse(const struct ps_pixel_jobs *jobs, cudaStream_t stream);
/* From correlations to maps->response, not smoothed. */
cudaError_t ps_launch_adaptive_respond(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks, const float *stack,
                                       cudaStream_t stream);

/* ---- a null (adaptive_null.cu) ---- */

/* Two images to be transformed, zeros after them: the intensity channel, and noise. */
cudaError_t ps_launch_adaptive_noise(const struct ps_adaptive_maps *maps, unsigned seed,
                                     float *ret_images, cudaStream_t stream);
/* The first one's spectrum gets the phases of the second one's. */
cudaError_t ps_launch_adaptive_turn(const struct ps_adaptive_maps *maps, float *images,
                                    cudaStream_t stream);
/* From an image to the intensity channel. */
cudaError_t ps_launch_adaptive_null(const struct ps_adaptive_maps *maps, const float *image,
                                    cudaStream_t stream);

/* ---- what comes back (adaptive_match.cu, adaptive_peaks.cu) ---- */

enum { PS_MOMENT_BLOCKS = 256 };
/* Moments of the responses of the tracks' lanes; `parts` has 5 doubles a track and block. */
cudaError_t ps_launch_adaptive_moments(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks, double *parts,
                                       cudaStream_t stream);
/* Values of `kinds` maps of each lane, `stride` floats apart, at its examples: to ret_values[kind *
 * value_stride + first of the lane + example]. */
cudaError_t ps_launch_adaptive_sample(const float *maps, size_t stride, int kinds, int width,
                                      int lanes, const struct ps_adaptive_examples *examples,
                                      size_t value_stride, float *ret_values, cudaStream_t stream);

/* ---- peaks (adaptive_peaks.cu) ---- */

/* Lanes whose peaks are looked for, and what it takes. */
struct ps_adaptive_search {
    int count;
    size_t capacity; /* maxima of a lane, at most */
    size_t cells;    /* of a lane, at most */
    struct ps_spread *spreads;
    unsigned long long *keys; /* of maxima: the larger the better */
    int *next;                /* in the same cell */
    uint8_t *states;
    int *heads; /* of cells */
    unsigned *open;
    unsigned long long *kept; /* keys */
    struct {
        short lane;
        short level;
        float weights[PS_CHANNELS];
        int radius;  /* of a maximum */
        int squared; /* distance of peaks: this or less is too near */
        float inverse_cell;
        int columns; /* of cells */
        int rows;
    } job[PS_LANES];
};

/* The score, and no peaks yet. */
cudaError_t ps_launch_adaptive_score(const struct ps_adaptive_maps *maps,
                                     const struct ps_adaptive_search *search, cudaStream_t stream);
/* Normalises it by `spreads` and finds its peaks: in ret_peaks job after job, the best first. */
cudaError_t ps_launch_adaptive_peaks(const struct ps_adaptive_maps *maps,
                                     const struct ps_adaptive_search *search, int blocks,
                                     struct ps_peak *ret_peaks, cudaStream_t stream);
/* To a fraction of a pixel: x, y. */
cudaError_t ps_launch_adaptive_locate(const float *score, int width, int height,
                                      const struct ps_peak *peaks, size_t count,
                                      double *ret_centres, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
