/* The score and its peaks.
 *
 * The score reads two responses and writes itself, 12 bytes per pixel. The search reads it once and
 * writes it normalised, 8 bytes, and then only looks at maxima, one in about forty pixels.
 *
 * Of two maxima that are too close, the better one stays if it is kept itself: each maximum waits
 * for the better ones near it. The result does not depend on the order of decisions; it equals that
 * of taking the maxima one by one, the best first. Lists of maxima are unordered; the kept ones are
 * ranked at the end. All keys differ. */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"
#include "reduce.h"

enum { THREADS = 256, MAX_BLOCKS = 512 };

/* ---- score ------------------------------------------------------------------------------------
 */

/* Grid-stride loop over the pixels of an item; also empties the cells. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_score(ps_adaptive_maps maps, ps_adaptive_search search)
{
    const auto &job = search.job[blockIdx.y];
    size_t begin = (size_t)blockIdx.x * THREADS + threadIdx.x;
    size_t step = (size_t)gridDim.x * THREADS;
    if (begin == 0) {
        ps_adaptive_result &result = maps.results[job.item];
        result.found = result.kept = result.open = 0;
    }
    int *heads = search.heads + blockIdx.y * search.cells;
    for (size_t i = begin; i < (size_t)job.columns * (size_t)job.rows; i += step)
        heads[i] = -1;
    const float *first = maps.response + 2 * (size_t)job.item * maps.stride;
    const float *second = first + maps.stride;
    float *raw = maps.raw + (size_t)job.item * maps.stride;
    size_t pixels = (size_t)maps.width * (size_t)maps.height;
    for (size_t i = begin; i < pixels; i += step) {
        float value = job.weights[0] != 0 ? job.weights[0] * first[i] : 0;
        raw[i] = job.weights[1] != 0 ? value + job.weights[1] * second[i] : value;
    }
}

cudaError_t ps_launch_adaptive_score(const struct ps_adaptive_maps *maps,
                                     const struct ps_adaptive_search *search, cudaStream_t stream)
{
    unsigned blocks = ps_blocks((size_t)maps->width * (size_t)maps->height, THREADS);
    dim3 grid(blocks < MAX_BLOCKS ? blocks : (unsigned)MAX_BLOCKS, (unsigned)search->count);
    return PS_LAUNCH(k_adaptive_score, grid, THREADS, 0, stream, *maps, *search);
}

/* ---- maxima -----------------------------------------------------------------------------------
 */

enum { TILE_WIDTH = 32, TILE_HEIGHT = 8 };
enum state { OPEN, KEPT, DROPPED };

static __device__ int cell_of(const ps_adaptive_search &search, int job, int x, int y)
{
    float inverse = search.job[job].inverse_cell;
    return (int)((float)y * inverse) * search.job[job].columns + (int)((float)x * inverse);
}

/* True if no value within `radius` is larger than `value`. */
static __device__ bool is_largest(const float *raw, float offset, float scale, int width,
                                  int height, int x, int y, int radius, float value)
{
    int right = min(x + radius, width - 1);
    int bottom = min(y + radius, height - 1);
    for (int v = max(y - radius, 0); v <= bottom; v++)
        for (int u = max(x - radius, 0); u <= right; u++)
            if ((raw[(size_t)v * (size_t)width + (size_t)u] - offset) * scale > value)
                return false;
    return true;
}

/* One block per tile of an item, one thread per pixel. A thread normalises its pixel and compares
 * the adjacent ones; the few that pass compare the whole radius. The border is left out, because a
 * maximum there may continue outside. */
__global__ void __launch_bounds__(TILE_WIDTH *TILE_HEIGHT)
    k_adaptive_maxima(ps_adaptive_maps maps, ps_adaptive_search search)
{
    __shared__ float tile[TILE_HEIGHT + 2][TILE_WIDTH + 2];
    int index = (int)blockIdx.z;
    const auto &job = search.job[index];
    const float *raw = maps.raw + (size_t)job.item * maps.stride;
    float offset = (float)search.spreads[index].median;
    float scale = search.spreads[index].scale;
    int left = (int)blockIdx.x * TILE_WIDTH - 1;
    int top = (int)blockIdx.y * TILE_HEIGHT - 1;
    int thread = (int)(threadIdx.y * TILE_WIDTH + threadIdx.x);
    for (int i = thread; i < (TILE_HEIGHT + 2) * (TILE_WIDTH + 2); i += TILE_WIDTH * TILE_HEIGHT) {
        int u = i % (TILE_WIDTH + 2);
        int v = i / (TILE_WIDTH + 2);
        int x = left + u;
        int y = top + v;
        bool inside = x >= 0 && x < maps.width && y >= 0 && y < maps.height;
        tile[v][u] =
            inside ? (raw[(size_t)y * (size_t)maps.width + (size_t)x] - offset) * scale : 0;
    }
    __syncthreads();
    int x = left + 1 + (int)threadIdx.x;
    int y = top + 1 + (int)threadIdx.y;
    if (x >= maps.width || y >= maps.height)
        return;
    float value = tile[threadIdx.y + 1][threadIdx.x + 1];
    size_t pixel = (size_t)y * (size_t)maps.width + (size_t)x;
    maps.score[(size_t)job.item * maps.stride + pixel] = value;
    if (x == 0 || x == maps.width - 1 || y == 0 || y == maps.height - 1 || !maps.allowed[pixel])
        return;
    for (int v = 0; v < 3; v++)
        for (int u = 0; u < 3; u++)
            if (tile[threadIdx.y + v][threadIdx.x + u] > value)
                return;
    if (job.radius > 1 &&
        !is_largest(raw, offset, scale, maps.width, maps.height, x, y, job.radius, value))
        return;
    size_t at = atomicAdd(&maps.results[job.item].found, 1U);
    if (at >= search.capacity)
        return;
    at += (size_t)index * search.capacity;
    /* Ordered by value, then by pixel: the first wins. + 0 turns negative zero into zero. */
    search.keys[at] =
        (unsigned long long)ps_order_key(value + 0.0F) << 32 | (0xFFFFFFFFU - (unsigned)pixel);
    search.states[at] = OPEN;
    int *head = &search.heads[(size_t)index * search.cells + (size_t)cell_of(search, index, x, y)];
    search.next[at] = atomicExch(head, (int)(at - (size_t)index * search.capacity));
}

/* ---- suppression ------------------------------------------------------------------------------
 */

/* The maxima of a job. */
struct maxima {
    const ps_adaptive_search &search;
    int index;
    int width;
    const unsigned long long *keys;
    const int *next;
    const int *heads;
    volatile uint8_t *states;

    __device__ maxima(const ps_adaptive_search &s, int job, int field_width)
        : search(s), index(job), width(field_width), keys(s.keys + (size_t)job * s.capacity),
          next(s.next + (size_t)job * s.capacity), heads(s.heads + (size_t)job * s.cells),
          states(s.states + (size_t)job * s.capacity)
    {
    }

    __device__ static unsigned pixel_of(unsigned long long key)
    {
        return 0xFFFFFFFFU - (unsigned)key;
    }

    /* State of maximum i; OPEN while a better one near it is open. */
    __device__ int judge(int i) const
    {
        const auto &job = search.job[index];
        unsigned long long key = keys[i];
        int x = (int)(pixel_of(key) % (unsigned)width);
        int y = (int)(pixel_of(key) / (unsigned)width);
        int cell = cell_of(search, index, x, y);
        int column = cell % job.columns;
        int row = cell / job.columns;
        bool open = false;
        for (int v = max(row - 1, 0); v <= min(row + 1, job.rows - 1); v++) {
            for (int u = max(column - 1, 0); u <= min(column + 1, job.columns - 1); u++) {
                for (int k = heads[v * job.columns + u]; k >= 0; k = next[k]) {
                    unsigned long long other = keys[k];
                    if (other <= key)
                        continue;
                    int dx = (int)(pixel_of(other) % (unsigned)width) - x;
                    int dy = (int)(pixel_of(other) / (unsigned)width) - y;
                    if (dx * dx + dy * dy > job.squared)
                        continue;
                    int state = states[k];
                    if (state == KEPT)
                        return DROPPED;
                    open |= state == OPEN;
                }
            }
        }
        return open ? OPEN : KEPT;
    }

    __device__ void decide(int i, int state, ps_adaptive_result *result) const
    {
        states[i] = (uint8_t)state;
        if (state == KEPT)
            search.kept[(size_t)index * search.capacity + atomicAdd(&result->kept, 1U)] = keys[i];
    }
};

enum { TRIES = 8 };

/* Grid-stride loop over the maxima of an item. Each is retried a few times while other threads
 * decide its neighbours; those that stay open are listed. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_suppress(ps_adaptive_maps maps, ps_adaptive_search search)
{
    int index = (int)blockIdx.y;
    ps_adaptive_result *result = &maps.results[search.job[index].item];
    maxima all(search, index, maps.width);
    int count = (int)min((size_t)result->found, search.capacity);
    for (int i = (int)(blockIdx.x * THREADS + threadIdx.x); i < count;
         i += (int)gridDim.x * THREADS) {
        int state = OPEN;
        for (int t = 0; t < TRIES && state == OPEN; t++)
            state = all.judge(i);
        if (state == OPEN)
            search.open[(size_t)index * search.capacity + atomicAdd(&result->open, 1U)] =
                (unsigned)i;
        else
            all.decide(i, state, result);
    }
}

enum { FINISH_THREADS = 512 };

/* One block per item. Repeats over the open maxima; each round decides at least the best of
 * them. */
__global__ void __launch_bounds__(FINISH_THREADS)
    k_adaptive_finish(ps_adaptive_maps maps, ps_adaptive_search search)
{
    int index = (int)blockIdx.x;
    ps_adaptive_result *result = &maps.results[search.job[index].item];
    maxima all(search, index, maps.width);
    const unsigned *open = search.open + (size_t)index * search.capacity;
    int count = (int)result->open;
    for (bool any_open = count > 0; any_open;) {
        any_open = false;
        for (int k = (int)threadIdx.x; k < count; k += FINISH_THREADS) {
            int i = (int)open[k];
            if (all.states[i] != OPEN)
                continue;
            int state = all.judge(i);
            if (state == OPEN)
                any_open = true;
            else
                all.decide(i, state, result);
        }
        any_open = __syncthreads_or(any_open);
    }
}

/* ---- order ------------------------------------------------------------------------------------
 */

/* One warp per peak of an item, in a grid-stride loop: counts the better ones. n peaks take n^2
 * comparisons, which is fast for thousands. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_rank(ps_adaptive_maps maps, ps_adaptive_search search, ps_peak *ret_peaks)
{
    int index = (int)blockIdx.y;
    unsigned first = 0; /* of the item's peaks */
    for (int i = 0; i < index; i++)
        first += maps.results[search.job[i].item].kept;
    unsigned count = maps.results[search.job[index].item].kept;
    const unsigned long long *keys = search.kept + (size_t)index * search.capacity;
    size_t level = (size_t)search.job[index].level;
    unsigned lane = threadIdx.x % PS_WARP;
    for (unsigned i = (blockIdx.x * THREADS + threadIdx.x) / PS_WARP; i < count;
         i += gridDim.x * THREADS / PS_WARP) {
        unsigned long long key = keys[i];
        unsigned better = 0;
        for (unsigned k = lane; k < count; k += PS_WARP)
            better += keys[k] > key;
        better = ps_reduce_warp(better, ps_add());
        if (lane == 0) {
            unsigned pixel = maxima::pixel_of(key);
            ps_peak &peak = ret_peaks[first + better];
            peak.x = (int)(pixel % (unsigned)maps.width);
            peak.y = (int)(pixel / (unsigned)maps.width);
            peak.value = ps_order_value((unsigned)(key >> 32));
            peak.mean = maps.mean[level * maps.stride + pixel];
            peak.deviation = maps.deviation[level * maps.stride + pixel];
        }
    }
}

cudaError_t ps_launch_adaptive_peaks(const struct ps_adaptive_maps *maps,
                                     const struct ps_adaptive_search *search, int blocks,
                                     struct ps_peak *ret_peaks, cudaStream_t stream)
{
    unsigned items = (unsigned)search->count;
    dim3 tiles(ps_blocks((size_t)maps->width, TILE_WIDTH),
               ps_blocks((size_t)maps->height, TILE_HEIGHT), items);
    cudaError_t result = PS_LAUNCH(k_adaptive_maxima, tiles, dim3(TILE_WIDTH, TILE_HEIGHT), 0,
                                   stream, *maps, *search);
    dim3 grid((unsigned)blocks, items);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_adaptive_suppress, grid, THREADS, 0, stream, *maps, *search);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_adaptive_finish, items, FINISH_THREADS, 0, stream, *maps, *search);
    if (result == cudaSuccess)
        result = PS_LAUNCH(k_adaptive_rank, grid, THREADS, 0, stream, *maps, *search, ret_peaks);
    return result;
}
