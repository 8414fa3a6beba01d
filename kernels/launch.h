/* Launchers of the kernels, in plain C for the host code (src/backend/cuda/).
 *
 * Each enqueues its kernels on `stream` and returns what the runtime said of the launches. Pointers
 * are into device memory; images lie row by row. Nothing here allocates, waits or decides. */
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
    double sum; /* of the finite pixels, and so on */
    unsigned long long finite;
    float minimum;
    float maximum;
};

/* How many `parts` the conversion of `count` pixels needs. */
size_t ps_upload_parts(size_t count);

/* Converts `count` pixels; `raw` may be `ret_pixels`, which are then only looked at. */
cudaError_t ps_launch_upload_convert(const void *raw, enum ps_pixel type, size_t count,
                                     float *ret_pixels, struct ps_upload_statistics *parts,
                                     struct ps_upload_statistics *ret_total, cudaStream_t stream);
/* Writes `value` over pixels that are no finite numbers. */
cudaError_t ps_launch_upload_replace(float *pixels, size_t count, float value, cudaStream_t stream);
/* 1 for every column, or row, whose pixels are all the same. */
cudaError_t ps_launch_upload_columns(const float *pixels, int width, int height,
                                     uint8_t *ret_constant, cudaStream_t stream);
cudaError_t ps_launch_upload_rows(const float *pixels, int width, int height, uint8_t *ret_constant,
                                  cudaStream_t stream);
/* Repairs `lines` > 0 dead lines of `count` pixels: lines are `step` pixels apart, their pixels
 * `stride`. */
cudaError_t ps_launch_upload_interpolate(float *pixels, const struct ps_dead_line *dead,
                                         size_t lines, size_t step, int count, size_t stride,
                                         cudaStream_t stream);

/* ---- preprocess (preprocess.cu) ---- */

/* A square of the micrograph shrunk to side x side: what ps_resampler says, on the card. */
enum { PS_SHRINK_MOST_TAPS = 16 };
struct ps_shrink {
    int side;
    int taps;
    const int *first;
    const double *weights;
};

/* How many `sums` the shrinking needs. */
size_t ps_shrink_parts(int side);
/* `micrograph` is the square's first pixel, `stride` the length of its rows. `*ret_outside` becomes
 * minus the mean of the shrunk image. */
cudaError_t ps_launch_preprocess_shrink(const float *micrograph, int stride,
                                        const struct ps_shrink *shrink, float *ret_shrunk,
                                        double *sums, float *ret_outside, cudaStream_t stream);
/* Low-pass of the shrunk image plus `*outside`, which is also what lies around it. */
cudaError_t ps_launch_preprocess_smooth(const float *shrunk, int side,
                                        const struct ps_smooth *smooth, const float *outside,
                                        float *ret_image, cudaStream_t stream);

/* ---- moments, references, features (moments.cu) ---- */

/* Of every q x q window. `prefix` takes side x (side + 1) pairs of doubles. */
cudaError_t ps_launch_moments(const float *image, int side, int q, void *prefix, float *ret_mean,
                              float *ret_deviation, cudaStream_t stream);
/* Places (row, column) of the four references of each of per_side x per_side containers. */
cudaError_t ps_launch_references_choose(const float *mean, const float *deviation, int side, int q,
                                        int container, int per_side, int (*ret_origins)[2],
                                        cudaStream_t stream);
/* Mean and deviation of `count` > 0 windows at (row, column). */
cudaError_t ps_launch_features_gather(const float *mean, const float *deviation, int windows,
                                      const int (*places)[2], int count, float (*ret_features)[2],
                                      cudaStream_t stream);

/* ---- score (score.cu, score_plain.cu, score_fused.cu) ---- */

/* Windows of q x q pixels, times `scale`: of `count` references at their origins, or of `count`
 * queries of a grid of `per_side`, from number `first` on; where there are no more, the last one
 * again. */
cudaError_t ps_launch_score_gather(const float *image, int side, int q, const int (*origins)[2],
                                   int per_side, size_t first, size_t last, size_t count,
                                   float scale, float *ret_windows, cudaStream_t stream);

/* Products of the spectra of references with the conjugate ones of queries, DC 0, for `count` pairs
 * from number `first` on: a query's pairs with all references come one after the other. */
cudaError_t ps_launch_score_multiply(const float *query_spectra, const float *reference_spectra,
                                     int q, size_t references, size_t pairs, size_t first,
                                     size_t count, float *ret_products, cudaStream_t stream);
/* The largest value of each of `count` images of `pixels` pixels, as the response of the pair. */
cudaError_t ps_launch_score_largest(const float *images, size_t pixels, size_t count,
                                    float *ret_responses, cudaStream_t stream);

/* How the fused kernel is laid out. */
enum {
    PS_FUSED_LEAST_OUTPUTS = 4,
    PS_FUSED_MOST_OUTPUTS = 8,
    PS_FUSED_MOST_THREADS = 256,
    PS_FUSED_MOST_SIZE = 96, /* q; from about there on cuFFT is expected to be the faster one */
};
struct ps_fused {
    int q;
    int lanes;        /* queries of a block; responses are [group of lanes][reference][lane] */
    int outputs;      /* of a part of the transform */
    int parts;        /* equal ones */
    int references;   /* that a block walks through */
    int table_floats; /* [part][k][cosines, sines of the outputs] */
    int stride;       /* of row pairs in shared memory, in four floats */
    int between;      /* size of what is there, likewise */
    int threads;
    int shared_bytes;
    int shared_limit; /* that a block can have: what every launch allows the kernel to take */
};

/* Outputs in the table, whose rows are read four floats at a time. */
PS_HD int ps_fused_padded(int outputs)
{
    return (outputs + 3) / 4 * 4;
}

/* Length of a row pair: so that rows which neighbouring threads read at once fall into different
 * banks, a row of fewer than 8 lanes begins as many banks on as a column. */
PS_HD int ps_fused_stride(int columns, int lanes)
{
    int length = columns * lanes;
    return length + (lanes % 8 - length % 8 + 8) % 8;
}

/* False: q is too large, or odd, or does not fit `shared_limit` bytes of shared memory, or too
 * little would run at once. */
bool ps_score_fused_plan(int q, int queries, int references, int shared_limit, int multiprocessors,
                         struct ps_fused *ret_shape);

struct ps_score_run {
    const float *waves; /* on the host: cosines and sines of 2 pi i / q, q each */
    const float *table; /* from here on on the card */
    const float *query_spectra;
    int queries;
    const float *reference_spectra; /* of windows gathered with scale 2 / q^2 */
    int references;
    float *responses;
    cudaStream_t stream;
};
cudaError_t ps_launch_score_fused(const struct ps_fused *shape, const struct ps_score_run *run);

/* Range of `count` responses, into PS_SCORE_RANGES pairs of smallest and largest. */
enum { PS_SCORE_RANGES = 256 };
cudaError_t ps_launch_score_range(const float *responses, size_t count, float (*ret_ranges)[2],
                                  cudaStream_t stream);
/* The threshold, from `count` ranges. */
cudaError_t ps_launch_score_threshold(const float (*ranges)[2], int count, float *ret_threshold,
                                      cudaStream_t stream);
/* How many references respond to each of `queries` queries. */
cudaError_t ps_launch_score_count(const float *responses, int lanes, int references, size_t queries,
                                  const float *threshold, int32_t *ret_score, cudaStream_t stream);

/* ---- classify (classify.cu) ---- */

/* The model's arrays are on the card. `*ret_particle` counts the windows it calls particle. */
cudaError_t ps_launch_classify_rbf(const struct ps_rbf *model, const float *mean,
                                   const float *deviation, size_t windows, uint8_t *ret_mask,
                                   unsigned long long *ret_particle, cudaStream_t stream);
cudaError_t ps_launch_classify_quadratic(const struct ps_quadratic *model, const float *mean,
                                         const float *deviation, size_t windows, uint8_t *ret_mask,
                                         unsigned long long *ret_particle, cudaStream_t stream);

/* ---- regions (label.cu, regions.cu) ---- */

/* Pixels of a mask that are set (or not set, if `background`); rows are `stride` apart. */
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

/* Labels, one a pixel and one before them (kernels/label.h): regions that are connected by edges,
 * and with `diagonal` by corners; with `outside` the border is connected to label 0. */
cudaError_t ps_launch_label(const struct ps_mask_view *mask, bool diagonal, bool outside,
                            int *ret_labels, cudaStream_t stream);

/* As ps_region of image/binary.h. */
struct ps_region_sums {
    unsigned long long area;
    unsigned long long row_sum;
    unsigned long long column_sum;
};

/* Measures the regions of `labels` (made without `outside`) in scan order; there can be a quarter
 * as many, rows and columns rounded up, as pixels. `counts` is one a row. The labels are used up.
 */
cudaError_t ps_launch_regions(const struct ps_mask_view *mask, int *labels, int *counts,
                              int *ret_total, struct ps_region_sums *ret_measures,
                              cudaStream_t stream);

/* ---- clean (clean.cu) ---- */

/* Sets what `labels` of the background, with `outside`, show as holes; if that is everything,
 * clears a corner of the mask, `corner` <= 256 pixels wide. */
cudaError_t ps_launch_clean_fill(const int *labels, int side, int corner, uint8_t *ret_mask,
                                 unsigned *open, cudaStream_t stream);
/* How many of two erosions keep a pixel, as ps_binary_erosion_levels(). */
cudaError_t ps_launch_clean_erode(const uint8_t *mask, int side, int smallest, int largest,
                                  uint16_t *distances, uint8_t *ret_levels, cudaStream_t stream);
/* The mask of the regions of `levels` above 0, labelled, that have no pixel of level 2. */
cudaError_t ps_launch_clean_drop(const uint8_t *levels, const int *labels, int side, uint8_t *large,
                                 uint8_t *ret_mask, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
