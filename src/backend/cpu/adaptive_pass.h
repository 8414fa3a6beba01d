/* Passes over all pixels of a field, for the files that prepare the channels. */
#ifndef PS_BACKEND_CPU_ADAPTIVE_PASS_H
#define PS_BACKEND_CPU_ADAPTIVE_PASS_H

#include "backend/cpu/adaptive.h"
#include "base/parallel.h"

enum { CPU_PIXELS_PER_PIECE = 65536 };

/* Inputs and outputs of a pass; each pass uses some of them. */
struct cpu_pass {
    size_t count;
    const float *in;
    const float *other;
    const float *weight;
    float *out;
    uint8_t *mask;
    float offset;
    float scale;
    float clip;
    float sign;
    uint32_t seed;
    const float *micrograph;
    int width;
    int field_width;
    int frame;
    int bin;
};

static inline void cpu_pass_run(struct cpu_slot *slot, void (*body)(void *, int, size_t),
                                struct cpu_pass *pass)
{
    ps_parallel(slot->threads, (pass->count + CPU_PIXELS_PER_PIECE - 1) / CPU_PIXELS_PER_PIECE,
                body, pass);
}

#define CPU_FOR_PIXELS(p, i, piece)                                                                \
    for (size_t i = (piece)*CPU_PIXELS_PER_PIECE, end_ = i + CPU_PIXELS_PER_PIECE < (p)->count     \
                                                             ? i + CPU_PIXELS_PER_PIECE            \
                                                             : (p)->count;                         \
         i < end_; i++)

/* out = clip((in - offset) * scale) * weight; weight is 1 if NULL. */
void cpu_pass_normalise(void *context, int thread, size_t piece);

/* Subtracts the weighted local mean from `image`: `passes` boxes of odd side in succession. */
int cpu_subtract_background(struct cpu_slot *slot, float *image, int side, int passes,
                            struct ps_error *error);

/* Divides `image` by its spread over the unmasked pixels and clips it. */
int cpu_normalise(struct cpu_slot *slot, float *image, float clip, struct ps_error *error);

#endif
