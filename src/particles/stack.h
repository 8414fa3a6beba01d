/* Stacks of particles as MRC files: float32 (mode 2) or float16 (mode 12). */
#ifndef PS_PARTICLES_STACK_H
#define PS_PARTICLES_STACK_H

#include "particles/boxes.h"

/* The particles of a micrograph. Everything is borrowed. */
struct ps_stack {
    const struct ps_image *image;
    const struct ps_pick *picks;
    size_t count; /* of picks, not 0 */
    struct ps_box_shape shape;
    int threads; /* 0: all cores */
    bool half;   /* float16 */
};

/* Cuts the boxes and writes them, atomically (base/atomic_file.h); only some of them are in memory
 * at a time. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_stack_write(const char *path, const struct ps_stack *stack, struct ps_error *error);

#endif
