/* Exact quantiles of a field. A sample of it gives two limits that hold the quantile almost
 * certainly; a pass counts what is below and between them, another one collects what is between,
 * and the quantile is selected from that. If the limits do not hold it they are moved apart. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <string.h>

enum { PIECE = 65536, CHUNK = 1024, MIN_SAMPLE = 1024, MAX_SAMPLE = 8192, PIXELS_PER_SAMPLE = 64 };
static const double WIDTH = 3; /* of the limits, in standard deviations of the sample's rank */

struct order {
    const float *values;
    const uint8_t *mask;
    size_t count;
    bool deviations;
    float centre;
    float low; /* limits, both included */
    float high;
    size_t (*found)[3]; /* per piece: values below the limits, between and above them */
    float *between;     /* all of them, piece by piece */
};

/* ---- selection --------------------------------------------------------------------------------
 */

/* The value of rank `rank`, by partitions around a median of three; reorders the values. */
static float select_rank(float *values, size_t count, size_t rank)
{
    size_t first = 0;
    size_t last = count - 1;
    while (first < last) {
        float a = values[first];
        float b = values[first + (last - first) / 2];
        float c = values[last];
        float pivot = fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
        size_t i = first;
        size_t k = last;
        while (i <= k) {
            while (values[i] < pivot)
                i++;
            while (values[k] > pivot)
                k--;
            if (i > k)
                break;
            float swapped = values[i];
            values[i++] = values[k];
            values[k] = swapped;
            if (k == 0)
                break;
            k--;
        }
        if (rank <= k && k < last)
            last = k;
        else if (rank >= i)
            first = i;
        else
            return pivot;
    }
    return values[first];
}

/* ---- the limits -------------------------------------------------------------------------------
 */

static float value_of(const struct order *o, size_t i)
{
    return o->deviations ? fabsf(o->values[i] - o->centre) : o->values[i];
}

/* Values at regular steps; returns how many. */
static size_t take_sample(const struct order *o, float *ret_sample)
{
    size_t wanted = o->count / PIXELS_PER_SAMPLE;
    wanted = wanted < MIN_SAMPLE ? MIN_SAMPLE : wanted > MAX_SAMPLE ? MAX_SAMPLE : wanted;
    size_t step = o->count / wanted | 1; /* odd: columns take turns */
    size_t taken = 0;
    for (size_t i = 0; i < o->count && taken < MAX_SAMPLE; i += step)
        if (!o->mask || o->mask[i])
            ret_sample[taken++] = value_of(o, i);
    return taken;
}

/* Sets limits that hold the quantile unless its rank in the sample is `deviations` standard
 * deviations off; infinite ones if the sample does not reach that far. */
static void set_limits(struct order *o, float *sample, size_t taken, double share,
                       double deviations)
{
    double rank = share * (double)taken;
    double off = deviations * sqrt(share * (1 - share) * (double)taken) + 1;
    o->low = rank - off < 0 ? -INFINITY : select_rank(sample, taken, (size_t)(rank - off));
    o->high =
        rank + off >= (double)taken ? INFINITY : select_rank(sample, taken, (size_t)(rank + off));
}

/* ---- passes -----------------------------------------------------------------------------------
 */

/* Written for the compiler to make vectors of: no branches, and what is asked of all pixels is
 * known when the function is inlined. */
static inline void count_values(const struct order *o, size_t first, size_t last, bool masked,
                                bool deviations, size_t ret_found[3])
{
    const float *values = o->values;
    const uint8_t *mask = o->mask;
    float centre = o->centre;
    float low = o->low;
    float high = o->high;
    unsigned all = 0;
    unsigned below = 0;
    unsigned above = 0;
    for (size_t i = first; i < last; i++) {
        float value = deviations ? fabsf(values[i] - centre) : values[i];
        unsigned counted = masked ? mask[i] : 1;
        all += counted;
        below += value < low ? counted : 0;
        above += value > high ? counted : 0;
    }
    ret_found[0] = below;
    ret_found[1] = all - below - above;
    ret_found[2] = above;
}

static void count_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct order *o = context;
    size_t first = piece * PIECE;
    size_t last = first + PIECE < o->count ? first + PIECE : o->count;
    size_t *found = o->found[piece];
    if (o->mask && o->deviations)
        count_values(o, first, last, true, true, found);
    else if (o->mask)
        count_values(o, first, last, true, false, found);
    else if (o->deviations)
        count_values(o, first, last, false, true, found);
    else
        count_values(o, first, last, false, false, found);
}

/* Marks what is between the limits first, which has no branches, then takes that. */
static inline size_t collect_values(const struct order *o, size_t first, size_t last, bool masked,
                                    bool deviations, float *ret_values)
{
    const float *values = o->values + first;
    const uint8_t *mask = masked ? o->mask + first : NULL;
    float centre = o->centre;
    float low = o->low;
    float high = o->high;
    uint8_t marks[CHUNK] = {0};
    for (size_t i = 0; i < last - first; i++) {
        float value = deviations ? fabsf(values[i] - centre) : values[i];
        marks[i] = (value >= low) & (value <= high) & (masked ? mask[i] : 1);
    }
    size_t count = 0;
    for (size_t i = 0; i < last - first; i += sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, marks + i, sizeof eight);
        for (; eight; eight &= eight - 1) { /* little-endian: the lowest bit is the first mark */
            size_t k = i + (size_t)__builtin_ctzll(eight) / 8;
            ret_values[count++] = deviations ? fabsf(values[k] - centre) : values[k];
        }
    }
    return count;
}

static size_t collect_chunk(const struct order *o, size_t first, size_t last, float *ret_values)
{
    if (o->mask)
        return o->deviations ? collect_values(o, first, last, true, true, ret_values)
                             : collect_values(o, first, last, true, false, ret_values);
    return o->deviations ? collect_values(o, first, last, false, true, ret_values)
                         : collect_values(o, first, last, false, false, ret_values);
}

static void collect_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct order *o = context;
    size_t last = (piece + 1) * PIECE < o->count ? (piece + 1) * PIECE : o->count;
    float *to = o->between;
    float values[CHUNK];
    for (size_t p = 0; p < piece; p++)
        to += o->found[p][1];
    for (size_t first = piece * PIECE; first < last; first += CHUNK) {
        size_t count = collect_chunk(o, first, first + CHUNK < last ? first + CHUNK : last, values);
        memcpy(to, values, count * sizeof *values);
        to += count;
    }
}

/* The value that `share` of the pixels are below; of two, the lower one. */
static int find_quantile(struct cpu_slot *slot, struct order *o, double share, double *ret_value,
                         struct ps_error *error)
{
    float sample[MAX_SAMPLE];
    size_t pieces = (o->count + PIECE - 1) / PIECE;
    size_t taken = take_sample(o, sample);
    *ret_value = 0;
    for (double width = WIDTH;; width *= 4) {
        set_limits(o, sample, taken, share, width);
        ps_parallel(slot->threads, pieces, count_piece, o);
        size_t found[3] = {0};
        for (size_t p = 0; p < pieces; p++)
            for (int i = 0; i < 3; i++)
                found[i] += o->found[p][i];
        size_t all = found[0] + found[1] + found[2];
        if (all == 0)
            return 0;
        size_t rank = (size_t)((double)(all - 1) * share);
        if (rank < found[0] || rank >= found[0] + found[1])
            continue;
        PS_TRY(cpu_buffer_reserve(&slot->adaptive->work.between, found[1] * sizeof(float),
                                  "a median", error));
        o->between = slot->adaptive->work.between.data;
        ps_parallel(slot->threads, pieces, collect_piece, o);
        *ret_value = (double)select_rank(o->between, found[1], rank - found[0]);
        return 0;
    }
}

static int quantile(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                    const double *centre, double share, double *ret_value, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t pieces = (cpu_field_pixels(a) + PIECE - 1) / PIECE;
    PS_TRY(cpu_buffer_reserve(&a->work.counts, pieces * sizeof(size_t[3]), "counts", error));
    struct order o = {
        .values = values,
        .mask = mask,
        .count = cpu_field_pixels(a),
        .deviations = centre != NULL,
        .centre = centre ? (float)*centre : 0,
        .found = a->work.counts.data,
    };
    return find_quantile(slot, &o, share, ret_value, error);
}

int cpu_median(struct cpu_slot *slot, const float *values, const uint8_t *mask,
               const double *centre, double *ret_median, struct ps_error *error)
{
    return quantile(slot, values, mask, centre, 0.5, ret_median, error);
}

int cpu_lower_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                     double *ret_median, double *ret_deviation, struct ps_error *error)
{
    double median = 0;
    double lower = 0;
    PS_TRY(quantile(slot, values, mask, NULL, 0.5, &median, error));
    PS_TRY(quantile(slot, values, mask, NULL, PS_LOWER_SHARE, &lower, error));
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
