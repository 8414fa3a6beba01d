/* The stages of the aspire profile on the GPU. */
#include "backend/cuda.h"

#define TODO return ps_fail(error, PS_E_DEVICE, "not on the GPU yet")
int cuda_preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error)
{
    (void)base;
    (void)crop;
    TODO;
}
int cuda_moments(struct ps_slot *base, int query, struct ps_error *error)
{
    (void)base;
    (void)query;
    TODO;
}
int cuda_references_choose(struct ps_slot *base, int container, struct ps_error *error)
{
    (void)base;
    (void)container;
    TODO;
}
int cuda_score(struct ps_slot *base, struct ps_error *error)
{
    (void)base;
    TODO;
}
int cuda_features(struct ps_slot *base, const int (*windows)[2], size_t count,
                  struct ps_feature *ret_features, struct ps_error *error)
{
    (void)base;
    (void)windows;
    (void)count;
    (void)ret_features;
    TODO;
}
int cuda_classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                  struct ps_error *error)
{
    (void)base;
    (void)model;
    (void)ret_particle;
    TODO;
}
int cuda_clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error)
{
    (void)base;
    (void)smallest;
    (void)largest;
    TODO;
}
int cuda_regions(struct ps_slot *base, int margin_before, int margin_after,
                 struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error)
{
    (void)base;
    (void)margin_before;
    (void)margin_after;
    (void)ret_regions;
    (void)ret_count;
    TODO;
}
int cuda_fetch(struct ps_slot *base, enum ps_buffer which, void *ret_data, size_t bytes,
               struct ps_error *error)
{
    (void)base;
    (void)which;
    (void)ret_data;
    (void)bytes;
    TODO;
}
void cuda_aspire_done(struct cuda_slot *slot)
{
    (void)slot;
}
