/* Exact medians of fields, by counting: the keys of floats, which grow with them, are looked at
 * from the top, 11, 11 and 10 bits at a time. Counts are whole numbers: whose turn it was cannot
 * show in them.
 *
 * Three passes, each reads the values of n px once, 5 n bytes with their mask. The last block of a
 * pass finds the bin that has the median; nothing of it comes to the host. */
#include "backend/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"

enum { THREADS = 256, BINS_EACH = PS_ORDER_BINS / THREADS, PASSES = 3 };

static __device__ int shift_of(int pass)
{
    return pass == 0 ? 21 : pass == 1 ? 10 : 0;
}

static __device__ unsigned bins_mask(int pass)
{
    return pass == 2 ? 0x3FFU : 0x7FFU;
}

/* Bits that are known before a pass. */
static __device__ unsigned known_mask(int pass)
{
    return pass == 0 ? 0 : pass == 1 ? 0xFFE00000U : 0xFFFFFC00U;
}

/* Sum of the values of the threads before this one. */
static __device__ unsigned sum_before(unsigned value, unsigned *ret_total)
{
    __shared__ unsigned warps[THREADS / PS_WARP];
    int lane = (int)threadIdx.x % PS_WARP;
    unsigned sum = value;
    for (int distance = 1; distance < PS_WARP; distance *= 2) {
        unsigned other = __shfl_up_sync(0xFFFFFFFFU, sum, distance);
        if (lane >= distance)
            sum += other;
    }
    if (lane == PS_WARP - 1)
        warps[threadIdx.x / PS_WARP] = sum;
    __syncthreads();
    unsigned before = 0;
    unsigned total = 0;
    for (int w = 0; w < THREADS / PS_WARP; w++) {
        before += w < (int)threadIdx.x / PS_WARP ? warps[w] : 0;
        total += warps[w];
    }
    *ret_total = total;
    return before + sum - value;
}

/* One block: the bin that has the wanted rank, and what follows from it. */
static __device__ void choose_bin(ps_order_state *state, int pass, ps_spread *spread,
                                  bool deviations)
{
    unsigned counts[BINS_EACH];
    unsigned own = 0;
    for (int i = 0; i < BINS_EACH; i++) {
        unsigned *bin = &state->counts[threadIdx.x * BINS_EACH + i];
        counts[i] = __ldcg(bin);
        own += counts[i];
        *bin = 0;
    }
    unsigned total;
    unsigned before = sum_before(own, &total);
    unsigned rank = pass == 0 ? (total ? (total - 1) / 2 : 0) : state->rank;
    unsigned known = pass == 0 ? 0 : state->known;
    bool empty = pass == 0 ? total == 0 : state->empty != 0;
    __syncthreads(); /* all have read the state */
    if (threadIdx.x == 0) {
        state->ticket = 0;
        state->empty = empty;
    }
    bool here = !empty && rank >= before && rank < before + own;
    if (here) {
        unsigned bin = threadIdx.x * BINS_EACH;
        rank -= before;
        for (int i = 0; rank >= counts[i]; i++) {
            rank -= counts[i];
            bin++;
        }
        known |= bin << shift_of(pass);
        state->known = known;
        state->rank = rank;
    }
    if (pass == PASSES - 1 && (here || (empty && threadIdx.x == 0))) {
        double median = empty ? 0 : (double)ps_order_value(known);
        if (deviations)
            spread->deviation = ps_robust_deviation(median);
        else
            spread->median = median;
    }
}

/* A thread looks at every so manieth pixel, a block counts in shared memory. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_count(ps_order_jobs jobs, int pass, bool deviations, ps_order_state *states)
{
    __shared__ unsigned bins[PS_ORDER_BINS];
    __shared__ bool last;
    const ps_order_job &job = jobs.job[blockIdx.y];
    ps_order_state *state = &states[blockIdx.y];
    for (int i = (int)threadIdx.x; i < PS_ORDER_BINS; i += THREADS)
        bins[i] = 0;
    __syncthreads();
    unsigned known = pass == 0 ? 0 : state->known;
    float centre = deviations ? (float)job.spread->median : 0;
    size_t step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < jobs.pixels; i += step) {
        if (job.mask && !job.mask[i])
            continue;
        float value = job.values[i];
        unsigned key = ps_order_key(deviations ? fabsf(value - centre) : value);
        if ((key & known_mask(pass)) == known)
            atomicAdd(&bins[key >> shift_of(pass) & bins_mask(pass)], 1U);
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < PS_ORDER_BINS; i += THREADS)
        if (bins[i])
            atomicAdd(&state->counts[i], bins[i]);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0)
        last = atomicAdd(&state->ticket, 1U) == gridDim.x - 1;
    __syncthreads();
    if (!last)
        return;
    __threadfence();
    choose_bin(state, pass, job.spread, deviations);
}

static cudaError_t find(const ps_order_jobs *jobs, bool deviations, ps_order_state *states,
                        cudaStream_t stream)
{
    cudaError_t result = cudaSuccess;
    dim3 grid((unsigned)jobs->blocks, (unsigned)jobs->count);
    for (int pass = 0; pass < PASSES && result == cudaSuccess; pass++)
        result =
            PS_LAUNCH(k_adaptive_count, grid, THREADS, 0, stream, *jobs, pass, deviations, states);
    return result;
}

cudaError_t ps_launch_adaptive_median(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream)
{
    return find(jobs, false, states, stream);
}

cudaError_t ps_launch_adaptive_spread(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream)
{
    cudaError_t result = find(jobs, false, states, stream);
    return result == cudaSuccess ? find(jobs, true, states, stream) : result;
}
