/* Step 11: mixtures of two Gaussians, by expectation maximisation.
 *
 * A block has a list of n values and stays with it for all rounds: some 60 n operations with
 * doubles and two sums over the block a round. Values and the probabilities of the round stay in
 * its cache (16 n bytes). A list is as slow as one multiprocessor: n = 2000 are 3,800 operations of
 * warps a round, 1 us where it begins two a cycle, and as much for the sums, 36 us where one takes
 * it 16 cycles (cards with two units for doubles). That makes 0.2 ms and 4 ms for all of 100
 * rounds; lists of two populations need a third of them (ps_mixture_settled()). */
#include "kernel.h"
#include "launch_adaptive.h"
#include "formulas/mixture_formulas.h"
#include "reduce.h"

/* Of a block at most: for lists that are short, it is as large as they are long. */
enum { THREADS = 512, WARPS = THREADS / PS_WARP };

/* Sums over the block, for all its threads, in a fixed order. */
template <int count> static __device__ __forceinline__ void sum_of_block(double (&values)[count])
{
    __shared__ double parts[count][WARPS];
    int lane = (int)threadIdx.x % PS_WARP;
    int warp = (int)threadIdx.x / PS_WARP;
    __syncthreads(); /* the sums before may still be read */
    PS_UNROLL
    for (int k = 0; k < count; k++) {
        values[k] = ps_reduce_warp(values[k], ps_add());
        if (lane == 0)
            parts[k][warp] = values[k];
    }
    __syncthreads();
    PS_UNROLL
    for (int k = 0; k < count; k++) {
        values[k] = 0;
        for (int w = 0; w < (int)blockDim.x / PS_WARP; w++)
            values[k] += parts[k][w];
    }
}

struct cut {
    double between; /* what it is worth */
    int above;      /* values before it */
};

static __device__ cut better(cut a, cut b)
{
    return b.between > a.between || (b.between == a.between && b.above < a.above) ? b : a;
}

/* Otsu's threshold of values that come the largest first: a thread has a piece of them and looks at
 * the cuts after each. */
static __device__ double otsu(const double *values, int count)
{
    __shared__ cut cuts[THREADS];
    int threads = (int)blockDim.x;
    int each = (count + threads - 1) / threads;
    int begin = min((int)threadIdx.x * each, count);
    int end = min(begin + each, count);
    double own = 0;
    for (int i = begin; i < end; i++)
        own += values[i];
    double total;
    double before = ps_sum_before(own, &total);
    cut best = {-1, 0};
    for (int i = begin; i < end && i < count - 1; i++) {
        before += values[i];
        best = better(best,
                      cut{ps_otsu_between(before, total, (double)(i + 1), (double)count), i + 1});
    }
    cuts[threadIdx.x] = best;
    for (int half = threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half)
            cuts[threadIdx.x] = better(cuts[threadIdx.x], cuts[threadIdx.x + half]);
    }
    __syncthreads();
    int above = cuts[0].above;
    return above > 0 ? (values[above - 1] + values[above]) / 2 : values[0];
}

/* Where the rounds begin: both sides of the threshold. Returns the least deviation. */
static __device__ __forceinline__ double begin_mixture(const double *values, int count,
                                                       ps_mixture *ret_mixture)
{
    double threshold = otsu(values, count);
    double sums[4] = {0, 0, 0, 0}; /* numbers and sums below, above */
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        double upper = values[i] > threshold;
        sums[0] += 1 - upper;
        sums[1] += upper;
        sums[2] += (1 - upper) * values[i];
        sums[3] += upper * values[i];
    }
    sum_of_block(sums);
    double all = (sums[2] + sums[3]) / (double)count;
    for (int k = 0; k < 2; k++)
        ret_mixture->mean[k] = sums[k] > 0 ? sums[2 + k] / sums[k] : 0;
    double squares[3] = {0, 0, 0}; /* below, above, all */
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        double upper = values[i] > threshold;
        double below = values[i] - ret_mixture->mean[0];
        double above = values[i] - ret_mixture->mean[1];
        squares[0] += (1 - upper) * below * below;
        squares[1] += upper * above * above;
        squares[2] += (values[i] - all) * (values[i] - all);
    }
    sum_of_block(squares);
    for (int k = 0; k < 2; k++)
        ret_mixture->deviation[k] = sqrt(sums[k] > 0 ? squares[k] / sums[k] : 0) + 1e-6;
    ret_mixture->share = ps_mixture_share(sums[1], (double)count);
    return PS_MIXTURE_LEAST_DEVIATION * sqrt(squares[2] / (double)count) + 1e-9;
}

static __device__ __forceinline__ void improve(const double *values, int count, double floor,
                                               double *uppers, ps_mixture *m)
{
    ps_mixture_tops tops = ps_mixture_tops_of(m);
    double sums[4] = {0, 0, 0, 0}; /* numbers and sums of both */
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        double r = ps_mixture_upper(m, &tops, values[i]);
        uppers[i] = r;
        sums[0] += 1 - r;
        sums[1] += r;
        sums[2] += (1 - r) * values[i];
        sums[3] += r * values[i];
    }
    sum_of_block(sums);
    for (int k = 0; k < 2; k++)
        m->mean[k] = sums[2 + k] / sums[k];
    double squares[2] = {0, 0};
    for (int i = (int)threadIdx.x; i < count; i += (int)blockDim.x) {
        double r = uppers[i]; /* the thread's own */
        squares[0] += (1 - r) * (values[i] - m->mean[0]) * (values[i] - m->mean[0]);
        squares[1] += r * (values[i] - m->mean[1]) * (values[i] - m->mean[1]);
    }
    sum_of_block(squares);
    for (int k = 0; k < 2; k++)
        m->deviation[k] = fmax(floor, sqrt(squares[k] / sums[k]));
    m->share = ps_mixture_share(sums[1], (double)count);
}

/* A block has a list. */
__global__ void __launch_bounds__(THREADS, 1)
    k_adaptive_mixture(const double *values, double *uppers, ps_mixture_jobs jobs,
                       ps_mixture *ret_mixtures)
{
    int first = jobs.first[blockIdx.x];
    int count = jobs.count[blockIdx.x];
    if (count < 2)
        return;
    ps_mixture mixture;
    double floor = begin_mixture(values + first, count, &mixture);
    bool settled = false; /* for all threads alike, whose sums are the same */
    for (int round = 0; round < PS_MIXTURE_ROUNDS && !settled; round++) {
        ps_mixture before = mixture;
        improve(values + first, count, floor, uppers + first, &mixture);
        settled = ps_mixture_settled(&before, &mixture);
    }
    if (threadIdx.x == 0)
        ret_mixtures[blockIdx.x] = mixture;
}

cudaError_t ps_launch_adaptive_mixtures(const double *values, double *uppers,
                                        const struct ps_mixture_jobs *jobs, int lists,
                                        struct ps_mixture *ret_mixtures, cudaStream_t stream)
{
    unsigned threads = PS_WARP;
    for (int i = 0; i < lists; i++)
        while (threads < THREADS && (int)threads < jobs->count[i])
            threads *= 2;
    return PS_LAUNCH(k_adaptive_mixture, (unsigned)lists, threads, 0, stream, values, uppers, *jobs,
                     ret_mixtures);
}
