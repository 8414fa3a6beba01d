/* Correlation with templates, window norms, responses and their moments.
 *
 * A correlation of an image of n px (adaptive_template.cu) writes 4 n bytes (template), transforms
 * them, reads 16 n and writes 8 n (product of n / 2 complex numbers, in place), transforms back,
 * and reads 8 n and writes 4 n (response). A transform moves 16 n bytes if it takes two passes. */
#include "formulas/adaptive_formulas.h"
#include "adaptive_image.h"
#include "reduce.h"

enum { THREADS = PS_IMAGE_THREADS, MAX_BLOCKS = 1024 };

static dim3 map_grid(const ps_adaptive_maps *maps, int images)
{
    return dim3((unsigned)maps->height, ps_blocks((size_t)maps->width, THREADS), (unsigned)images);
}

/* ---- correlation ------------------------------------------------------------------------------
 */

/* Grid-stride loop over the numbers of a spectrum. */
__global__ void __launch_bounds__(THREADS) k_adaptive_multiply(size_t count, ps_product_jobs jobs)
{
    const auto &job = jobs.job[blockIdx.y];
    size_t step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        float2 image = job.image[i];
        float factor = job.template_[i].x;
        job.out[i] = make_float2(image.x * factor, image.y * factor);
    }
}

cudaError_t ps_launch_adaptive_multiply(const struct ps_adaptive_maps *maps,
                                        const struct ps_product_jobs *jobs, cudaStream_t stream)
{
    size_t count = ps_image_floats(maps->fft_width, maps->fft_height) / 2;
    unsigned blocks = ps_blocks(count, 2 * THREADS);
    dim3 grid(blocks < MAX_BLOCKS ? blocks : (unsigned)MAX_BLOCKS, (unsigned)jobs->count);
    return PS_LAUNCH(k_adaptive_multiply, grid, THREADS, 0, stream, count, *jobs);
}

static __device__ int area_over(const ps_adaptive_level &level, const ps_cut &cut)
{
    int stride = 2 * level.reach + 2;
    return level.area[cut.bottom * stride + cut.right] - level.area[cut.top * stride + cut.right] -
           level.area[cut.bottom * stride + cut.left] + level.area[cut.top * stride + cut.left];
}

/* One thread per pixel of a level's channel. Means over the disk are rescaled to means over the
 * part that the border leaves of it. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_norms(ps_adaptive_maps maps, const float *stack)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    if (x >= maps.width)
        return;
    int job = (int)blockIdx.z;
    const ps_adaptive_level &level = maps.levels[job / PS_CHANNELS];
    float factor = (float)(1.0 / level.disk / ((double)maps.fft_width * (double)maps.fft_height));
    size_t from = (size_t)y * row_floats(maps) + (size_t)x;
    float square = stack[2 * job * image_floats(maps) + from] * factor;
    float mean = stack[(2 * job + 1) * image_floats(maps) + from] * factor;
    ps_cut cut;
    if (ps_window_cut(level.reach, maps.frame, maps.width, maps.height, x, y, &cut)) {
        float scale = (float)((double)level.disk / (double)area_over(level, cut));
        square *= scale;
        mean *= scale;
    }
    size_t i = (size_t)job * maps.stride + (size_t)y * (size_t)maps.width + (size_t)x;
    maps.local[i] = mean;
    maps.inverse[i] = ps_window_norm(square, mean, (float)level.disk);
}

cudaError_t ps_launch_adaptive_norms(const struct ps_adaptive_maps *maps, int jobs,
                                     const float *stack, cudaStream_t stream)
{
    return PS_LAUNCH(k_adaptive_norms, map_grid(maps, jobs), THREADS, 0, stream, *maps, stack);
}

/* One thread per pixel of a track. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_respond(ps_adaptive_maps maps, ps_adaptive_tracks tracks, const float *stack)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    if (x >= maps.width)
        return;
    const auto &track = tracks.track[blockIdx.z];
    const ps_adaptive_level &level = maps.levels[track.level];
    size_t pixel = (size_t)y * (size_t)maps.width + (size_t)x;
    size_t i = (2 * (size_t)track.level + track.channel) * maps.stride + pixel;
    int index = 2 * track.item + track.channel;
    float inverse = maps.inverse[i];
    float response = stack[blockIdx.z * image_floats(maps) + (size_t)y * row_floats(maps) + x] *
                     maps.fft_scale * inverse;
    ps_cut cut;
    if (ps_window_cut(level.reach, maps.frame, maps.width, maps.height, x, y, &cut)) {
        const ps_cut_sums *sums = maps.sums + (size_t)index * maps.sums_stride;
        int stride = 2 * level.reach + 2;
        const ps_cut_sums &a = sums[cut.bottom * stride + cut.right];
        const ps_cut_sums &b = sums[cut.top * stride + cut.right];
        const ps_cut_sums &c = sums[cut.bottom * stride + cut.left];
        const ps_cut_sums &d = sums[cut.top * stride + cut.left];
        double sum = a.sum - b.sum - c.sum + d.sum;
        double norm = ps_cut_norm(sum, a.square - b.square - c.square + d.square,
                                  (double)area_over(level, cut));
        response = ps_cut_response(response, maps.local[i], inverse, (float)sum, (float)norm);
    }
    maps.response[(size_t)index * maps.stride + pixel] = response;
}

cudaError_t ps_launch_adaptive_respond(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks, const float *stack,
                                       cudaStream_t stream)
{
    return PS_LAUNCH(k_adaptive_respond, map_grid(maps, tracks->count), THREADS, 0, stream, *maps,
                     *tracks, stack);
}

/* ---- moments ----------------------------------------------------------------------------------
 */

/* Grid-stride loop over the pixels of a track's item. The last block to finish adds the sums of all
 * blocks in a fixed order. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_moments(ps_adaptive_maps maps, ps_adaptive_tracks tracks, double *parts)
{
    __shared__ bool last;
    int item = tracks.track[blockIdx.y].item;
    const float *first = maps.response + 2 * (size_t)item * maps.stride;
    const float *second = first + maps.stride;
    double sums[PS_MOMENT_SUMS] = {0, 0, 0, 0, 0};
    size_t pixels = (size_t)maps.width * (size_t)maps.height;
    size_t step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < pixels; i += step) {
        bool counts = maps.unmasked[i];
        float u = first[i]; /* also of masked pixels: the load need not wait for the mask's */
        float v = second[i];
        ps_add_moments(counts ? u : 0, counts ? v : 0, sums);
    }
    double *own = parts + PS_MOMENT_SUMS * (size_t)blockIdx.y * gridDim.x;
    for (int k = 0; k < PS_MOMENT_SUMS; k++) {
        sums[k] = ps_reduce_block(sums[k], ps_add(), 0.0);
        if (threadIdx.x == 0)
            own[PS_MOMENT_SUMS * blockIdx.x + k] = sums[k];
    }
    __threadfence();
    if (threadIdx.x == 0)
        last = atomicAdd(&maps.results[item].ticket, 1U) == gridDim.x - 1;
    __syncthreads();
    if (!last)
        return;
    __threadfence();
    for (int k = 0; k < PS_MOMENT_SUMS; k++) {
        double part = threadIdx.x < gridDim.x ? __ldcg(&own[PS_MOMENT_SUMS * threadIdx.x + k]) : 0;
        part = ps_reduce_block(part, ps_add(), 0.0);
        if (threadIdx.x == 0)
            maps.results[item].sums[k] = part;
    }
    if (threadIdx.x == 0)
        maps.results[item].ticket = 0;
}

cudaError_t ps_launch_adaptive_moments(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks, double *parts,
                                       cudaStream_t stream)
{
    static_assert((int)PS_MOMENT_BLOCKS <= (int)THREADS, "a thread for each block");
    unsigned blocks = ps_blocks((size_t)maps->width * (size_t)maps->height, 4 * THREADS);
    dim3 grid(blocks < PS_MOMENT_BLOCKS ? blocks : (unsigned)PS_MOMENT_BLOCKS,
              (unsigned)tracks->count);
    return PS_LAUNCH(k_adaptive_moments, grid, THREADS, 0, stream, *maps, *tracks, parts);
}
