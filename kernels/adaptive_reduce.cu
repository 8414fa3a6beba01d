/* From the micrograph to the field and its channels: operations per pixel.
 *
 * Grid-stride loops over the pixels. A launch reads and writes each of its maps once, 4 bytes per
 * pixel, and is limited by memory. Binning reads the micrograph, 4 bytes per pixel of it. */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"
#include "reduce.h"

enum { THREADS = 256, MAX_BLOCKS = 2048 };

static unsigned pixel_blocks(size_t pixels)
{
    unsigned blocks = ps_blocks(pixels, THREADS);
    return blocks < MAX_BLOCKS ? blocks : (unsigned)MAX_BLOCKS;
}

#define FOR_PIXELS(i, pixels)                                                                      \
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < (pixels);                      \
         i += (size_t)gridDim.x * THREADS)

/* ---- step 1 -----------------------------------------------------------------------------------
 */

/* One thread per pixel of the field. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_bin(const float *micrograph, int micrograph_width, int bin, int width, int height,
                   int frame, float *ret_field)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    if (x >= width)
        return;
    const float *in =
        micrograph +
        (size_t)ps_mirror(y - frame, height - 2 * frame) * bin * (size_t)micrograph_width +
        (size_t)ps_mirror(x - frame, width - 2 * frame) * bin;
    float total = 0;
    for (int u = 0; u < bin; u++) {
        float sum = 0;
        for (int v = 0; v < bin; v++)
            sum += in[(size_t)v * micrograph_width + u];
        total += sum;
    }
    ret_field[(size_t)y * width + x] = total * (1.0F / ((float)bin * (float)bin));
}

cudaError_t ps_launch_adaptive_bin(const float *micrograph, int micrograph_width, int bin,
                                   int width, int height, int frame, float *ret_field,
                                   cudaStream_t stream)
{
    dim3 grid((unsigned)height, ps_blocks((size_t)width, THREADS)); /* the y axis ends at 65535 */
    return PS_LAUNCH(k_adaptive_bin, grid, THREADS, 0, stream, micrograph, micrograph_width, bin,
                     width, height, frame, ret_field);
}

/* ---- step 2 -----------------------------------------------------------------------------------
 */

__global__ void __launch_bounds__(THREADS)
    k_adaptive_extremes(const float *mean, const ps_spread *spread, double far, size_t pixels,
                        uint8_t *ret_below, uint8_t *ret_above)
{
    float offset = (float)spread->median;
    float limit = (float)(far * spread->deviation);
    FOR_PIXELS(i, pixels)
    {
        float difference = mean[i] - offset;
        ret_below[i] = -difference > limit;
        ret_above[i] = difference > limit;
    }
}

cudaError_t ps_launch_adaptive_extremes(const float *mean, const struct ps_spread *spread,
                                        double far, size_t pixels, uint8_t *ret_below,
                                        uint8_t *ret_above, cudaStream_t stream)
{
    return PS_LAUNCH(k_adaptive_extremes, pixel_blocks(pixels), THREADS, 0, stream, mean, spread,
                     far, pixels, ret_below, ret_above);
}

__global__ void __launch_bounds__(THREADS)
    k_adaptive_live(const uint8_t *dead, int width, int height, int frame, uint8_t *ret_live,
                    float *ret_weight)
{
    int inner_width = width - 2 * frame;
    int inner_height = height - 2 * frame;
    FOR_PIXELS(i, (size_t)width * (size_t)height)
    {
        int y = ps_nearest((int)(i / (size_t)width) - frame, inner_height);
        int x = ps_nearest((int)(i % (size_t)width) - frame, inner_width);
        bool live = !dead[(size_t)y * (size_t)inner_width + (size_t)x];
        ret_live[i] = live;
        ret_weight[i] = live;
    }
}

cudaError_t ps_launch_adaptive_live(const uint8_t *dead, int width, int height, int frame,
                                    uint8_t *ret_live, float *ret_weight, cudaStream_t stream)
{
    return PS_LAUNCH(k_adaptive_live, pixel_blocks((size_t)width * (size_t)height), THREADS, 0,
                     stream, dead, width, height, frame, ret_live, ret_weight);
}

/* Unmasked pixels are counted in integers, so the order of additions does not matter. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_mask(ps_mask_inputs inputs, int width, int height, int frame, float *image,
                    uint8_t *ret_allowed, uint8_t *ret_unmasked, float *ret_weight,
                    unsigned long long *ret_count)
{
    unsigned own = 0;
    FOR_PIXELS(i, (size_t)width * (size_t)height)
    {
        int y = (int)(i / (size_t)width);
        int x = (int)(i % (size_t)width);
        bool inside = x >= frame && x < width - frame && y >= frame && y < height - frame;
        bool allowed = !(inputs.live && !inputs.live[i]) && !(inputs.below && inputs.below[i]) &&
                       !(inputs.above && inputs.above[i]);
        bool unmasked = allowed && inside;
        ret_allowed[i] = allowed;
        ret_unmasked[i] = unmasked;
        ret_weight[i] = unmasked;
        image[i] *= (float)unmasked;
        own += unmasked;
    }
    own = ps_reduce_block(own, ps_add(), 0U);
    if (threadIdx.x == 0 && own)
        atomicAdd(ret_count, (unsigned long long)own);
}

cudaError_t ps_launch_adaptive_mask(const struct ps_mask_inputs *inputs, int width, int height,
                                    int frame, float *image, uint8_t *ret_allowed,
                                    uint8_t *ret_unmasked, float *ret_weight,
                                    unsigned long long *ret_count, cudaStream_t stream)
{
    cudaError_t result = cudaMemsetAsync(ret_count, 0, sizeof *ret_count, stream);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_adaptive_mask, pixel_blocks((size_t)width * (size_t)height), THREADS, 0,
                     stream, *inputs, width, height, frame, image, ret_allowed, ret_unmasked,
                     ret_weight, ret_count);
}

/* ---- passes over maps -------------------------------------------------------------------------
 */

/* Operations on a pixel; `median` and `scale` are those of the job's spread, 0 without one. */
struct normalised {
    bool centre;
    float clip;
    __device__ float operator()(const ps_pixel_job &job, size_t i, double median, float scale) const
    {
        float offset = centre ? (float)median : 0;
        float value = ps_clipped((job.in[i] - offset) * scale, clip);
        return job.weight ? value * job.weight[i] : value;
    }
};

struct without_background {
    __device__ float operator()(const ps_pixel_job &job, size_t i, double, float) const
    {
        return (job.out[i] - job.in[i] / ps_share(job.other[i])) * job.weight[i];
    }
};

struct squared_detail {
    __device__ float operator()(const ps_pixel_job &job, size_t i, double, float) const
    {
        float difference = job.in[i] - job.other[i];
        return difference * difference * job.weight[i];
    }
};

struct divided {
    __device__ float operator()(const ps_pixel_job &job, size_t i, double, float) const
    {
        return job.in[i] / ps_share(job.other[i]);
    }
};

struct logarithm {
    __device__ float operator()(const ps_pixel_job &job, size_t i, double median, float) const
    {
        return ps_log(job.in[i] + ps_energy_floor(median));
    }
};

struct centred {
    __device__ float operator()(const ps_pixel_job &job, size_t i, double median, float) const
    {
        return (job.in[i] - (float)median) * job.weight[i];
    }
};

struct inverse_norm {
    __device__ float operator()(const ps_pixel_job &job, size_t i, double median, float) const
    {
        float floor = ps_norm_floor(median);
        float norm = job.in[i];
        return 1 / (norm > floor ? norm : floor);
    }
};

template <class Pass>
__global__ void __launch_bounds__(THREADS) k_adaptive_pass(ps_pixel_jobs jobs, Pass pass)
{
    const ps_pixel_job &job = jobs.job[blockIdx.y];
    double median = job.spread ? job.spread->median : 0;
    float scale = job.spread ? job.spread->scale : 0;
    FOR_PIXELS(i, jobs.pixels)
    job.out[i] = pass(job, i, median, scale);
}

template <class Pass>
static cudaError_t run_pass(const ps_pixel_jobs *jobs, Pass pass, cudaStream_t stream)
{
    dim3 grid(pixel_blocks(jobs->pixels), (unsigned)jobs->count);
    return PS_LAUNCH(k_adaptive_pass<Pass>, grid, THREADS, 0, stream, *jobs, pass);
}

cudaError_t ps_launch_adaptive_normalise(const struct ps_pixel_jobs *jobs, bool centre, float clip,
                                         cudaStream_t stream)
{
    return run_pass(jobs, normalised{centre, clip}, stream);
}

cudaError_t ps_launch_adaptive_background(const struct ps_pixel_jobs *jobs, cudaStream_t stream)
{
    return run_pass(jobs, without_background(), stream);
}

cudaError_t ps_launch_adaptive_detail(const struct ps_pixel_jobs *jobs, cudaStream_t stream)
{
    return run_pass(jobs, squared_detail(), stream);
}

cudaError_t ps_launch_adaptive_divide(const struct ps_pixel_jobs *jobs, cudaStream_t stream)
{
    return run_pass(jobs, divided(), stream);
}

cudaError_t ps_launch_adaptive_logarithm(const struct ps_pixel_jobs *jobs, cudaStream_t stream)
{
    return run_pass(jobs, logarithm(), stream);
}

cudaError_t ps_launch_adaptive_centre(const struct ps_pixel_jobs *jobs, cudaStream_t stream)
{
    return run_pass(jobs, centred(), stream);
}

cudaError_t ps_launch_adaptive_inverse(const struct ps_pixel_jobs *jobs, cudaStream_t stream)
{
    return run_pass(jobs, inverse_norm(), stream);
}

/* ---- mean and deviation -----------------------------------------------------------------------
 */

__global__ void __launch_bounds__(THREADS)
    k_adaptive_deviation(const float *means, size_t stride, size_t pixels, float *ret_mean,
                         float *ret_deviation)
{
    const float *mean = means + 3 * blockIdx.y * stride;
    const float *square = mean + stride;
    const float *weight = square + stride;
    FOR_PIXELS(i, pixels)
    {
        float share = ps_share(weight[i]);
        float own = mean[i] / share;
        ret_mean[blockIdx.y * stride + i] = own;
        ret_deviation[blockIdx.y * stride + i] = ps_window_norm(square[i] / share, own, 1);
    }
}

cudaError_t ps_launch_adaptive_deviation(const float *means, size_t stride, size_t pixels,
                                         int levels, float *ret_mean, float *ret_deviation,
                                         cudaStream_t stream)
{
    dim3 grid(pixel_blocks(pixels), (unsigned)levels);
    return PS_LAUNCH(k_adaptive_deviation, grid, THREADS, 0, stream, means, stride, pixels,
                     ret_mean, ret_deviation);
}
