/* What the files of the twin share. */
#ifndef TEST_TWIN_INSIDE_H
#define TEST_TWIN_INSIDE_H

#include "twin.h"

struct twin {
    struct ps_backend base;
    struct ps_backend_ops ops;
    struct ps_adaptive_ops adaptive;
    struct ps_backend *cpu;
    struct ps_backend *gpu;
};

struct twin_slot {
    struct ps_slot base;
    struct ps_slot *cpu[PS_LANES]; /* one for each lane; stages without lanes are the first one's */
    struct ps_slot *gpu;
    int cpu_slots;
    bool masks_equal; /* of the stages classify and clean */
    size_t field_pixels;
    bool noise; /* the field is a null */
    double worst[TWIN_CHECKS];
    bool seen[TWIN_CHECKS];
};

/* What compares the stages of the adaptive profile (twin_adaptive.c), for as many lanes. */
struct ps_adaptive_ops twin_adaptive(int lanes);

/* Notes a difference; one above the limit fails the running test. */
void twin_note(struct twin_slot *slot, enum twin_check check, double difference);

/* What a stage returned on both sides; the CPU's code if it is one that the picker goes on with. */
int twin_both(struct twin_slot *slot, int cpu, int gpu, const struct ps_error *error);

/* Memory, or the test fails. */
void *twin_room(size_t bytes);

/* Largest difference over the largest value; infinite where one has a number and the other none. */
double twin_distance(const float *a, double a_offset, const float *b, double b_offset,
                     size_t count);

/* Of `count` things of `size` bytes, the share that differs. */
double twin_share(const void *a, const void *b, size_t count, size_t size);

static inline struct twin *twin_of(struct ps_slot *slot)
{
    return (struct twin *)slot->backend;
}

#define SLOT       struct twin_slot *slot = (struct twin_slot *)base
#define CPU_OPS(s) (twin_of(&(s)->base)->cpu->ops)
#define GPU_OPS(s) (twin_of(&(s)->base)->gpu->ops)
#define BOTH(op, ...)                                                                              \
    twin_both(slot, CPU_OPS(slot)->op(slot->cpu[0], __VA_ARGS__),                                  \
              GPU_OPS(slot)->op(slot->gpu, __VA_ARGS__), error)

#endif
