/* Images to be transformed: fields, disks, and templates, which are radial means around examples.
 *
 * Templates depend on the radius only and are centred on pixel (0, 0) of an image, wrapped: their
 * spectra are real, and a correlation lies where the field does. An image is the field followed by
 * zeros as far as a template reaches, a little more than n px; writing one takes 4 n bytes. */
#include "formulas/adaptive_formulas.h"
#include "adaptive_image.h"
#include "reduce.h"

enum { THREADS = PS_IMAGE_THREADS };

static __device__ const float *channel_of(const ps_adaptive_maps &maps, int level, int channel)
{
    return channel == PS_CHANNEL_INTENSITY ? maps.intensity
                                           : maps.energy + (size_t)level * maps.stride;
}

/* Radius of a pixel of a wrapped image; -1 outside the template's square. */
static __device__ double wrapped_radius(const ps_adaptive_maps &maps, int reach, int x, int y)
{
    int u = min(x, maps.fft_width - x);
    int v = min(y, maps.fft_height - y);
    return u >= 0 && u <= reach && v <= reach ? ps_radius(u, v) : -1;
}

/* ---- images -----------------------------------------------------------------------------------
 */

/* One thread per pixel of an image. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_images(ps_adaptive_maps maps, ps_image_jobs jobs, float *ret_stack)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    if (x >= (int)row_floats(maps))
        return;
    const auto &job = jobs.job[blockIdx.z];
    float value = 0;
    if (job.field) {
        if (x < maps.width && y < maps.height)
            value = job.field[(size_t)y * (size_t)maps.width + (size_t)x];
        value = job.squared ? value * value : value;
    } else {
        const ps_adaptive_level &level = maps.levels[job.level];
        double r = wrapped_radius(maps, level.reach, x, y);
        value = r >= 0 && r <= level.limit;
    }
    ret_stack[blockIdx.z * image_floats(maps) + (size_t)y * row_floats(maps) + (size_t)x] = value;
}

cudaError_t ps_launch_adaptive_images(const struct ps_adaptive_maps *maps,
                                      const struct ps_image_jobs *jobs, float *ret_stack,
                                      cudaStream_t stream)
{
    return PS_LAUNCH(k_adaptive_images, image_grid(maps, jobs->count), THREADS, 0, stream, *maps,
                     *jobs, ret_stack);
}

/* ---- averages ---------------------------------------------------------------------------------
 */

enum { RING_THREADS = 512 };

/* One block per ring of a track. Its threads share the ring's pixels of all windows; their sums are
 * added in a fixed order. Windows that the border cuts count as far as they reach; each is divided
 * by its norm, so that none dominates. */
__global__ void __launch_bounds__(RING_THREADS)
    k_adaptive_average(ps_adaptive_maps maps, ps_adaptive_tracks tracks,
                       ps_adaptive_examples examples)
{
    const auto &track = tracks.track[blockIdx.y];
    const ps_adaptive_level &level = maps.levels[track.level];
    int ring = (int)blockIdx.x;
    if (ring >= level.rings)
        return;
    const float *image = channel_of(maps, track.level, track.channel);
    const float *inverse = maps.inverse + (2 * (size_t)track.level + track.channel) * maps.stride;
    const ps_peak *peaks = examples.peaks + examples.first[track.item];
    const short(*pixels)[2] = level.pixels + level.first[ring];
    int length = level.first[ring + 1] - level.first[ring];
    int terms = length * examples.count[track.item];
    double sum = 0;
    double area = 0;
    for (int i = (int)threadIdx.x; i < terms; i += RING_THREADS) {
        const ps_peak &peak = peaks[i / length];
        int x = peak.x + pixels[i % length][0];
        int y = peak.y + pixels[i % length][1];
        if (x < maps.frame || x >= maps.width - maps.frame || y < maps.frame ||
            y >= maps.height - maps.frame)
            continue;
        size_t width = (size_t)maps.width;
        double weight = (double)inverse[(size_t)peak.y * width + (size_t)peak.x];
        sum += weight * (double)image[(size_t)y * width + (size_t)x];
        area += weight;
    }
    sum = ps_reduce_block(sum, ps_add(), 0.0);
    area = ps_reduce_block(area, ps_add(), 0.0);
    if (threadIdx.x == 0) {
        ps_radial &profile = maps.profiles[2 * track.item + track.channel];
        profile.values[ring] = sum / (1e-30 + area);
        profile.count = level.rings;
    }
}

cudaError_t ps_launch_adaptive_average(const struct ps_adaptive_maps *maps,
                                       const struct ps_adaptive_tracks *tracks,
                                       const struct ps_adaptive_examples *examples,
                                       cudaStream_t stream)
{
    dim3 grid((unsigned)tracks->rings, (unsigned)tracks->count);
    return PS_LAUNCH(k_adaptive_average, grid, RING_THREADS, 0, stream, *maps, *tracks, *examples);
}

/* ---- templates --------------------------------------------------------------------------------
 */

/* Sum over a block, for all its threads. */
static __device__ double sum_of_block(double value)
{
    __shared__ double sum;
    value = ps_reduce_block(value, ps_add(), 0.0);
    __syncthreads();
    if (threadIdx.x == 0)
        sum = value;
    __syncthreads();
    return sum;
}

/* One block per track: one thread per ring, then per row and per column of the integral image. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_template(ps_adaptive_maps maps, ps_adaptive_tracks tracks)
{
    const auto &track = tracks.track[blockIdx.x];
    const ps_adaptive_level &level = maps.levels[track.level];
    int index = 2 * track.item + track.channel;
    const ps_radial &profile = maps.profiles[index];
    float *values = maps.templates + (size_t)index * PS_MAX_RINGS;
    int ring = (int)threadIdx.x;
    bool counts = ring < level.rings && profile.count > 0;
    double n = counts ? level.in_disk[ring] : 0;
    double value = counts ? profile.values[min(ring, profile.count - 1)] : 0;
    double mean = sum_of_block(n * value) / level.disk;
    double norm = sum_of_block(n * (value - mean) * (value - mean));
    bool flat = !(norm > PS_FLAT);
    if (ring < PS_MAX_RINGS)
        values[ring] = counts && !flat ? (float)((value - mean) / sqrt(norm)) : 0;
    if (threadIdx.x == 0)
        maps.results[track.item].flat[track.channel] = flat;
    __syncthreads();
    int side = 2 * level.reach + 1;
    ps_cut_sums *sums = maps.sums + (size_t)index * maps.sums_stride;
    for (int y = (int)threadIdx.x; y <= side; y += THREADS) {
        ps_cut_sums row = {0, 0};
        for (int x = 0; x <= side; x++) {
            if (x > 0 && y > 0) {
                double r = ps_radius(x - 1 - level.reach, y - 1 - level.reach);
                double t = r <= level.limit ? (double)values[ps_ring(r)] : 0;
                row.sum += t;
                row.square += t * t;
            }
            sums[y * (side + 1) + x] = row;
        }
    }
    __syncthreads();
    for (int x = (int)threadIdx.x; x <= side; x += THREADS) {
        ps_cut_sums column = {0, 0};
        for (int y = 0; y <= side; y++) {
            column.sum += sums[y * (side + 1) + x].sum;
            column.square += sums[y * (side + 1) + x].square;
            sums[y * (side + 1) + x] = column;
        }
    }
}

/* One thread per pixel of an image. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_template_images(ps_adaptive_maps maps, ps_adaptive_tracks tracks, float *ret_stack)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    if (x >= (int)row_floats(maps))
        return;
    const auto &track = tracks.track[blockIdx.z];
    const ps_adaptive_level &level = maps.levels[track.level];
    const float *values = maps.templates + (2 * track.item + track.channel) * PS_MAX_RINGS;
    double r = wrapped_radius(maps, level.reach, x, y);
    ret_stack[blockIdx.z * image_floats(maps) + (size_t)y * row_floats(maps) + (size_t)x] =
        r >= 0 && r <= level.limit ? values[ps_ring(r)] : 0;
}

cudaError_t ps_launch_adaptive_templates(const struct ps_adaptive_maps *maps,
                                         const struct ps_adaptive_tracks *tracks, float *ret_stack,
                                         cudaStream_t stream)
{
    static_assert((int)PS_MAX_RINGS <= (int)THREADS, "a thread for each ring");
    cudaError_t result =
        PS_LAUNCH(k_adaptive_template, (unsigned)tracks->count, THREADS, 0, stream, *maps, *tracks);
    if (result != cudaSuccess)
        return result;
    return PS_LAUNCH(k_adaptive_template_images, image_grid(maps, tracks->count), THREADS, 0,
                     stream, *maps, *tracks, ret_stack);
}
