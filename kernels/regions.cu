/* Regions in scan order and their measures, from labels, all in integers.
 *
 * For n pixels: two passes over 4 n bytes of labels number the roots, one over mask and labels
 * measures; there a run of up to 32 pixels adds to its region once. 13 n, 48 MB for 1923^2, 11 us
 * at 4.3 TB/s. */
#include "label.h"

enum { THREADS = 256 };

__device__ __forceinline__ bool is_root(const int *labels, int node)
{
    return labels[node] == node;
}

/* One block per row: counts the row's roots. */
__global__ void k_regions_count(const int *labels, int width, int *ret_counts)
{
    int first = (int)blockIdx.x * width + 1;
    int count = 0;
    for (int x = (int)threadIdx.x; x < width; x += THREADS)
        count += is_root(labels, first + x);
    count = ps_reduce_block(count, ps_add(), 0);
    if (threadIdx.x == 0)
        ret_counts[blockIdx.x] = count;
}

/* Run by one block: counts[y] becomes the number of roots in the rows before y, *ret_total the
 * sum. */
__global__ void k_regions_scan(int *counts, int rows, int *ret_total)
{
    int done = 0;
    for (int begin = 0; begin < rows; begin += THREADS) {
        int y = begin + (int)threadIdx.x;
        int total = 0;
        int before = ps_sum_before(y < rows ? counts[y] : 0, &total);
        if (y < rows)
            counts[y] = done + before;
        done += total;
    }
    if (threadIdx.x == 0)
        *ret_total = done;
}

/* One block per row: numbers its roots. The root of region r gets label -2 - r, and the measures of
 * r become 0. */
__global__ void k_regions_number(int *labels, int width, const int *before,
                                 ps_region_sums *ret_measures)
{
    int done = before[blockIdx.x];
    for (int begin = 0; begin < width; begin += THREADS) {
        int x = begin + (int)threadIdx.x;
        int node = (int)blockIdx.x * width + x + 1;
        bool root = x < width && is_root(labels, node);
        int total = 0;
        int region = done + ps_sum_before((int)root, &total);
        if (root) {
            labels[node] = -2 - region;
            ret_measures[region] = ps_region_sums{0, 0, 0};
        }
        done += total;
    }
}

/* One warp per 32 adjacent pixels of a row; the first pixel of each run adds the run. */
__global__ void k_regions_measure(ps_mask_view mask, const int *labels, ps_region_sums *measures)
{
    int x = (int)(blockIdx.x * THREADS + threadIdx.x);
    int y = (int)blockIdx.y;
    int lane = (int)threadIdx.x % PS_WARP;
    bool set = x < mask.width && ps_mask_at(mask, x, y);
    unsigned run = __ballot_sync(PS_EVERY_LANE, set);
    if (!set || (lane > 0 && (run >> (lane - 1) & 1)))
        return;
    unsigned rest = ~(run >> lane);
    int length = rest ? __ffs((int)rest) - 1 : PS_WARP;
    int label = labels[y * mask.width + x + 1];
    if (label >= 0)
        label = labels[label];
    ps_region_sums *region = &measures[-2 - label];
    atomicAdd(&region->area, (unsigned long long)length);
    atomicAdd(&region->row_sum, (unsigned long long)y * (unsigned long long)length);
    atomicAdd(&region->column_sum,
              (unsigned long long)(2 * x + length - 1) * (unsigned long long)length / 2);
}

cudaError_t ps_launch_regions(const struct ps_mask_view *mask, int *labels, int *counts,
                              int *ret_total, struct ps_region_sums *ret_measures,
                              cudaStream_t stream)
{
    unsigned rows = (unsigned)mask->height;
    dim3 grid(ps_blocks((size_t)mask->width, THREADS), rows);
    cudaError_t result =
        PS_LAUNCH(k_regions_count, rows, THREADS, 0, stream, labels, mask->width, counts);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_regions_scan, 1, THREADS, 0, stream, counts, mask->height, ret_total);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_regions_number, rows, THREADS, 0, stream, labels, mask->width, counts,
                           ret_measures);
    if (result == cudaSuccess)
        result =
            PS_LAUNCH(k_regions_measure, grid, THREADS, 0, stream, *mask, labels, ret_measures);
    return result;
}
