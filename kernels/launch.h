/* Launchers of the kernels, in plain C for the host code (src/backend/cuda_*.c).
 *
 * Each enqueues its kernels on `stream` and returns what the runtime said of the launches. Pointers
 * are into device memory; images lie row by row. Nothing here allocates, waits or decides. */
#ifndef PS_KERNELS_LAUNCH_H
#define PS_KERNELS_LAUNCH_H

#include "backend/formulas.h"
#include "backend/lines.h"
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

#ifdef __cplusplus
}
#endif

#endif
