/* Correlations of the score (apple-reference section 5) by cuFFT, which transforms batches of
 * products that fit the L2 cache.
 *
 * A pair of q x q windows writes and reads 4 q (q + 2) bytes of product and 4 q^2 of correlation,
 * and reads a query's spectrum: 14 KB for q = 26, 80 GB for 5.6 million pairs. At the 5.5 TB/s of
 * an H100's L2 cache that is 14 ms, and about as much at any window size, because larger windows
 * form fewer pairs. */
#include "reduce.h"

enum { THREADS = 256 };

/* One block per pair. */
__global__ void k_score_multiply(const float2 *queries, const float2 *references, int complexes,
                                 size_t reference_count, size_t last, size_t first,
                                 float2 *ret_products)
{
    size_t pair = first + blockIdx.x;
    pair = pair < last ? pair : last;
    const float2 *query = queries + pair / reference_count * (size_t)complexes;
    const float2 *reference = references + pair % reference_count * (size_t)complexes;
    float2 *to = ret_products + (size_t)blockIdx.x * (size_t)complexes;
    for (int i = (int)threadIdx.x; i < complexes; i += THREADS) {
        float2 r = reference[i];
        float2 c = query[i];
        to[i] = i == 0 ? float2{0, 0} : float2{r.x * c.x + r.y * c.y, r.y * c.x - r.x * c.y};
    }
}

/* One warp per correlation. */
__global__ void k_score_largest(const float *images, size_t pixels, size_t count,
                                float *ret_responses)
{
    size_t i = (size_t)blockIdx.x * (THREADS / PS_WARP) + threadIdx.x / PS_WARP;
    if (i >= count)
        return;
    const float *image = images + i * pixels;
    float best = -3.4e38F;
    for (size_t p = threadIdx.x % PS_WARP; p < pixels; p += PS_WARP)
        best = fmaxf(best, image[p]);
    best = ps_reduce_warp(best, ps_maximum());
    if (threadIdx.x % PS_WARP == 0)
        ret_responses[i] = best;
}

cudaError_t ps_launch_score_multiply(const float *query_spectra, const float *reference_spectra,
                                     int q, size_t references, size_t pairs, size_t first,
                                     size_t count, float *ret_products, cudaStream_t stream)
{
    return PS_LAUNCH(k_score_multiply, (unsigned)count, THREADS, 0, stream,
                     reinterpret_cast<const float2 *>(query_spectra),
                     reinterpret_cast<const float2 *>(reference_spectra), q * (q / 2 + 1),
                     references, pairs - 1, first, reinterpret_cast<float2 *>(ret_products));
}

cudaError_t ps_launch_score_largest(const float *images, size_t pixels, size_t count,
                                    float *ret_responses, cudaStream_t stream)
{
    return PS_LAUNCH(k_score_largest, ps_blocks(count, THREADS / PS_WARP), THREADS, 0, stream,
                     images, pixels, count, ret_responses);
}
