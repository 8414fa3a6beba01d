/* Values of maps at peaks, and positions of peaks to a fraction of a pixel. */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"

enum { THREADS = 256 };

/* Grid-stride loop over the examples of an item, for one kind of map. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_sample(const float *maps, size_t stride, int width, ps_adaptive_examples examples,
                      size_t value_stride, float *ret_values)
{
    int item = (int)blockIdx.y;
    const float *map = maps + ((size_t)item * gridDim.z + blockIdx.z) * stride;
    const ps_peak *peaks = examples.peaks + examples.first[item];
    float *values = ret_values + blockIdx.z * value_stride + examples.first[item];
    for (int i = (int)(blockIdx.x * THREADS + threadIdx.x); i < examples.count[item];
         i += (int)gridDim.x * THREADS)
        values[i] = map[(size_t)peaks[i].y * (size_t)width + (size_t)peaks[i].x];
}

cudaError_t ps_launch_adaptive_sample(const float *maps, size_t stride, int kinds, int width,
                                      int items, const struct ps_adaptive_examples *examples,
                                      size_t value_stride, float *ret_values, cudaStream_t stream)
{
    int max_count = 1;
    for (int i = 0; i < items; i++)
        max_count = examples->count[i] > max_count ? examples->count[i] : max_count;
    dim3 grid(ps_blocks((size_t)max_count, THREADS), (unsigned)items, (unsigned)kinds);
    return PS_LAUNCH(k_adaptive_sample, grid, THREADS, 0, stream, maps, stride, width, *examples,
                     value_stride, ret_values);
}

/* One thread per peak. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_locate(const float *score, int width, int height, const ps_peak *peaks, size_t count,
                      double *ret_centres)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= count)
        return;
    int x = peaks[i].x;
    int y = peaks[i].y;
    const float *at = score + (size_t)y * (size_t)width + (size_t)x;
    double dx = 0;
    double dy = 0;
    if (x > 0 && x < width - 1)
        dx = ps_parabola_top((double)at[-1], (double)at[0], (double)at[1]);
    if (y > 0 && y < height - 1)
        dy = ps_parabola_top((double)at[-width], (double)at[0], (double)at[width]);
    ret_centres[2 * i] = x + dx;
    ret_centres[2 * i + 1] = y + dy;
}

cudaError_t ps_launch_adaptive_locate(const float *score, int width, int height,
                                      const struct ps_peak *peaks, size_t count,
                                      double *ret_centres, cudaStream_t stream)
{
    return PS_LAUNCH(k_adaptive_locate, ps_blocks(count, THREADS), THREADS, 0, stream, score, width,
                     height, peaks, count, ret_centres);
}
