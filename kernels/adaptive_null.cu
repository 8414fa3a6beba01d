/* A field of noise with the power spectrum of the micrograph's field.
 *
 * An image is the field padded to good lengths, about n px; nothing is correlated here, so it may
 * wrap around. Two images are written (8 n bytes, the field read) and transformed, one takes the
 * phases of the other (8 n read, 4 n written), is transformed back and read into the field. */
#include "formulas/adaptive_formulas.h"
#include "kernel.h"
#include "launch_adaptive.h"

enum { THREADS = 256, MAX_BLOCKS = 1024, IMAGES = 2 };

/* One thread per pixel of an image: the field, or noise. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_noise(ps_adaptive_maps maps, unsigned seed, float *ret_images)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    size_t row = ps_image_row(maps.fft_width);
    if (x >= (int)row)
        return;
    float value = 0;
    if (x < maps.width && y < maps.height) {
        size_t i = (size_t)y * (size_t)maps.width + (size_t)x;
        value = blockIdx.z ? ps_noise((uint32_t)i, seed) : maps.intensity[i];
    }
    size_t image = blockIdx.z * ps_image_floats(maps.fft_width, maps.fft_height);
    ret_images[image + (size_t)y * row + (size_t)x] = value;
}

cudaError_t ps_launch_adaptive_noise(const struct ps_adaptive_maps *maps, unsigned seed,
                                     float *ret_images, cudaStream_t stream)
{
    dim3 grid((unsigned)maps->fft_height, ps_blocks(ps_image_row(maps->fft_width), THREADS),
              IMAGES); /* rows on the x axis, as the others end at 65535 */
    return PS_LAUNCH(k_adaptive_noise, grid, THREADS, 0, stream, *maps, seed, ret_images);
}

/* Grid-stride loop over the numbers of the spectra. */
__global__ void __launch_bounds__(THREADS) k_adaptive_turn(size_t count, float2 *spectra)
{
    size_t step = (size_t)gridDim.x * THREADS;
    for (size_t i = (size_t)blockIdx.x * THREADS + threadIdx.x; i < count; i += step) {
        float2 own = spectra[i];
        float2 noise = spectra[count + i];
        float power = own.x * own.x + own.y * own.y;
        float other = noise.x * noise.x + noise.y * noise.y;
        float factor = other > 0 ? sqrtf(power / other) : 0;
        spectra[i] = make_float2(noise.x * factor, noise.y * factor);
    }
}

cudaError_t ps_launch_adaptive_turn(const struct ps_adaptive_maps *maps, float *images,
                                    cudaStream_t stream)
{
    size_t count = ps_image_floats(maps->fft_width, maps->fft_height) / 2;
    unsigned blocks = ps_blocks(count, THREADS);
    return PS_LAUNCH(k_adaptive_turn, blocks < MAX_BLOCKS ? blocks : (unsigned)MAX_BLOCKS, THREADS,
                     0, stream, count, reinterpret_cast<float2 *>(images));
}

/* One thread per pixel of the field. */
__global__ void __launch_bounds__(THREADS)
    k_adaptive_null(ps_adaptive_maps maps, const float *image)
{
    int x = (int)(blockIdx.y * THREADS + threadIdx.x);
    int y = (int)blockIdx.x;
    if (x >= maps.width)
        return;
    maps.intensity[(size_t)y * (size_t)maps.width + (size_t)x] =
        image[(size_t)y * ps_image_row(maps.fft_width) + (size_t)x] * maps.fft_scale;
}

cudaError_t ps_launch_adaptive_null(const struct ps_adaptive_maps *maps, const float *image,
                                    cudaStream_t stream)
{
    dim3 grid((unsigned)maps->height, ps_blocks((size_t)maps->width, THREADS));
    return PS_LAUNCH(k_adaptive_null, grid, THREADS, 0, stream, *maps, image);
}
