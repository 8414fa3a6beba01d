/* Converts the file's pixels to float32, computes their statistics, and repairs them.
 *
 * A micrograph of n pixels of b bytes: conversion reads n b bytes and writes 4 n; the search for
 * dead lines reads a few rows and columns, because most lines show a second value at once. At 4.3
 * TB/s: 31 us for 4096 x 4096 float32 (which is only read), 20 us for int16. Repairs are rare. */
#include "reduce.h"

enum { THREADS = 256, PIXELS_AT_ONCE = 4, ROUNDS = 8 };
enum { PIXELS_PER_BLOCK = THREADS * PIXELS_AT_ONCE * ROUNDS };

template <typename T> struct alignas(PIXELS_AT_ONCE * sizeof(T)) four {
    T value[PIXELS_AT_ONCE];
};

struct binary16 {
    uint16_t bits;
};

template <typename T> __device__ __forceinline__ float as_float(T value)
{
    return (float)value;
}
__device__ __forceinline__ float as_float(binary16 value)
{
    return ps_half_value(value.bits);
}

/* Statistics of no pixels. */
static __device__ ps_upload_statistics nothing()
{
    return {0.0, 0, (float)INFINITY, -(float)INFINITY};
}

static __device__ void add(ps_upload_statistics &t, float value)
{
    if (!ps_is_finite(value))
        return;
    t.sum += (double)value;
    t.finite++;
    t.minimum = value < t.minimum ? value : t.minimum;
    t.maximum = value > t.maximum ? value : t.maximum;
}

/* Thread 0 stores the block's statistics. */
static __device__ void store(const ps_upload_statistics &t, ps_upload_statistics *ret_statistics)
{
    double sum = ps_reduce_block(t.sum, ps_add(), 0.0);
    unsigned long long finite = ps_reduce_block(t.finite, ps_add(), 0ULL);
    float minimum = ps_reduce_block(t.minimum, ps_minimum(), (float)INFINITY);
    float maximum = ps_reduce_block(t.maximum, ps_maximum(), -(float)INFINITY);
    if (threadIdx.x == 0) {
        ret_statistics->sum = sum;
        ret_statistics->finite = finite;
        ret_statistics->minimum = minimum;
        ret_statistics->maximum = maximum;
    }
}

/* One block per PIXELS_PER_BLOCK adjacent pixels; a thread converts four of them per round. */
template <typename T>
__global__ void k_upload_convert(const T *raw, size_t count, float *ret_pixels,
                                 ps_upload_statistics *ret_statistics)
{
    size_t begin = (size_t)blockIdx.x * PIXELS_PER_BLOCK;
    bool in_place = (const void *)raw == (const void *)ret_pixels;
    ps_upload_statistics t = nothing();
    for (int round = 0; round < ROUNDS; round++) {
        size_t at = begin + ((size_t)round * THREADS + threadIdx.x) * PIXELS_AT_ONCE;
        if (at + PIXELS_AT_ONCE <= count) {
            four<T> in = *reinterpret_cast<const four<T> *>(raw + at);
            four<float> out;
            for (int i = 0; i < PIXELS_AT_ONCE; i++) {
                out.value[i] = as_float(in.value[i]);
                add(t, out.value[i]);
            }
            if (!in_place)
                *reinterpret_cast<four<float> *>(ret_pixels + at) = out;
        } else {
            for (size_t i = at; i < count; i++) {
                float value = as_float(raw[i]);
                add(t, value);
                ret_pixels[i] = value;
            }
        }
    }
    store(t, &ret_statistics[blockIdx.x]);
}

/* Run by one block: combines all statistics. */
__global__ void k_upload_total(const ps_upload_statistics *parts, int count,
                               ps_upload_statistics *ret_total)
{
    ps_upload_statistics t = nothing();
    for (int i = (int)threadIdx.x; i < count; i += THREADS) {
        t.sum += parts[i].sum;
        t.finite += parts[i].finite;
        t.minimum = ps_minimum()(t.minimum, parts[i].minimum);
        t.maximum = ps_maximum()(t.maximum, parts[i].maximum);
    }
    store(t, ret_total);
}

__global__ void k_upload_replace(float *pixels, size_t count, float value)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count && !ps_is_finite(pixels[i]))
        pixels[i] = value;
}

enum { ROWS_PER_PIECE = 64 };

/* One thread per ROWS_PER_PIECE pixels of a column: searches for one that differs from the
 * first. */
__global__ void k_upload_columns(const float *pixels, int width, int height, uint8_t *constant)
{
    int x = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (x >= width)
        return;
    float first = pixels[x];
    int begin = (int)blockIdx.y * ROWS_PER_PIECE;
    int end = begin + ROWS_PER_PIECE < height ? begin + ROWS_PER_PIECE : height;
    for (int y = begin; y < end; y++) {
        if (pixels[(size_t)y * (size_t)width + (size_t)x] != first) {
            constant[x] = 0; /* threads that race store the same value */
            return;
        }
    }
}

/* One warp per row: stops at the first 32 pixels that contain one that differs. */
__global__ void k_upload_rows(const float *pixels, int width, int height, uint8_t *constant)
{
    int y = (int)(blockIdx.x * (THREADS / PS_WARP) + threadIdx.x / PS_WARP);
    int lane = (int)threadIdx.x % PS_WARP;
    bool same = true;
    if (y < height) {
        const float *row = pixels + (size_t)y * (size_t)width;
        for (int x = 0; x < width && same; x += PS_WARP) {
            int differs = x + lane < width && row[x + lane] != row[0];
            same = __ballot_sync(PS_EVERY_LANE, differs) == 0;
        }
        if (lane == 0)
            constant[y] = same;
    }
}

enum { MAX_LINES = 4096 }; /* of a grid */

/* One thread per pixel of a line; the y axis of the grid strides over the lines. */
__global__ void k_upload_interpolate(float *pixels, const ps_dead_line *dead, size_t lines,
                                     size_t step, int count, size_t stride)
{
    int i = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (i >= count)
        return;
    for (size_t l = blockIdx.y; l < lines; l += gridDim.y) {
        const float *before = pixels + (size_t)dead[l].before * step;
        const float *after = pixels + (size_t)dead[l].after * step;
        size_t at = (size_t)i * stride;
        pixels[(size_t)dead[l].line * step + at] =
            ps_between(before[at], after[at], dead[l].weight);
    }
}

template <typename T>
static cudaError_t convert(const void *raw, size_t count, float *ret_pixels,
                           ps_upload_statistics *parts, cudaStream_t stream)
{
    return PS_LAUNCH(k_upload_convert<T>, ps_blocks(count, PIXELS_PER_BLOCK), THREADS, 0, stream,
                     static_cast<const T *>(raw), count, ret_pixels, parts);
}

size_t ps_upload_parts(size_t count)
{
    return ps_blocks(count, PIXELS_PER_BLOCK);
}

cudaError_t ps_launch_upload_convert(const void *raw, enum ps_pixel type, size_t count,
                                     float *ret_pixels, struct ps_upload_statistics *parts,
                                     struct ps_upload_statistics *ret_total, cudaStream_t stream)
{
    cudaError_t result = cudaErrorInvalidValue;
    switch (type) {
    case PS_PIXEL_I8:
        result = convert<int8_t>(raw, count, ret_pixels, parts, stream);
        break;
    case PS_PIXEL_U8:
        result = convert<uint8_t>(raw, count, ret_pixels, parts, stream);
        break;
    case PS_PIXEL_I16:
        result = convert<int16_t>(raw, count, ret_pixels, parts, stream);
        break;
    case PS_PIXEL_U16:
        result = convert<uint16_t>(raw, count, ret_pixels, parts, stream);
        break;
    case PS_PIXEL_F16:
        result = convert<binary16>(raw, count, ret_pixels, parts, stream);
        break;
    case PS_PIXEL_F32:
        result = convert<float>(raw, count, ret_pixels, parts, stream);
        break;
    }
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_upload_total, 1, THREADS, 0, stream, parts, (int)ps_upload_parts(count),
                     ret_total);
}

cudaError_t ps_launch_upload_replace(float *pixels, size_t count, float value, cudaStream_t stream)
{
    return PS_LAUNCH(k_upload_replace, ps_blocks(count, THREADS), THREADS, 0, stream, pixels, count,
                     value);
}

cudaError_t ps_launch_upload_columns(const float *pixels, int width, int height,
                                     uint8_t *ret_constant, cudaStream_t stream)
{
    dim3 grid(ps_blocks((size_t)width, THREADS), ps_blocks((size_t)height, ROWS_PER_PIECE));
    cudaError_t result = cudaMemsetAsync(ret_constant, 1, (size_t)width, stream);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_upload_columns, grid, THREADS, 0, stream, pixels, width, height,
                     ret_constant);
}

cudaError_t ps_launch_upload_rows(const float *pixels, int width, int height, uint8_t *ret_constant,
                                  cudaStream_t stream)
{
    return PS_LAUNCH(k_upload_rows, ps_blocks((size_t)height, THREADS / PS_WARP), THREADS, 0,
                     stream, pixels, width, height, ret_constant);
}

cudaError_t ps_launch_upload_interpolate(float *pixels, const struct ps_dead_line *dead,
                                         size_t lines, size_t step, int count, size_t stride,
                                         cudaStream_t stream)
{
    dim3 grid(ps_blocks((size_t)count, THREADS),
              (unsigned)(lines < MAX_LINES ? lines : (size_t)MAX_LINES));
    return PS_LAUNCH(k_upload_interpolate, grid, THREADS, 0, stream, pixels, dead, lines, step,
                     count, stride);
}
