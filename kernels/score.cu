/* Steps around the correlations of the score (apple-reference section 5): windows to transform,
 * range of the responses, number of responses that reach the threshold.
 *
 * Windows overlap by half: n pixels of the image become four times as many in windows and in
 * spectra, 16 n bytes each, in batches that stay in the L2 cache: 62 MB for 1948^2, written and
 * read. Responses (22 MB for 21,904 queries and 256 references) are read twice: 10 us at 4.3 TB/s.
 */
#include "reduce.h"

enum { THREADS = 256 };

/* One block per window. */
__global__ void k_score_gather(const float *image, int side, int q, const int (*origins)[2],
                               int per_side, size_t first, size_t last, float scale,
                               float *ret_windows)
{
    size_t window = first + blockIdx.x;
    window = window < last ? window : last;
    int row = origins ? origins[window][0] : (int)(window / (size_t)per_side) * (q / 2);
    int column = origins ? origins[window][1] : (int)(window % (size_t)per_side) * (q / 2);
    const float *from = image + (size_t)row * (size_t)side + (size_t)column;
    float *to = ret_windows + (size_t)blockIdx.x * (size_t)q * (size_t)q;
    for (int i = (int)threadIdx.x; i < q * q; i += THREADS)
        to[i] = from[(size_t)(i / q) * (size_t)side + (size_t)(i % q)] * scale;
}

/* Grid-stride loop over the responses; one range per block. */
__global__ void k_score_range(const float *responses, size_t count, float (*ret_ranges)[2])
{
    float smallest = (float)INFINITY;
    float largest = -(float)INFINITY;
    size_t step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        smallest = fminf(smallest, responses[i]);
        largest = fmaxf(largest, responses[i]);
    }
    smallest = ps_reduce_block(smallest, ps_minimum(), (float)INFINITY);
    largest = ps_reduce_block(largest, ps_maximum(), -(float)INFINITY);
    if (threadIdx.x == 0) {
        ret_ranges[blockIdx.x][0] = smallest;
        ret_ranges[blockIdx.x][1] = largest;
    }
}

/* Run by one block. */
__global__ void k_score_threshold(const float (*ranges)[2], int count, float *ret_threshold)
{
    float smallest = (float)INFINITY;
    float largest = -(float)INFINITY;
    for (int i = (int)threadIdx.x; i < count; i += THREADS) {
        smallest = fminf(smallest, ranges[i][0]);
        largest = fmaxf(largest, ranges[i][1]);
    }
    smallest = ps_reduce_block(smallest, ps_minimum(), (float)INFINITY);
    largest = ps_reduce_block(largest, ps_maximum(), -(float)INFINITY);
    if (threadIdx.x == 0)
        *ret_threshold = ps_response_threshold(smallest, largest);
}

enum { QUERIES = 32, SLICES = 8 };

/* One block per 32 adjacent queries; each of its 8 warps counts every eighth reference. */
__global__ void k_score_count(const float *responses, int lanes, int references, size_t queries,
                              const float *threshold, int32_t *ret_score)
{
    __shared__ int counts[SLICES][QUERIES];
    int lane = (int)threadIdx.x % QUERIES;
    int slice = (int)threadIdx.x / QUERIES;
    size_t query = (size_t)blockIdx.x * QUERIES + (size_t)lane;
    int count = 0;
    if (query < queries) {
        const float *from = responses + query / (size_t)lanes * (size_t)references * (size_t)lanes +
                            query % (size_t)lanes;
        for (int r = slice; r < references; r += SLICES)
            count += from[(size_t)r * (size_t)lanes] >= *threshold;
    }
    counts[slice][lane] = count;
    __syncthreads();
    if (slice == 0 && query < queries) {
        for (int i = 1; i < SLICES; i++)
            count += counts[i][lane];
        ret_score[query] = count;
    }
}

cudaError_t ps_launch_score_gather(const float *image, int side, int q, const int (*origins)[2],
                                   int per_side, size_t first, size_t last, size_t count,
                                   float scale, float *ret_windows, cudaStream_t stream)
{
    return PS_LAUNCH(k_score_gather, (unsigned)count, THREADS, 0, stream, image, side, q, origins,
                     per_side, first, last, scale, ret_windows);
}

cudaError_t ps_launch_score_range(const float *responses, size_t count, float (*ret_ranges)[2],
                                  cudaStream_t stream)
{
    return PS_LAUNCH(k_score_range, PS_SCORE_RANGES, THREADS, 0, stream, responses, count,
                     ret_ranges);
}

cudaError_t ps_launch_score_threshold(const float (*ranges)[2], int count, float *ret_threshold,
                                      cudaStream_t stream)
{
    return PS_LAUNCH(k_score_threshold, 1, THREADS, 0, stream, ranges, count, ret_threshold);
}

cudaError_t ps_launch_score_count(const float *responses, int lanes, int references, size_t queries,
                                  const float *threshold, int32_t *ret_score, cudaStream_t stream)
{
    return PS_LAUNCH(k_score_count, ps_blocks(queries, QUERIES), QUERIES * SLICES, 0, stream,
                     responses, lanes, references, queries, threshold, ret_score);
}
