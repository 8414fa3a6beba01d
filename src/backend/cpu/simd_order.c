/* Exact quantiles of a field, one or two at once. A sample of it gives two limits that hold the
 * quantile almost certainly; a pass counts what is below them and collects what is between, from
 * which the quantile is selected. If the limits do not hold it they are moved apart. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { PIECE = 65536, CHUNK = 1024, MIN_SAMPLE = 2048, MAX_SAMPLE = 8192, PIXELS_PER_SAMPLE = 64 };
enum { MAX_QUANTILES = 2, BUCKETS = 512, MIN_BUCKETED = 256 };
static const double WIDTH = 3; /* of the limits, in standard deviations of the sample's rank */

struct order {
    const float *values;
    const uint8_t *mask;
    size_t count;
    bool deviations;
    float centre;
    int quantiles;
    float low[MAX_QUANTILES]; /* limits, both included */
    float high[MAX_QUANTILES];
    atomic_size_t all; /* values that count, */
    atomic_size_t below[MAX_QUANTILES];
    atomic_size_t between[MAX_QUANTILES];
    float *room; /* for `count` floats: between the limits of the first quantile, from the front on,
                    and of the second one, from the back on, in any order */
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

/* The same of values from `low` to `high`, which are finite: those in the same one of equal
 * intervals, which are few, are moved to `room`. `room` may be `values`. */
static float select_bucket(const float *values, size_t count, size_t rank, float low, float high,
                           float *room)
{
    size_t counts[BUCKETS] = {0};
    float scale = (BUCKETS - 1) / (high - low);
    for (size_t i = 0; i < count; i++)
        counts[(size_t)((values[i] - low) * scale)]++;
    size_t bucket = 0;
    while (rank >= counts[bucket])
        rank -= counts[bucket++];
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        float value = values[i];
        room[kept] = value;
        kept += (size_t)((value - low) * scale) == bucket;
    }
    return select_rank(room, kept, rank);
}

/* The value of rank `rank`; `room` for as many values, or themselves. */
static float find_rank(const float *values, size_t count, size_t rank, float *room)
{
    float low = values[0];
    float high = values[0];
    for (size_t i = 1; i < count; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    float scale = (BUCKETS - 1) / (high - low);
    if (count >= MIN_BUCKETED && scale > 0 && isfinite(scale))
        return select_bucket(values, count, rank, low, high, room);
    if (room != values)
        memcpy(room, values, count * sizeof *values);
    return select_rank(room, count, rank);
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

/* Sets limits that hold a quantile unless its rank in the sample is `deviations` standard
 * deviations off; infinite ones if the sample does not reach that far. */
static void set_limits(struct order *o, int quantile, double share, const float *sample,
                       size_t taken, double deviations)
{
    double rank = share * (double)taken;
    double off = deviations * sqrt(share * (1 - share) * (double)taken) + 1;
    o->low[quantile] =
        rank - off < 0 ? -INFINITY : find_rank(sample, taken, (size_t)(rank - off), o->room);
    o->high[quantile] = rank + off >= (double)taken
                            ? INFINITY
                            : find_rank(sample, taken, (size_t)(rank + off), o->room);
}

/* ---- the pass ---------------------------------------------------------------------------------
 */

/* A bit of each of the next 64 marks: that of the quantile. */
static inline uint64_t bits_of(const uint8_t *marks, int quantile)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < 64; i += sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, marks + i, sizeof eight); /* little-endian: the first mark is the lowest */
        eight = eight >> quantile & 0x0101010101010101;
        bits |= (eight * 0x0102040810204080) >> 56 << i;
    }
    return bits;
}

/* Moves marked values, which are few, to the room. */
static void collect(struct order *o, size_t first, const uint8_t marks[CHUNK], int quantile)
{
    float found[CHUNK];
    size_t count = 0;
    for (size_t i = 0; i < CHUNK; i += 64)
        for (uint64_t bits = bits_of(marks + i, quantile); bits; bits &= bits - 1)
            found[count++] = value_of(o, first + i + (size_t)__builtin_ctzll(bits));
    size_t at = atomic_fetch_add_explicit(&o->between[quantile], count, memory_order_relaxed);
    memcpy(quantile ? o->room + o->count - at - count : o->room + at, found, count * sizeof *found);
}

/* Written for the compiler to make vectors of: no branches, and what is asked of all pixels is
 * known when the function is inlined. */
static inline void mark(struct order *o, size_t first, size_t count, bool masked, bool deviations,
                        bool two, uint8_t ret_marks[CHUNK])
{
    const float *values = o->values + first;
    const uint8_t *mask = masked ? o->mask + first : NULL;
    float centre = o->centre;
    float low[] = {o->low[0], o->low[1]};
    float high[] = {o->high[0], o->high[1]};
    unsigned all = 0;
    unsigned below[] = {0, 0};
    for (size_t i = 0; i < count; i++) {
        float value = deviations ? fabsf(values[i] - centre) : values[i];
        unsigned counted = masked ? mask[i] : 1;
        all += counted;
        below[0] += value < low[0] ? counted : 0;
        if (two)
            below[1] += value < low[1] ? counted : 0;
    }
    for (size_t i = 0; i < count; i++) {
        float value = deviations ? fabsf(values[i] - centre) : values[i];
        uint8_t counted = masked ? mask[i] : 1;
        ret_marks[i] = counted & (value >= low[0]) & (value <= high[0]);
        if (two)
            ret_marks[i] |= (uint8_t)((counted & (value >= low[1]) & (value <= high[1])) << 1);
    }
    atomic_fetch_add_explicit(&o->all, all, memory_order_relaxed);
    for (int q = 0; q < o->quantiles; q++)
        atomic_fetch_add_explicit(&o->below[q], below[q], memory_order_relaxed);
}

static void take_chunk(struct order *o, size_t first, size_t count)
{
    uint8_t marks[CHUNK] = {0};
    if (o->mask && o->deviations)
        mark(o, first, count, true, true, false, marks);
    else if (o->mask && o->quantiles > 1)
        mark(o, first, count, true, false, true, marks);
    else if (o->mask)
        mark(o, first, count, true, false, false, marks);
    else if (o->deviations)
        mark(o, first, count, false, true, false, marks);
    else
        mark(o, first, count, false, false, false, marks);
    for (int q = 0; q < o->quantiles; q++)
        collect(o, first, marks, q);
}

static void take_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    struct order *o = context;
    size_t last = (piece + 1) * PIECE < o->count ? (piece + 1) * PIECE : o->count;
    for (size_t first = piece * PIECE; first < last; first += CHUNK)
        take_chunk(o, first, last - first < CHUNK ? last - first : CHUNK);
}

/* Counts and collects; false if a quantile is not between its limits. */
static bool take_all(struct cpu_slot *slot, struct order *o, const double *shares)
{
    o->all = 0;
    for (int q = 0; q < o->quantiles; q++)
        o->below[q] = o->between[q] = 0;
    ps_parallel(slot->threads, (o->count + PIECE - 1) / PIECE, take_piece, o);
    for (int q = 0; q < o->quantiles && o->all; q++) {
        size_t rank = (size_t)((double)(o->all - 1) * shares[q]);
        if (rank < o->below[q] || rank >= o->below[q] + o->between[q])
            return false;
    }
    return true;
}

/* The values that shares of the pixels are below; of two, the lower one; 0 without pixels. */
static void find_quantiles(struct cpu_slot *slot, struct order *o, const double *shares,
                           double *ret_values)
{
    float sample[MAX_SAMPLE];
    size_t taken = take_sample(o, sample);
    bool found = false;
    for (double width = WIDTH; !found; width *= 4) {
        for (int q = 0; q < o->quantiles; q++)
            set_limits(o, q, shares[q], sample, taken, width);
        if (o->quantiles > 1 && o->high[1] >= o->low[0])
            break; /* a value could be in both lists */
        found = take_all(slot, o, shares);
    }
    for (int q = 0; q < o->quantiles && found; q++) {
        float *values = q ? o->room + o->count - o->between[q] : o->room;
        size_t rank = (size_t)((double)(o->all - 1) * shares[q]);
        ret_values[q] =
            o->all ? (double)find_rank(values, o->between[q], rank - o->below[q], values) : 0;
    }
    if (found)
        return;
    o->quantiles = 1;
    for (int q = 0; q < MAX_QUANTILES; q++)
        find_quantiles(slot, o, shares + q, ret_values + q);
}

/* `shares` of two quantiles: the larger one first. */
static int quantiles(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                     const double *centre, int count, const double *shares, double *ret_values,
                     struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t pixels = cpu_field_pixels(a);
    PS_TRY(cpu_buffer_reserve(&a->work.passing, pixels * sizeof(float), "a median", error));
    struct order o = {
        .values = values,
        .mask = mask,
        .count = pixels,
        .deviations = centre != NULL,
        .centre = centre ? (float)*centre : 0,
        .quantiles = count,
        .room = a->work.passing.data,
    };
    find_quantiles(slot, &o, shares, ret_values);
    return 0;
}

int cpu_median(struct cpu_slot *slot, const float *values, const uint8_t *mask,
               const double *centre, double *ret_median, struct ps_error *error)
{
    const double half = 0.5;
    return quantiles(slot, values, mask, centre, 1, &half, ret_median, error);
}

int cpu_lower_spread(struct cpu_slot *slot, const float *values, const uint8_t *mask,
                     double *ret_median, double *ret_deviation, struct ps_error *error)
{
    const double shares[] = {0.5, PS_LOWER_SHARE};
    double found[] = {0, 0};
    PS_TRY(quantiles(slot, values, mask, NULL, 2, shares, found, error));
    *ret_median = found[0];
    *ret_deviation = ps_lower_deviation(found[0], found[1]);
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
