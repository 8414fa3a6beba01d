/* Images of the adaptive profile that are transformed in place, and grids over them. */
#ifndef PS_KERNELS_ADAPTIVE_IMAGE_H
#define PS_KERNELS_ADAPTIVE_IMAGE_H

#include "kernel.h"
#include "launch_adaptive.h"

enum { PS_IMAGE_THREADS = 256 };

static inline __device__ size_t row_floats(const ps_adaptive_maps &maps)
{
    return ps_image_row(maps.fft_width);
}

static inline __device__ size_t image_floats(const ps_adaptive_maps &maps)
{
    return ps_image_floats(maps.fft_width, maps.fft_height);
}

/* Rows are the x axis of a grid: the other axes end at 65535. */
static inline dim3 image_grid(const ps_adaptive_maps *maps, int images)
{
    return dim3((unsigned)maps->fft_height,
                ps_blocks(ps_image_row(maps->fft_width), PS_IMAGE_THREADS), (unsigned)images);
}

#endif
