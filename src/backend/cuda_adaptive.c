/* The stages of the adaptive profile on the GPU. */
#include "backend/cuda.h"

void cuda_adaptive_done(struct cuda_slot *slot)
{
    (void)slot;
}
const struct ps_adaptive_ops ps_adaptive_cuda = {0};
