/* apple-reference sections 8 and 9: from the mask of windows to regions of the right size. */
#include "backend/cpu/slot.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

static int clean_fill(struct cpu_slot *slot, struct ps_error *error)
{
    uint8_t *mask = slot->mask.data;
    int side = slot->base.windows;
    size_t set = 0;
    PS_TRY(ps_binary_fill_holes(mask, side, side, &set, error));
    if (set == (size_t)side * (size_t)side) {
        int corner = side < PS_CLEARED_CORNER ? side : PS_CLEARED_CORNER;
        for (int y = 0; y < corner; y++)
            memset(mask + (size_t)y * (size_t)side, 0, (size_t)corner);
    }
    return 0;
}

/* Clears the regions of level 1 that hold a pixel of level 2. */
static int drop_large(const uint8_t *levels, uint8_t *mask, int side, struct ps_error *error)
{
    struct ps_regions regions;
    int status =
        ps_regions_find(levels, side, side, (size_t)side, false, PS_CONNECT_8, &regions, error);
    if (status)
        return status;
    bool *large = calloc(regions.region_count + 1, sizeof *large);
    if (large) {
        for (size_t i = 0; i < regions.run_count; i++) {
            const struct ps_run *run = &regions.runs[i];
            const uint8_t *row = levels + (size_t)run->row * (size_t)side;
            if (memchr(row + run->begin, 2, (size_t)(run->end - run->begin)))
                large[run->region] = true;
        }
        memset(mask, 0, (size_t)side * (size_t)side);
        for (size_t i = 0; i < regions.run_count; i++) {
            const struct ps_run *run = &regions.runs[i];
            if (!large[run->region])
                memset(mask + (size_t)run->row * (size_t)side + run->begin, 1,
                       (size_t)(run->end - run->begin));
        }
        free(large);
    } else {
        status = ps_fail_memory(error, regions.region_count, "the regions of a mask");
    }
    ps_regions_done(&regions);
    return status;
}

int cpu_clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    int side = slot->base.windows;
    const int radii[2] = {smallest, largest};
    PS_TRY(cpu_buffer_reserve(&slot->levels, (size_t)side * (size_t)side, "the erosions", error));
    PS_TRY(clean_fill(slot, error));
    PS_TRY(ps_binary_erosion_levels(slot->mask.data, side, side, radii, 2, slot->threads,
                                    slot->levels.data, error));
    return drop_large(slot->levels.data, slot->mask.data, side, error);
}

int cpu_regions(struct ps_slot *base, int margin_before, int margin_after,
                struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error)
{
    const struct cpu_slot *slot = (const struct cpu_slot *)base;
    int side = slot->base.windows - margin_before - margin_after;
    if (side <= 0) {
        *ret_regions = NULL;
        *ret_count = 0;
        return 0;
    }
    size_t stride = (size_t)slot->base.windows;
    const uint8_t *mask = (const uint8_t *)slot->mask.data + (size_t)margin_before * (stride + 1);
    struct ps_regions regions;
    int status = ps_regions_find(mask, side, side, stride, false, PS_CONNECT_8, &regions, error);
    if (status)
        return status;
    struct ps_region *measures = calloc(regions.region_count + 1, sizeof *measures);
    if (measures) {
        ps_regions_measure(&regions, measures);
        *ret_regions = measures;
        *ret_count = regions.region_count;
    } else {
        status = ps_fail_memory(error, regions.region_count * sizeof *measures, "regions");
    }
    ps_regions_done(&regions);
    return status;
}
