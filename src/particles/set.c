#include "particles/set.h"

#include "base/error.h"
#include "image/micrograph.h"

#include <endian.h>
#include <stdlib.h>

enum { BATCH = 64 };

static size_t pixels_of(const struct ps_particle_set *set)
{
    return (size_t)set->shape.size * (size_t)set->shape.size;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void store(const float *pixels, size_t count, uint16_t *ret_halves)
{
    for (size_t i = 0; i < count; i++)
        ret_halves[i] = htole16(ps_float_to_half(pixels[i]));
}

int ps_particle_set_make(const struct ps_config *config, const struct ps_image *image,
                         const struct ps_result *result, struct ps_particle_set *ret_set,
                         struct ps_error *error)
{
    struct ps_particle_set set = {.count =
                                      least(result->count, (size_t)config->publish.particles_max)};
    struct ps_boxes *boxes = NULL;
    *ret_set = (struct ps_particle_set){0};
    if (set.count == 0)
        return 0;
    PS_TRY(ps_box_shape_find(config, result, config->publish.particles, &set.shape, error));
    const size_t pixels = pixels_of(&set);
    set.count = least(set.count, PS_MAX_SET_BYTES / (pixels * sizeof *set.halves));
    PS_TRY(ps_boxes_new(&set.shape, config->compute.threads, &boxes, error));
    float *batch = malloc(BATCH * pixels * sizeof *batch);
    set.halves = malloc(ps_particle_set_bytes(&set));
    if (!batch || !set.halves) {
        free(batch);
        ps_boxes_free(boxes);
        ps_particle_set_done(&set);
        return ps_fail_memory(error, BATCH * pixels * sizeof *batch, "particles");
    }
    for (size_t i = 0; i < set.count; i += BATCH) {
        const size_t count = least(BATCH, set.count - i);
        ps_boxes_cut(boxes, image, result->picks + i, count, batch);
        store(batch, count * pixels, set.halves + i * pixels);
    }
    free(batch);
    ps_boxes_free(boxes);
    *ret_set = set;
    return 0;
}

size_t ps_particle_set_bytes(const struct ps_particle_set *set)
{
    return set->count * pixels_of(set) * sizeof *set->halves;
}

void ps_particle_set_done(struct ps_particle_set *set)
{
    free(set->halves);
    *set = (struct ps_particle_set){0};
}
