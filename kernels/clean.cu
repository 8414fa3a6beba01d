/* Holes, erosions and large regions (apple-reference section 8), all in integers: equal to the
 * CPU's.
 *
 * The erosions use the exact Euclidean distance to the nearest unset pixel, up to one more than the
 * larger radius r. The first pass scans the columns in both directions. In the second, every pixel
 * searches its row outwards until no more distant pixel can be nearer.
 *
 * For n pixels: columns read n (1 + 2 r / 64) bytes of mask and move 6 n of distances; rows read 2
 * n, and up to 4 n r in the caches; 2 n more for the marks. About 12 n, 44 MB for 1923^2, 10 us
 * at 4.3 TB/s. The search takes at most n r / 128 cycles and multiprocessors: 1.3 G steps of about
 * 6 instructions at r = 78 if nearly all pixels are deep inside, 0.2 ms; usually far less. */
#include "label.h"

enum { THREADS = 256, STRIP = 64 };

/* Background connected to the outside (root 0) stays, the rest becomes set. Counts the pixels that
 * stay. */
__global__ void k_clean_fill(const int *labels, size_t count, uint8_t *mask, unsigned *ret_open)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    int open = 0;
    if (i < count) {
        open = labels[i + 1] == 0;
        mask[i] = !open;
    }
    open = ps_reduce_block(open, ps_add(), 0);
    if (threadIdx.x == 0 && open)
        atomicAdd(ret_open, (unsigned)open);
}

/* If everything is set, clears the first `corner` pixels of the block's row. */
__global__ void k_clean_corner(uint8_t *mask, int side, int corner, const unsigned *open)
{
    if (*open == 0 && (int)threadIdx.x < corner)
        mask[(size_t)blockIdx.x * (size_t)side + threadIdx.x] = 0;
}

/* One thread per STRIP pixels of a column: distance to the nearest unset pixel of the column, at
 * most `max_distance`. Pixels outside the image count as unset. */
__global__ void k_clean_columns(const uint8_t *mask, int side, int max_distance,
                                uint16_t *ret_distance)
{
    int x = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (x >= side)
        return;
    int begin = (int)blockIdx.y * STRIP;
    int end = min(begin + STRIP, side);
    const uint8_t *column = mask + x;
    int distance = 1; /* of the current pixel */
    for (int y = begin - 1; y >= 0 && distance < max_distance && column[(size_t)y * side]; y--)
        distance++;
    for (int y = begin; y < end; y++) {
        distance = column[(size_t)y * side] ? min(distance, max_distance) : 0;
        ret_distance[(size_t)y * side + x] = (uint16_t)distance;
        distance++;
    }
    distance = 1;
    for (int y = end; y < side && distance < max_distance && column[(size_t)y * side]; y++)
        distance++;
    for (int y = end - 1; y >= begin; y--) {
        size_t at = (size_t)y * side + x;
        int upwards = ret_distance[at];
        distance = min(upwards, distance);
        ret_distance[at] = (uint16_t)distance;
        distance++;
    }
}

/* One thread per pixel: the number of radii that its distance exceeds. */
__global__ void k_clean_rows(const uint16_t *distances, int side, int smallest, int largest,
                             uint8_t *ret_levels)
{
    int x = (int)(blockIdx.x * THREADS + threadIdx.x);
    if (x >= side)
        return;
    const uint16_t *row = distances + (size_t)blockIdx.y * side;
    int border = min(x + 1, side - x);
    int here = row[x];
    int best = min(border * border, here * here);
    /* Stops before it leaves the row, because the border is nearer. */
    for (int d = 1; d * d < best; d++) {
        int there = min(row[x - d], row[x + d]);
        best = min(best, d * d + there * there);
    }
    uint8_t level = 0;
    if (best > smallest * smallest)
        level = best > largest * largest ? 2 : 1;
    ret_levels[(size_t)blockIdx.y * side + x] = level;
}

/* Marks the root of every region that has a pixel of level 2. */
__global__ void k_clean_mark(const uint8_t *levels, const int *labels, size_t count,
                             uint8_t *ret_large)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count && levels[i] == 2)
        ret_large[labels[i + 1] - 1] = 1; /* threads that race store the same value */
}

__global__ void k_clean_keep(const int *labels, const uint8_t *large, size_t count,
                             uint8_t *ret_mask)
{
    size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (i < count)
        ret_mask[i] = labels[i + 1] >= 0 && !large[labels[i + 1] - 1];
}

cudaError_t ps_launch_clean_fill(const int *labels, int side, int corner, uint8_t *ret_mask,
                                 unsigned *open, cudaStream_t stream)
{
    size_t count = (size_t)side * (size_t)side;
    cudaError_t result = cudaMemsetAsync(open, 0, sizeof *open, stream);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_clean_fill, ps_blocks(count, THREADS), THREADS, 0, stream, labels,
                           count, ret_mask, open);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_clean_corner, (unsigned)corner, THREADS, 0, stream, ret_mask, side,
                           corner, open);
    return result;
}

cudaError_t ps_launch_clean_erode(const uint8_t *mask, int side, int smallest, int largest,
                                  uint16_t *distances, uint8_t *ret_levels, cudaStream_t stream)
{
    /* No pixel is farther than `side` from the border. */
    smallest = smallest < side ? smallest : side;
    largest = largest < side ? largest : side;
    int max_distance = (smallest > largest ? smallest : largest) + 1;
    dim3 strips(ps_blocks((size_t)side, THREADS), ps_blocks((size_t)side, STRIP));
    dim3 rows(ps_blocks((size_t)side, THREADS), (unsigned)side);
    cudaError_t result =
        PS_LAUNCH(k_clean_columns, strips, THREADS, 0, stream, mask, side, max_distance, distances);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_clean_rows, rows, THREADS, 0, stream, distances, side, smallest,
                           largest, ret_levels);
    return result;
}

cudaError_t ps_launch_clean_drop(const uint8_t *levels, const int *labels, int side, uint8_t *large,
                                 uint8_t *ret_mask, cudaStream_t stream)
{
    size_t count = (size_t)side * (size_t)side;
    cudaError_t result = cudaMemsetAsync(large, 0, count, stream);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_clean_mark, ps_blocks(count, THREADS), THREADS, 0, stream, levels,
                           labels, count, large);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_clean_keep, ps_blocks(count, THREADS), THREADS, 0, stream, labels,
                           large, count, ret_mask);
    return result;
}
