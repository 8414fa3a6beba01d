/* Classification of every window by the model (apple-reference section 7).
 *
 * W windows and s support vectors: reads 8 W bytes, writes W, and takes about 19 instructions per
 * window and vector. For W = 1923^2, s = 48: 33 MB, 8 us at 4.3 TB/s; 3.4 G instructions at 128
 * lanes per cycle and multiprocessor: 0.1 ms on an H200. */
#include "reduce.h"

enum { THREADS = 256, PER_THREAD = 4, PER_BLOCK = THREADS * PER_THREAD, VECTORS = 256 };

/* Stores a thread's classifications and adds the block's particles to the count. */
static __device__ void classify(const float *values, size_t first, size_t windows,
                                uint8_t *ret_mask, unsigned long long *particle)
{
    unsigned count = 0;
    for (int i = 0; i < PER_THREAD; i++) {
        size_t at = first + (size_t)i * THREADS;
        if (at < windows) {
            ret_mask[at] = values[i] > 0;
            count += values[i] > 0;
        }
    }
    count = ps_reduce_block(count, ps_add(), 0u);
    if (threadIdx.x == 0 && count)
        atomicAdd(particle, (unsigned long long)count);
}

/* A block classifies PER_BLOCK adjacent windows, a thread four that are THREADS apart. Support
 * vectors pass through shared memory, where all threads read the same one. */
__global__ void k_classify_rbf(ps_rbf model, const float *mean, const float *deviation,
                               size_t windows, uint8_t *ret_mask, unsigned long long *particle)
{
    __shared__ float4 vectors[VECTORS];
    size_t first = (size_t)blockIdx.x * PER_BLOCK + threadIdx.x;
    float u[PER_THREAD];
    float v[PER_THREAD];
    float sum[PER_THREAD];
    for (int i = 0; i < PER_THREAD; i++) {
        size_t at = first + (size_t)i * THREADS;
        at = at < windows ? at : windows - 1;
        u[i] = (mean[at] - model.centre[0]) * model.inverse_scale[0];
        v[i] = (deviation[at] - model.centre[1]) * model.inverse_scale[1];
        sum[i] = -model.offset;
    }
    for (size_t begin = 0; begin < model.count; begin += VECTORS) {
        int count = (int)(model.count - begin < VECTORS ? model.count - begin : (size_t)VECTORS);
        __syncthreads();
        for (int j = (int)threadIdx.x; j < count; j += THREADS)
            vectors[j] =
                float4{model.u[begin + j], model.v[begin + j], model.weight[begin + j], 0.0F};
        __syncthreads();
        for (int j = 0; j < count; j++) {
            float4 vector = vectors[j];
            for (int i = 0; i < PER_THREAD; i++)
                sum[i] = ps_multiply_add(
                    vector.z, ps_rbf_term(model.exponent, u[i] - vector.x, v[i] - vector.y),
                    sum[i]);
        }
    }
    classify(sum, first, windows, ret_mask, particle);
}

/* Same assignment of windows to blocks and threads. */
__global__ void k_classify_quadratic(ps_quadratic model, const float *mean, const float *deviation,
                                     size_t windows, uint8_t *ret_mask,
                                     unsigned long long *particle)
{
    size_t first = (size_t)blockIdx.x * PER_BLOCK + threadIdx.x;
    float value[PER_THREAD];
    for (int i = 0; i < PER_THREAD; i++) {
        size_t at = first + (size_t)i * THREADS;
        at = at < windows ? at : windows - 1;
        value[i] = ps_quadratic_value(&model, mean[at], deviation[at]);
    }
    classify(value, first, windows, ret_mask, particle);
}

cudaError_t ps_launch_classify_rbf(const struct ps_rbf *model, const float *mean,
                                   const float *deviation, size_t windows, uint8_t *ret_mask,
                                   unsigned long long *ret_particle, cudaStream_t stream)
{
    cudaError_t result = cudaMemsetAsync(ret_particle, 0, sizeof *ret_particle, stream);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_classify_rbf, ps_blocks(windows, PER_BLOCK), THREADS, 0, stream, *model,
                     mean, deviation, windows, ret_mask, ret_particle);
}

cudaError_t ps_launch_classify_quadratic(const struct ps_quadratic *model, const float *mean,
                                         const float *deviation, size_t windows, uint8_t *ret_mask,
                                         unsigned long long *ret_particle, cudaStream_t stream)
{
    cudaError_t result = cudaMemsetAsync(ret_particle, 0, sizeof *ret_particle, stream);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_classify_quadratic, ps_blocks(windows, PER_BLOCK), THREADS, 0, stream,
                     *model, mean, deviation, windows, ret_mask, ret_particle);
}
