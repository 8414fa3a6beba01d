/* Exact quantiles of fields, by counting: the keys of floats, which grow with them, are looked at
 * from the top, 11, 11 and 10 bits at a time. Counts are whole numbers: whose turn it was cannot
 * show in them.
 *
 * Three passes, each reads the values of n px once, 5 n bytes with their mask. The last block of a
 * pass finds the bin that has the quantile; nothing of it comes to the host. */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"
#include "reduce.h"

enum { THREADS = 256, BINS_EACH = PS_ORDER_BINS / THREADS, PASSES = 3 };

/* What three passes look for: the median; with it, the median deviation from it, or the value that
 * PS_LOWER_SHARE of the pixels are below, each for a standard deviation. */
enum quantile { MEDIAN, MEDIAN_DEVIATION, LOWER };

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

/* Of two values, the lower one. */
static __device__ unsigned rank_of(unsigned total, quantile which)
{
    double share = which == LOWER ? PS_LOWER_SHARE : 0.5;
    return total ? (unsigned)((double)(total - 1) * share) : 0;
}

static __device__ void note(ps_spread *spread, quantile which, double value)
{
    if (which == MEDIAN) {
        spread->median = value;
        return;
    }
    spread->deviation =
        which == LOWER ? ps_lower_deviation(spread->median, value) : ps_robust_deviation(value);
    spread->scale = (float)(1 / spread->deviation);
}

/* One block: the bin that has the wanted rank, and what follows from it. */
static __device__ void choose_bin(ps_order_state *state, int pass, ps_spread *spread,
                                  quantile which)
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
    unsigned before = ps_sum_before(own, &total);
    unsigned rank = pass == 0 ? rank_of(total, which) : state->rank;
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
    if (pass == PASSES - 1 && (here || (empty && threadIdx.x == 0)))
        note(spread, which, empty ? 0 : (double)ps_order_value(known));
}

/* A thread looks at every so manieth pixel, a block counts in shared memory. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_count(ps_order_jobs jobs, int pass, quantile which, ps_order_state *states)
{
    __shared__ unsigned bins[PS_ORDER_BINS];
    __shared__ bool last;
    const ps_order_job &job = jobs.job[blockIdx.y];
    ps_order_state *state = &states[blockIdx.y];
    for (int i = (int)threadIdx.x; i < PS_ORDER_BINS; i += THREADS)
        bins[i] = 0;
    __syncthreads();
    unsigned known = pass == 0 ? 0 : state->known;
    bool deviations = which == MEDIAN_DEVIATION;
    float centre = deviations ? (float)job.spread->median : 0;
    size_t step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < jobs.pixels; i += step) {
        float value = job.values[i]; /* of any pixel: no load waits for the mask's */
        bool counts = !job.mask || job.mask[i];
        unsigned key = ps_order_key(deviations ? fabsf(value - centre) : value);
        if (counts & ((key & known_mask(pass)) == known))
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
    choose_bin(state, pass, job.spread, which);
}

static cudaError_t find(const ps_order_jobs *jobs, quantile which, ps_order_state *states,
                        cudaStream_t stream)
{
    cudaError_t result = cudaSuccess;
    dim3 grid((unsigned)jobs->blocks, (unsigned)jobs->count);
    for (int pass = 0; pass < PASSES && result == cudaSuccess; pass++)
        result = PS_LAUNCH(k_adaptive_count, grid, THREADS, 0, stream, *jobs, pass, which, states);
    return result;
}

static cudaError_t find_both(const ps_order_jobs *jobs, quantile second, ps_order_state *states,
                             cudaStream_t stream)
{
    cudaError_t result = find(jobs, MEDIAN, states, stream);
    return result == cudaSuccess ? find(jobs, second, states, stream) : result;
}

cudaError_t ps_launch_adaptive_median(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream)
{
    return find(jobs, MEDIAN, states, stream);
}

cudaError_t ps_launch_adaptive_spread(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream)
{
    return find_both(jobs, MEDIAN_DEVIATION, states, stream);
}

cudaError_t ps_launch_adaptive_lower_spread(const struct ps_order_jobs *jobs,
                                            struct ps_order_state *states, cudaStream_t stream)
{
    return find_both(jobs, LOWER, states, stream);
}
