/* Crop, shrink by two, low-pass (apple-reference section 2).
 *
 * Both passes of the shrinking, and both of the low-pass, run in one tile, so that the data between
 * them stay in shared memory. Sums have the CPU's order and precision; only the mean of the shrunk
 * image is summed in another order and can differ in its last bit.
 *
 * For S x S output (S = 1948 from 4096 x 4096): reads 16 S^2 bytes, writes 4 S^2, then reads and
 * writes 4 S^2: 106 MB, 25 us at 4.3 TB/s. Shrinking takes 2 * (9 * 1.2 + 9) double operations per
 * pixel, 0.15 G: 4 us on GPUs with half-rate doubles, 0.3 ms at a rate of 1/64. */
#include "reduce.h"

enum { THREADS = 256 };

/* Output tile of the shrinking, and its largest numbers of rows and taps. An axis shrinks to 1/3 or
 * more (3 px to 1), which takes 13 taps. */
enum { TILE_X = 64, TILE_Y = 16, MAX_ROWS = 64, MAX_TAPS = PS_SHRINK_MAX_TAPS };

/* One block per tile of the shrunk image. Its threads first narrow the rows that the tile needs, 64
 * adjacent pixels per row, then shorten the columns. Thread 0 stores the tile's sum. */
__global__ void k_preprocess_shrink(const float *micrograph, int stride, ps_shrink shrink,
                                    float *ret_shrunk, double *ret_sums)
{
    __shared__ float narrowed[MAX_ROWS][TILE_X];
    __shared__ double weights_x[MAX_TAPS][TILE_X];
    __shared__ double weights_y[TILE_Y][MAX_TAPS];
    int x0 = (int)blockIdx.x * TILE_X;
    int y0 = (int)blockIdx.y * TILE_Y;
    int columns = min(TILE_X, shrink.side - x0);
    int outputs = min(TILE_Y, shrink.side - y0);
    int taps = shrink.taps;
    int thread = (int)threadIdx.x;
    for (int i = thread; i < taps * TILE_X; i += THREADS) {
        int x = min(x0 + i % TILE_X, shrink.side - 1);
        weights_x[i / TILE_X][i % TILE_X] = shrink.weights[(size_t)x * taps + i / TILE_X];
    }
    for (int i = thread; i < outputs * taps; i += THREADS)
        weights_y[i / taps][i % taps] = shrink.weights[(size_t)(y0 + i / taps) * taps + i % taps];
    __syncthreads();
    int top = shrink.first[y0];
    int rows = shrink.first[y0 + outputs - 1] + taps - top;
    int x = thread % TILE_X;
    if (x < columns) {
        const float *from = micrograph + (size_t)top * (size_t)stride + shrink.first[x0 + x];
        for (int y = thread / TILE_X; y < rows; y += THREADS / TILE_X) {
            const float *row = from + (size_t)y * (size_t)stride;
            double sum = 0;
            for (int k = 0; k < taps; k++)
                sum += (double)row[k] * weights_x[k][x];
            narrowed[y][x] = (float)sum;
        }
    }
    __syncthreads();
    double total = 0;
    if (x < columns) {
        for (int y = thread / TILE_X; y < outputs; y += THREADS / TILE_X) {
            int begin = shrink.first[y0 + y] - top;
            double sum = 0;
            for (int k = 0; k < taps; k++)
                sum += (double)narrowed[begin + k][x] * weights_y[y][k];
            ret_shrunk[(size_t)(y0 + y) * (size_t)shrink.side + (size_t)(x0 + x)] = (float)sum;
            total += (double)(float)sum;
        }
    }
    total = ps_reduce_block(total, ps_add(), 0.0);
    if (thread == 0)
        ret_sums[blockIdx.y * gridDim.x + blockIdx.x] = total;
}

/* Run by one block: the value outside the image, grey 0 minus the mean. */
__global__ void k_preprocess_outside(const double *sums, int count, double area, float *ret_outside)
{
    double sum = 0;
    for (int i = (int)threadIdx.x; i < count; i += THREADS)
        sum += sums[i];
    sum = ps_reduce_block(sum, ps_add(), 0.0);
    if (threadIdx.x == 0)
        *ret_outside = -(float)(sum / area);
}

enum { WIDE = TILE_X + 2 * PS_SMOOTH_X, TALL = TILE_Y + 2 * PS_SMOOTH_Y };

/* One block per tile: smooths the rows that it needs, then its columns. */
__global__ void k_preprocess_smooth(const float *shrunk, int side, ps_smooth smooth,
                                    const float *outside_value, float *ret_image)
{
    __shared__ float image[TALL][WIDE];
    __shared__ float rows[TALL][TILE_X];
    float outside = *outside_value;
    float offset = -outside;
    int x0 = (int)blockIdx.x * TILE_X;
    int y0 = (int)blockIdx.y * TILE_Y;
    for (int i = (int)threadIdx.x; i < TALL * WIDE; i += THREADS) {
        int x = x0 + i % WIDE - PS_SMOOTH_X;
        int y = y0 + i / WIDE - PS_SMOOTH_Y;
        bool inside = x >= 0 && x < side && y >= 0 && y < side;
        image[i / WIDE][i % WIDE] =
            inside ? shrunk[(size_t)y * (size_t)side + (size_t)x] - offset : outside;
    }
    __syncthreads();
    int x = (int)threadIdx.x % TILE_X;
    for (int r = (int)threadIdx.x / TILE_X; r < TALL; r += THREADS / TILE_X) {
        int y = y0 + r - PS_SMOOTH_Y;
        float sum = 0;
        for (int k = 0; k <= 2 * PS_SMOOTH_X; k++)
            sum += image[r][x + k] * smooth.x[k];
        rows[r][x] = y >= 0 && y < side ? sum : outside;
    }
    __syncthreads();
    for (int r = (int)threadIdx.x / TILE_X; r < TILE_Y; r += THREADS / TILE_X) {
        if (x0 + x >= side || y0 + r >= side)
            continue;
        float sum = 0;
        for (int k = 0; k <= 2 * PS_SMOOTH_Y; k++)
            sum += rows[r + k][x] * smooth.y[k];
        ret_image[(size_t)(y0 + r) * (size_t)side + (size_t)(x0 + x)] = sum;
    }
}

static dim3 tiles(int side)
{
    return dim3(ps_blocks((size_t)side, TILE_X), ps_blocks((size_t)side, TILE_Y));
}

size_t ps_shrink_parts(int side)
{
    dim3 grid = tiles(side);
    return (size_t)grid.x * grid.y;
}

cudaError_t ps_launch_preprocess_shrink(const float *micrograph, int stride,
                                        const struct ps_shrink *shrink, float *ret_shrunk,
                                        double *sums, float *ret_outside, cudaStream_t stream)
{
    cudaError_t result = PS_LAUNCH(k_preprocess_shrink, tiles(shrink->side), THREADS, 0, stream,
                                   micrograph, stride, *shrink, ret_shrunk, sums);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_preprocess_outside, 1, THREADS, 0, stream, sums,
                     (int)ps_shrink_parts(shrink->side), (double)shrink->side * shrink->side,
                     ret_outside);
}

cudaError_t ps_launch_preprocess_smooth(const float *shrunk, int side,
                                        const struct ps_smooth *smooth, const float *outside,
                                        float *ret_image, cudaStream_t stream)
{
    return PS_LAUNCH(k_preprocess_smooth, tiles(side), THREADS, 0, stream, shrunk, side, *smooth,
                     outside, ret_image);
}
