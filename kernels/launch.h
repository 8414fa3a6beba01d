/* Launchers of the kernels, in C for the host code (src/backend/cuda/).
 *
 * Each enqueues its kernels on `stream` and returns the result of the launches. Pointers are to
 * device memory; images are stored row by row. Launchers do not allocate, wait or decide. */
#ifndef PS_KERNELS_LAUNCH_H
#define PS_KERNELS_LAUNCH_H

#include "formulas/formulas.h"
#include "formulas/dead_lines.h"
#include "formulas/weights.h"
#include "pickstream.h"

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- upload (upload.cu) ---- */

struct ps_upload_statistics {
    double sum; /* all of the finite pixels */
    unsigned long long finite;
    float minimum;
    float maximum;
};

/* Number of `parts` that the conversion of `count` pixels needs. */
size_t ps_upload_parts(size_t count);

/* Converts `count` pixels and computes their statistics; `raw` can be `ret_pixels`. */
cudaError_t ps_launch_upload_convert(const void *raw, enum ps_pixel type, size_t count,
                                     float *ret_pixels, struct ps_upload_statistics *parts,
                                     struct ps_upload_statistics *ret_total, cudaStream_t stream);
/* Replaces non-finite pixels by `value`. */
cudaError_t ps_launch_upload_replace(float *pixels, size_t count, float value, cudaStream_t stream);
/* Sets 1 for each column, or row, of a single value. */
cudaError_t ps_launch_upload_columns(const float *pixels, int width, int height,
                                     uint8_t *ret_constant, cudaStream_t stream);
cudaError_t ps_launch_upload_rows(const float *pixels, int width, int height, uint8_t *ret_constant,
                                  cudaStream_t stream);
/* Repairs `lines` > 0 dead lines of `count` pixels. Lines are `step` pixels apart, pixels of a line
 * `stride`. */
cudaError_t ps_launch_upload_interpolate(float *pixels, const struct ps_dead_line *dead,
                                         size_t lines, size_t step, int count, size_t stride,
                                         cudaStream_t stream);

/* ---- preprocess (preprocess.cu) ---- */

/* Weights of a ps_resampler in device memory, for a square shrunk to side x side. */
enum { PS_SHRINK_MAX_TAPS = 16 };
struct ps_shrink {
    int side;
    int taps;
    const int *first;
    const double *weights;
};

/* Number of `sums` that the shrinking needs. */
size_t ps_shrink_parts(int side);
/* `micrograph` is the first pixel of the square, `stride` the length of its rows. `*ret_outside`
 * becomes minus the mean of the shrunk image. */
cudaError_t ps_launch_preprocess_shrink(const float *micrograph, int stride,
                                        const struct ps_shrink *shrink, float *ret_shrunk,
                                        double *sums, float *ret_outside, cudaStream_t stream);
/* Low-pass of the shrunk image plus `*outside`, which is also the value beyond the border. */
cudaError_t ps_launch_preprocess_smooth(const float *shrunk, int side,
                                        const struct ps_smooth *smooth, const float *outside,
                                        float *ret_image, cudaStream_t stream);

/* ---- moments, references, features (moments.cu) ---- */

/* Moments of every q x q window. `prefix` takes side x (side + 1) pairs of doubles. */
cudaError_t ps_launch_moments(const float *image, int side, int q, void *prefix, float *ret_mean,
                              float *ret_deviation, cudaStream_t stream);
/* Origins (row, column) of the four references of each of per_side x per_side containers. */
cudaError_t ps_launch_references_choose(const float *mean, const float *deviation, int side, int q,
                                        int container, int per_side, int (*ret_origins)[2],
                                        cudaStream_t stream);
/* Mean and deviation of `count` > 0 windows at (row, column). */
cudaError_t ps_launch_features_gather(const float *mean, const float *deviation, int windows,
                                      const int (*origins)[2], int count, float (*ret_features)[2],
                                      cudaStream_t stream);

/* ---- score (score.cu, score_plain.cu, score_fused.cu) ---- */

/* Windows of q x q pixels, times `scale`: `count` references at `origins`, or `count` queries of a
 * grid of `per_side`, from number `first` on. After `last`, the last one is repeated. */
cudaError_t ps_launch_score_gather(const float *image, int side, int q, const int (*origins)[2],
                                   int per_side, size_t first, size_t last, size_t count,
                                   float scale, float *ret_windows, cudaStream_t stream);

/* Products of the references' spectra with the conjugate ones of the queries, DC 0, of `count`
 * pairs from number `first` on. A query's pairs with all references are adjacent. */
cudaError_t ps_launch_score_multiply(const float *query_spectra, const float *reference_spectra,
                                     int q, size_t references, size_t pairs, size_t first,
                                     size_t count, float *ret_products, cudaStream_t stream);
/* The response of each pair: the largest value of each of `count` images of `pixels` pixels. */
cudaError_t ps_launch_score_largest(const float *images, size_t pixels, size_t count,
                                    float *ret_responses, cudaStream_t stream);

/* Layout of the fused kernel. */
enum {
    PS_FUSED_MIN_OUTPUTS = 4,
    PS_FUSED_MAX_OUTPUTS = 8,
    PS_FUSED_MAX_THREADS = 256,
    PS_FUSED_MAX_SIZE = 96, /* q; beyond, cuFFT is expected to be faster */
};
struct ps_fused {
    int q;
    int lanes;        /* queries per block; responses are [group of lanes][reference][lane] */
    int outputs;      /* per part of the transform */
    int parts;        /* of equal size */
    int references;   /* per block */
    int table_floats; /* [part][k][cosines, sines of the outputs] */
    int stride;       /* between row pairs in shared memory, in float4 */
    int between;      /* size of the data between the passes, in float4 */
    int threads;
    int shared_bytes;
    int shared_limit; /* bytes per block; every launch raises the kernel's limit to it */
};

/* Outputs of a table row, padded to be read four floats at a time. */
PS_HD int ps_fused_padded(int outputs)
{
    return (outputs + 3) / 4 * 4;
}

/* Length of a row pair. Rows that neighbouring threads read at once must fall into different banks:
 * a row of fewer than 8 lanes starts as many banks after the one before as a column does. */
PS_HD int ps_fused_stride(int columns, int lanes)
{
    int length = columns * lanes;
    return length + (lanes % 8 - length % 8 + 8) % 8;
}

/* False: q is odd, too large, or needs more shared memory than `shared_limit`, or too few warps
 * would be resident. */
bool ps_score_fused_plan(int q, int queries, int references, int shared_limit, int multiprocessors,
                         struct ps_fused *ret_shape);

struct ps_score_run {
    const float *waves; /* host: cosines and sines of 2 pi i / q, q of each */
    const float *table; /* this and the rest: device */
    const float *query_spectra;
    int queries;
    const float *reference_spectra; /* of windows gathered with scale 2 / q^2 */
    int references;
    float *responses;
    cudaStream_t stream;
};
cudaError_t ps_launch_score_fused(const struct ps_fused *shape, const struct ps_score_run *run);

/* Ranges of `count` responses: PS_SCORE_RANGES pairs of smallest and largest. */
enum { PS_SCORE_RANGES = 256 };
cudaError_t ps_launch_score_range(const float *responses, size_t count, float (*ret_ranges)[2],
                                  cudaStream_t stream);
/* The threshold, from `count` ranges. */
cudaError_t ps_launch_score_threshold(const float (*ranges)[2], int count, float *ret_threshold,
                                      cudaStream_t stream);
/* Number of references that respond to each of `queries` queries. */
cudaError_t ps_launch_score_count(const float *responses, int lanes, int references, size_t queries,
                                  const float *threshold, int32_t *ret_score, cudaStream_t stream);

/* ---- classify (classify.cu) ---- */

/* The model's arrays are in device memory. `*ret_particle` counts the windows classified as
 * particle. */
cudaError_t ps_launch_classify_rbf(const struct ps_rbf *model, const float *mean,
                                   const float *deviation, size_t windows, uint8_t *ret_mask,
                                   unsigned long long *ret_particle, cudaStream_t stream);
cudaError_t ps_launch_classify_quadratic(const struct ps_quadratic *model, const float *mean,
                                         const float *deviation, size_t windows, uint8_t *ret_mask,
                                         unsigned long long *ret_particle, cudaStream_t stream);

/* ---- regions (label.cu, regions.cu) ---- */

/* Mask whose regions are the set pixels, or the unset ones if `background`. Rows are `stride`
 * apart. */
struct ps_mask_view {
    const uint8_t *pixels;
    int width;
    int height;
    int stride;
    bool background;
};

PS_HD bool ps_mask_at(struct ps_mask_view mask, int x, int y)
{
    return (mask.pixels[(size_t)y * (size_t)mask.stride + (size_t)x] != 0) != mask.background;
}

/* Labels: one per pixel, after one for the outside (kernels/label.h). Regions are connected by
 * edges, and by corners if `diagonal`; if `outside`, the border is connected to label 0. */
cudaError_t ps_launch_label(const struct ps_mask_view *mask, bool diagonal, bool outside,
                            int *ret_labels, cudaStream_t stream);

/* Like ps_region of image/binary.h. */
struct ps_region_sums {
    unsigned long long area;
    unsigned long long row_sum;
    unsigned long long column_sum;
};

/* Measures the regions of `labels` (made without `outside`) in scan order. There can be a quarter
 * as many as pixels, with rows and columns rounded up. `counts` has one entry per row. Overwrites
 * the labels. */
cudaError_t ps_launch_regions(const struct ps_mask_view *mask, int *labels, int *counts,
                              int *ret_total, struct ps_region_sums *ret_measures,
                              cudaStream_t stream);

/* ---- clean (clean.cu) ---- */

/* Sets the holes, which `labels` of the background, made with `outside`, show. If that sets all
 * pixels, clears a corner of `corner` <= 256 px. */
cudaError_t ps_launch_clean_fill(const int *labels, int side, int corner, uint8_t *ret_mask,
                                 unsigned *open, cudaStream_t stream);
/* Number of the two erosions that keep a pixel, as ps_binary_erosion_levels(). */
cudaError_t ps_launch_clean_erode(const uint8_t *mask, int side, int smallest, int largest,
                                  uint16_t *distances, uint8_t *ret_levels, cudaStream_t stream);
/* Mask of the labelled regions of `levels` above 0 that have no pixel of level 2. */
cudaError_t ps_launch_clean_drop(const uint8_t *levels, const int *labels, int side, uint8_t *large,
                                 uint8_t *ret_mask, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
