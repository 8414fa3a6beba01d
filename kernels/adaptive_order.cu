/* Exact quantiles of fields by radix counting: ps_order_key() of the values, 11, 11 and 10 bits at
 * a time from the top. Counts are integers, so the result does not depend on the order of threads.
 *
 * Each of the three passes reads the values of n px once, 5 n bytes with their mask. The last block
 * of a pass selects the bin of the quantile; the host does not wait. */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"
#include "reduce.h"

enum { THREADS = 256, BINS_EACH = PS_ORDER_BINS / THREADS, PASSES = 3 };

/* Quantile that three passes compute: the median; and, for the standard deviation, the median
 * deviation from it or the value that PS_LOWER_SHARE of the pixels are below. */
enum quantile { MEDIAN, MEDIAN_DEVIATION, LOWER };

static __device__ int shift_of(int pass)
{
    return pass == 0 ? 21 : pass == 1 ? 10 : 0;
}

static __device__ unsigned bins_mask(int pass)
{
    return pass == 2 ? 0x3FFU : 0x7FFU;
}

/* Bits of the key that are known before a pass. */
static __device__ unsigned known_mask(int pass)
{
    return pass == 0 ? 0 : pass == 1 ? 0xFFE00000U : 0xFFFFFC00U;
}

/* Rank of the quantile; of two middle values, the lower one. */
static __device__ unsigned rank_of(unsigned total, quantile which)
{
    double share = which == LOWER ? PS_LOWER_SHARE : 0.5;
    return total ? (unsigned)((double)(total - 1) * share) : 0;
}

static __device__ void store_quantile(ps_spread *spread, quantile which, double value)
{
    if (which == MEDIAN) {
        spread->median = value;
        return;
    }
    spread->deviation =
        which == LOWER ? ps_lower_deviation(spread->median, value) : ps_robust_deviation(value);
    spread->scale = (float)(1 / spread->deviation);
}

/* Run by one block: selects the bin with the wanted rank and updates the state. */
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
        store_quantile(spread, which, empty ? 0 : (double)ps_order_value(known));
}

/* Grid-stride loop over the pixels; a block counts in shared memory. */
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
        float value =
            job.values[i]; /* also of masked pixels: the load need not wait for the mask's */
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

static cudaError_t find_quantile(const ps_order_jobs *jobs, quantile which, ps_order_state *states,
                                 cudaStream_t stream)
{
    cudaError_t result = cudaSuccess;
    dim3 grid((unsigned)jobs->blocks, (unsigned)jobs->count);
    for (int pass = 0; pass < PASSES && result == cudaSuccess; pass++)
        result = PS_LAUNCH(k_adaptive_count, grid, THREADS, 0, stream, *jobs, pass, which, states);
    return result;
}

static cudaError_t find_spread(const ps_order_jobs *jobs, quantile second, ps_order_state *states,
                               cudaStream_t stream)
{
    cudaError_t result = find_quantile(jobs, MEDIAN, states, stream);
    return result == cudaSuccess ? find_quantile(jobs, second, states, stream) : result;
}

cudaError_t ps_launch_adaptive_median(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream)
{
    return find_quantile(jobs, MEDIAN, states, stream);
}

cudaError_t ps_launch_adaptive_spread(const struct ps_order_jobs *jobs,
                                      struct ps_order_state *states, cudaStream_t stream)
{
    return find_spread(jobs, MEDIAN_DEVIATION, states, stream);
}

cudaError_t ps_launch_adaptive_lower_spread(const struct ps_order_jobs *jobs,
                                            struct ps_order_state *states, cudaStream_t stream)
{
    return find_spread(jobs, LOWER, states, stream);
}
