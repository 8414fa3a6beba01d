/* Particles for a message: small boxes in memory, the best first. */
#ifndef PS_PARTICLES_SET_H
#define PS_PARTICLES_SET_H

#include "particles/boxes.h"

#include <stdint.h>

enum { PS_MAX_SET_BYTES = 8 << 20 };

struct ps_particle_set {
    size_t count;
    struct ps_box_shape shape;
    uint16_t *halves; /* count * size * size, little-endian float16; owned */
};

/* Makes boxes of the first picks of a result, up to publish.particles_max and PS_MAX_SET_BYTES,
 * binned to publish.particles. Without picks the set is empty. PS_E_INPUT: ps_box_shape_find();
 * PS_E_NOMEM. */
int ps_particle_set_make(const struct ps_config *config, const struct ps_image *image,
                         const struct ps_result *result, struct ps_particle_set *ret_set,
                         struct ps_error *error);

/* The number of bytes of the boxes. */
size_t ps_particle_set_bytes(const struct ps_particle_set *set);

/* Accepts all zeros. */
void ps_particle_set_done(struct ps_particle_set *set);

#endif
