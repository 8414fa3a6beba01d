/* Exact quantiles of a field by radix counting: ps_order_key() of the values, 11, 11 and 10 bits at
 * a time from the top. Counts are integers, so the result does not depend on the threads. */
#include "backend/cpu/adaptive.h"
#include "formulas/formulas.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

enum { BINS = 2048, PIECE = 65536 };

struct order {
    const float *values;
    const uint8_t *mask;
    size_t count;
    bool deviations;
    float centre;
    uint32_t known;      /* bits of the quantile found so far */
    uint32_t known_mask; /* which bits these are */
    int shift;
    uint32_t bin_mask;
    uint32_t *counts; /* per thread */
};

static void count_piece(void *context, int thread, size_t piece)
{
    const struct order *o = context;
    uint32_t *counts = o->counts + (size_t)thread * BINS;
    size_t first = piece * PIECE;
    size_t last = first + PIECE < o->count ? first + PIECE : o->count;
    for (size_t i = first; i < last; i++) {
        if (o->mask && !o->mask[i])
            continue;
        uint32_t key = ps_order_key(o->deviations ? fabsf(o->values[i] - o->centre) : o->values[i]);
        if ((key & o->known_mask) == o->known)
            counts[key >> o->shift & o->bin_mask]++;
    }
}

/* Counts all pieces and sums the threads' counts into the first thread's bins. */
static void order_count(struct cpu_slot *slot, struct order *o)
{
    memset(o->counts, 0, (size_t)slot->threads * BINS * sizeof *o->counts);
    ps_parallel(slot->threads, (o->count + PIECE - 1) / PIECE, count_piece, o);
    for (int t = 1; t < slot->threads; t++)
        for (size_t i = 0; i < BINS; i++)
            o->counts[i] += o->counts[(size_t)t * BINS + i];
}

/* The value below which `share` of the pixels lie; of two, the lower one. */
static float find_quantile(struct cpu_slot *slot, struct order *o, double share)
{
    static const int shifts[] = {21, 10, 0};
    static const uint32_t bin_masks[] = {0x7FF, 0x7FF, 0x3FF};
    size_t rank = 0;
    for (int pass = 0; pass < 3; pass++) {
        o->shift = shifts[pass];
        o->bin_mask = bin_masks[pass];
        order_count(slot, o);
        if (pass == 0) {
            size_t total = 0;
            for (size_t i = 0; i < BINS; i++)
                total += o->counts[i];
            if (total == 0)
                return 0;
            rank = (size_t)((double)(total - 1) * share);
        }
        uint32_t bin = 0;
        while (rank >= o->counts[bin])
            rank -= o->counts[bin++];
        o->known |= bin << o->shift;
        o->known_mask |= o->bin_mask << o->shift;
    }
    return ps_order_value(o->known);
}

static int order_quantile(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                          const double *centre, double share, double *ret_value,
                          struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    PS_TRY(cpu_buffer_reserve(&a->counts, (size_t)slot->threads * BINS * sizeof(uint32_t), "counts",
                              error));
    struct order o = {
        .values = values,
        .mask = mask,
        .count = cpu_field_pixels(a),
        .deviations = centre != NULL,
        .centre = centre ? (float)*centre : 0,
        .counts = a->counts.data,
    };
    *ret_value = (double)find_quantile(slot, &o, share);
    return 0;
}

int cpu_median(struct cpu_slot *slot, const float *values, const uint8_t *mask,
               const double *centre, double *ret_median, struct ps_error *error)
{
    return order_quantile(slot, values, mask, centre, 0.5, ret_median, error);
}

int cpu_lower_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                     double *ret_median, double *ret_deviation, struct ps_error *error)
{
    double median = 0;
    double lower = 0;
    PS_TRY(order_quantile(slot, values, mask, NULL, 0.5, &median, error));
    PS_TRY(order_quantile(slot, values, mask, NULL, PS_LOWER_SHARE, &lower, error));
    *ret_median = median;
    *ret_deviation = ps_lower_deviation(median, lower);
    return 0;
}

int cpu_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask, double *ret_median,
               double *ret_deviation, struct ps_error *error)
{
    double median = 0;
    double deviation = 0;
    PS_TRY(cpu_median(slot, values, mask, NULL, &median, error));
    PS_TRY(cpu_median(slot, values, mask, &median, &deviation, error));
    *ret_median = median;
    *ret_deviation = ps_robust_deviation(deviation);
    return 0;
}
