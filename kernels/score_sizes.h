/* Sizes for which the fused score has kernels of constant size. */
#ifndef PS_KERNELS_SCORE_SIZES_H
#define PS_KERNELS_SCORE_SIZES_H

#include "kernel.h"

/* Launches the kernel of constant size shape.q; `*ret_known` tells whether there is one. */
cudaError_t ps_score_known_size(const ps_fused &shape, const ps_score_run &run, bool *ret_known);

#endif
