/* The adaptive profile on the GPU: the table of the stages. */
#include "backend/cuda/adaptive.h"

CUDA_STAGE(adaptive_reduce,
           (struct ps_slot * base, const struct ps_reduction *reduction, struct ps_field *ret_field,
            struct ps_error *error),
           base, reduction, ret_field, error)
CUDA_STAGE(adaptive_randomise, (struct ps_slot * base, unsigned seed, struct ps_error *error), base,
           seed, error)
CUDA_STAGE(adaptive_scale,
           (struct ps_slot * base, const double *diameters, int items, struct ps_error *error),
           base, diameters, items, error)
CUDA_STAGE(adaptive_respond,
           (struct ps_slot * base, struct ps_batch_item *items, int count, struct ps_error *error),
           base, items, count, error)
CUDA_STAGE(adaptive_learn,
           (struct ps_slot * base, struct ps_batch_item *items, int count, struct ps_error *error),
           base, items, count, error)
CUDA_STAGE(adaptive_peaks,
           (struct ps_slot * base, struct ps_batch_item *items, int count, struct ps_error *error),
           base, items, count, error)
CUDA_STAGE(adaptive_sample,
           (struct ps_slot * base, enum ps_map map, const struct ps_peak *peaks, size_t count,
            float *ret_values, struct ps_error *error),
           base, map, peaks, count, ret_values, error)
CUDA_STAGE(adaptive_locate,
           (struct ps_slot * base, const struct ps_peak *peaks, size_t count,
            double (*ret_centres)[2], struct ps_error *error),
           base, peaks, count, ret_centres, error)
CUDA_STAGE(adaptive_fetch,
           (struct ps_slot * base, enum ps_map map, float *ret_values, struct ps_error *error),
           base, map, ret_values, error)
CUDA_STAGE(adaptive_fetch_mask,
           (struct ps_slot * base, unsigned char *ret_mask, struct ps_error *error), base, ret_mask,
           error)

const struct ps_adaptive_ops ps_adaptive_cuda = {
    .max_items = 15,
    .max_scales = PS_MAX_LEVELS,
    .reduce = stage_adaptive_reduce,
    .randomise = stage_adaptive_randomise,
    .scale = stage_adaptive_scale,
    .respond = stage_adaptive_respond,
    .learn = stage_adaptive_learn,
    .peaks = stage_adaptive_peaks,
    .sample = stage_adaptive_sample,
    .locate = stage_adaptive_locate,
    .fetch = stage_adaptive_fetch,
    .fetch_mask = stage_adaptive_fetch_mask,
};
