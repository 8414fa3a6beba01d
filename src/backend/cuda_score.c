#include "backend/cuda_aspire.h"
int cuda_score_by(struct cuda_slot *slot, enum cuda_score_path path, size_t most_kept,
                  struct ps_error *error)
{
    (void)slot;
    (void)path;
    (void)most_kept;
    return ps_fail(error, PS_E_DEVICE, "not on the GPU yet");
}
int cuda_score(struct ps_slot *base, struct ps_error *error)
{
    return cuda_score_by((struct cuda_slot *)base, CUDA_SCORE_BEST, CUDA_MOST_KEPT, error);
}
