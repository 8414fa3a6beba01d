/* Shared by the files of the backend pair. */
#ifndef TEST_PAIR_INSIDE_H
#define TEST_PAIR_INSIDE_H

#include "pair.h"

struct pair {
    struct ps_backend base;
    struct ps_backend_ops ops;
    struct ps_adaptive_ops adaptive;
    struct ps_backend *cpu;
    struct ps_backend *gpu;
};

struct pair_slot {
    struct ps_slot base;
    struct ps_slot *cpu[PS_MAX_ITEMS]; /* one per batch item; other stages use the first */
    struct ps_slot *gpu;
    int cpu_slots;
    bool masks_equal; /* after the stages classify and clean */
    size_t field_pixels;
    bool noise; /* the field is a null */
    double worst[PAIR_CHECKS];
    bool seen[PAIR_CHECKS];
};

/* The stages of the adaptive profile (pair_adaptive.c), for batches of `max_items`. */
struct ps_adaptive_ops pair_adaptive(int max_items);

/* Records a difference; above the limit it fails the running test. */
void pair_note(struct pair_slot *slot, enum pair_check check, double difference);

/* Checks the codes of both backends and returns the CPU's; device errors fail the test. */
int pair_both(struct pair_slot *slot, int cpu, int gpu, const struct ps_error *error);

/* Allocates; failure fails the test. */
void *pair_alloc(size_t bytes);

/* Largest difference relative to the largest value; infinite if only one value is finite. */
double pair_distance(const float *a, double a_offset, const float *b, double b_offset,
                     size_t count);

/* Share of `count` elements of `size` bytes that differ. */
double pair_share(const void *a, const void *b, size_t count, size_t size);

static inline struct pair *pair_of(struct ps_slot *slot)
{
    return (struct pair *)slot->backend;
}

#define SLOT       struct pair_slot *slot = (struct pair_slot *)base
#define CPU_OPS(s) (pair_of(&(s)->base)->cpu->ops)
#define GPU_OPS(s) (pair_of(&(s)->base)->gpu->ops)
#define BOTH(op, ...)                                                                              \
    pair_both(slot, CPU_OPS(slot)->op(slot->cpu[0], __VA_ARGS__),                                  \
              GPU_OPS(slot)->op(slot->gpu, __VA_ARGS__), error)

#endif
