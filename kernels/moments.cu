/* Mean and standard deviation of every q x q window (apple-reference section 3), references chosen
 * by them (section 4), and features.
 *
 * Prefix sums give the sums along rows; sums along columns run down strips of rows. All are in
 * double precision over an image whose mean is near 0, so neither prefix nor running sum exceeds a
 * few thousand times a window's sum, and its relative error stays near 1e-12.
 *
 * For S x S pixels: reads 4 S^2 bytes, writes 16 S^2 of prefixes, reads them 2 (64 + q) / 64 times,
 * mostly from the L2 cache, writes 8 S^2: 61 to 170 MB of DRAM traffic for S = 1948, 15 to 40 us at
 * 4.3 TB/s. */
#include "reduce.h"

enum { THREADS = 256, PER_THREAD = 4, CHUNK = THREADS * PER_THREAD };

__device__ __forceinline__ double2 sum_of(double2 a, double2 b)
{
    return double2{a.x + b.x, a.y + b.y};
}

/* Inclusive sum over the lanes of a warp. */
__device__ __forceinline__ double2 scan_warp(double2 value)
{
    for (int distance = 1; distance < PS_WARP; distance *= 2) {
        double x = __shfl_up_sync(PS_EVERY_LANE, value.x, distance);
        double y = __shfl_up_sync(PS_EVERY_LANE, value.y, distance);
        if ((int)threadIdx.x % PS_WARP >= distance)
            value = sum_of(value, double2{x, y});
    }
    return value;
}

/* One block per row: prefix[x] = sums of the values and of their squares over the pixels before x,
 * side + 1 of them. Works in chunks, four adjacent pixels per thread. */
__global__ void k_moments_prefix(const float *image, int side, double2 *ret_prefix)
{
    __shared__ double2 warps[THREADS / PS_WARP];
    const float *row = image + (size_t)blockIdx.x * (size_t)side;
    double2 *prefix = ret_prefix + (size_t)blockIdx.x * (size_t)(side + 1);
    int warp = (int)threadIdx.x / PS_WARP;
    double2 before = double2{0, 0}; /* sum of the previous chunks */
    if (threadIdx.x == 0)
        prefix[0] = before;
    for (int begin = 0; begin < side; begin += CHUNK) {
        int first = begin + (int)threadIdx.x * PER_THREAD;
        double2 sum[PER_THREAD];
        double2 own = double2{0, 0};
        for (int i = 0; i < PER_THREAD; i++) {
            double value = first + i < side ? (double)row[first + i] : 0.0;
            own = sum_of(own, double2{value, value * value});
            sum[i] = own;
        }
        double2 upto = scan_warp(own);
        __syncthreads();
        if (threadIdx.x % PS_WARP == PS_WARP - 1)
            warps[warp] = upto;
        __syncthreads();
        double2 base = before;
        for (int i = 0; i < THREADS / PS_WARP; i++) {
            if (i < warp)
                base = sum_of(base, warps[i]);
            before = sum_of(before, warps[i]);
        }
        base = sum_of(base, double2{upto.x - own.x, upto.y - own.y});
        for (int i = 0; i < PER_THREAD; i++)
            if (first + i < side)
                prefix[first + i + 1] = sum_of(base, sum[i]);
    }
}

enum { STRIP = 64 };

/* Sums of `q` pixels of a row, from x. */
__device__ __forceinline__ double2 row_sum(const double2 *prefix, int x, int q)
{
    double2 before = prefix[x];
    double2 upto = prefix[x + q];
    return double2{upto.x - before.x, upto.y - before.y};
}

/* One thread per STRIP windows of a column; neighbouring threads have neighbouring columns. */
__global__ void k_moments_windows(const double2 *prefix, int side, int q, float *ret_mean,
                                  float *ret_deviation)
{
    int windows = side - q + 1;
    int x = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (x >= windows)
        return;
    int begin = (int)blockIdx.y * STRIP;
    int end = min(begin + STRIP, windows);
    size_t stride = (size_t)(side + 1);
    double area = (double)q * q;
    double2 sum = double2{0, 0};
    for (int y = begin; y < begin + q - 1; y++)
        sum = sum_of(sum, row_sum(prefix + (size_t)y * stride, x, q));
    for (int y = begin; y < end; y++) {
        sum = sum_of(sum, row_sum(prefix + (size_t)(y + q - 1) * stride, x, q));
        size_t at = (size_t)y * (size_t)windows + (size_t)x;
        ps_window_moments(sum.x, sum.y, area, &ret_mean[at], &ret_deviation[at]);
        double2 leaving = row_sum(prefix + (size_t)y * stride, x, q);
        sum = double2{sum.x - leaving.x, sum.y - leaving.y};
    }
}

/* ---- references ------------------------------------------------------------------------------ */

/* One block per container and map, means (0) or deviations (1): finds the first of the largest and
 * of the smallest values by keys that combine value and origin. */
__global__ void k_references_choose(const float *mean, const float *deviation, int side, int q,
                                    int container, int per_side, int (*ret_origins)[2])
{
    int windows = side - q + 1;
    const float *values = blockIdx.y ? deviation : mean;
    int top = (int)blockIdx.x / per_side * container;
    int left = (int)blockIdx.x % per_side * container;
    int height = min(top + container, side - 1) - q + 1 - top;
    int width = min(left + container, side - 1) - q + 1 - left;
    unsigned long long largest = 0;
    unsigned long long smallest = ~0ULL;
    for (int i = (int)threadIdx.x; i < width * height; i += (int)blockDim.x) {
        unsigned at = (unsigned)((top + i / width) * windows + left + i % width);
        /* + 0 turns negative zero into zero. */
        unsigned long long value = (unsigned long long)ps_order_key(values[at] + 0.0F) << 32;
        largest = ps_maximum()(largest, value | (0xffffffffu - at));
        smallest = ps_minimum()(smallest, value | at);
    }
    largest = ps_reduce_block(largest, ps_maximum(), 0ULL);
    smallest = ps_reduce_block(smallest, ps_minimum(), ~0ULL);
    if (threadIdx.x == 0) {
        int(*origins)[2] = ret_origins + blockIdx.x * 4 + blockIdx.y * 2;
        unsigned at[2] = {0xffffffffu - (unsigned)largest, (unsigned)smallest};
        for (int i = 0; i < 2; i++) {
            origins[i][0] = (int)(at[i] / (unsigned)windows);
            origins[i][1] = (int)(at[i] % (unsigned)windows);
        }
    }
}

/* ---- features -------------------------------------------------------------------------------- */

/* One thread per window: mean and deviation of the window at (row, column). */
__global__ void k_features_gather(const float *mean, const float *deviation, int windows,
                                  const int (*origins)[2], int count, float (*ret_features)[2])
{
    int i = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (i >= count)
        return;
    size_t at = (size_t)origins[i][0] * (size_t)windows + (size_t)origins[i][1];
    ret_features[i][0] = mean[at];
    ret_features[i][1] = deviation[at];
}

cudaError_t ps_launch_moments(const float *image, int side, int q, void *prefix, float *ret_mean,
                              float *ret_deviation, cudaStream_t stream)
{
    int windows = side - q + 1;
    double2 *sums = static_cast<double2 *>(prefix);
    dim3 grid(ps_blocks((size_t)windows, THREADS), ps_blocks((size_t)windows, STRIP));
    cudaError_t result =
        PS_LAUNCH(k_moments_prefix, (unsigned)side, THREADS, 0, stream, image, side, sums);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_moments_windows, grid, THREADS, 0, stream, sums, side, q, ret_mean,
                     ret_deviation);
}

cudaError_t ps_launch_references_choose(const float *mean, const float *deviation, int side, int q,
                                        int container, int per_side, int (*ret_origins)[2],
                                        cudaStream_t stream)
{
    dim3 grid((unsigned)(per_side * per_side), 2);
    return PS_LAUNCH(k_references_choose, grid, 512, 0, stream, mean, deviation, side, q, container,
                     per_side, ret_origins);
}

cudaError_t ps_launch_features_gather(const float *mean, const float *deviation, int windows,
                                      const int (*origins)[2], int count, float (*ret_features)[2],
                                      cudaStream_t stream)
{
    return PS_LAUNCH(k_features_gather, ps_blocks((size_t)count, THREADS), THREADS, 0, stream, mean,
                     deviation, windows, origins, count, ret_features);
}
