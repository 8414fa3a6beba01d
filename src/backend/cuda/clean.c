/* The aspire profile on the GPU: from the mask of windows to regions (apple-reference sections 8
 * and 9). All in integers: the same mask gives the same regions as on the CPU. */
#include "backend/cuda/aspire.h"

#include "launch.h"

#include <stddef.h>
#include <stdlib.h>

static int clean_reserve(struct cuda_slot *slot, struct cuda_aspire *a, struct ps_error *error)
{
    size_t side = (size_t)slot->base.windows;
    size_t pixels = side * side;
    size_t regions = (side + 1) / 2 * ((side + 1) / 2);
    PS_TRY(cuda_reserve(slot, &a->labels, (pixels + 1) * sizeof(int), "labels", error));
    PS_TRY(cuda_reserve(slot, &a->levels, 2 * pixels, "the erosions", error));
    PS_TRY(cuda_reserve(slot, &a->distances, pixels * sizeof(uint16_t), "distances", error));
    PS_TRY(cuda_reserve(slot, &a->row_counts, side * sizeof(int), "regions", error));
    return cuda_reserve(slot, &a->measures, regions * sizeof(struct ps_region_sums), "regions",
                        error);
}

int cuda_clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = slot->aspire;
    int side = slot->base.windows;
    PS_TRY(clean_reserve(slot, a, error));
    uint8_t *large = a->levels.data;
    uint8_t *levels = large + (size_t)side * (size_t)side;
    const struct ps_mask_view holes = {a->mask.data, side, side, side, true};
    const struct ps_mask_view eroded = {levels, side, side, side, false};
    int corner = side < PS_CLEARED_CORNER ? side : PS_CLEARED_CORNER;
    PS_TRY(CU(ps_launch_label(&holes, false, true, a->labels.data, slot->stream)));
    PS_TRY(CU(ps_launch_clean_fill(a->labels.data, side, corner, a->mask.data, a->counters.data,
                                   slot->stream)));
    PS_TRY(CU(ps_launch_clean_erode(a->mask.data, side, smallest, largest, a->distances.data,
                                    levels, slot->stream)));
    PS_TRY(CU(ps_launch_label(&eroded, true, false, a->labels.data, slot->stream)));
    return CU(
        ps_launch_clean_drop(levels, a->labels.data, side, large, a->mask.data, slot->stream));
}

/* ps_region_sums has the layout of ps_region; only the signedness differs. */
_Static_assert(sizeof(struct ps_region) == sizeof(struct ps_region_sums) &&
                   offsetof(struct ps_region, area) == offsetof(struct ps_region_sums, area) &&
                   offsetof(struct ps_region, row_sum) ==
                       offsetof(struct ps_region_sums, row_sum) &&
                   offsetof(struct ps_region, column_sum) ==
                       offsetof(struct ps_region_sums, column_sum),
               "regions are copied as they are");

static int clean_receive(struct cuda_slot *slot, size_t count, struct ps_region **ret_regions,
                         struct ps_error *error)
{
    size_t bytes = count * sizeof(struct ps_region);
    struct ps_region *regions = malloc(bytes + sizeof *regions);
    if (!regions)
        return ps_fail_memory(error, bytes, "regions");
    int status = 0;
    if (count)
        status = cuda_receive(slot, regions, slot->aspire->measures.data, bytes, error);
    if (status == 0)
        *ret_regions = regions;
    else
        free(regions);
    return status;
}

int cuda_regions(struct ps_slot *base, int margin_before, int margin_after,
                 struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    struct cuda_aspire *a = slot->aspire;
    int side = slot->base.windows - margin_before - margin_after;
    if (side <= 0) {
        *ret_regions = NULL;
        *ret_count = 0;
        return 0;
    }
    PS_TRY(clean_reserve(slot, a, error));
    size_t skipped = (size_t)margin_before * ((size_t)slot->base.windows + 1);
    const struct ps_mask_view mask = {(const uint8_t *)a->mask.data + skipped, side, side,
                                      slot->base.windows, false};
    int count = 0;
    PS_TRY(CU(ps_launch_label(&mask, true, false, a->labels.data, slot->stream)));
    PS_TRY(CU(ps_launch_regions(&mask, a->labels.data, a->row_counts.data, a->counters.data,
                                a->measures.data, slot->stream)));
    PS_TRY(cuda_receive(slot, &count, a->counters.data, sizeof count, error));
    PS_TRY(clean_receive(slot, (size_t)count, ret_regions, error));
    *ret_count = (size_t)count;
    return 0;
}
