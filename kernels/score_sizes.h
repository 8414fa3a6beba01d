/* Sizes that the fused score has kernels of their own for. */
#ifndef PS_KERNELS_SCORE_SIZES_H
#define PS_KERNELS_SCORE_SIZES_H

#include "kernel.h"

/* Launches the kernel for shape.q, if there is one for it. */
cudaError_t ps_score_known_size(const ps_fused &shape, const ps_score_run &run, bool *ret_known);

#endif
