/* Pixels of a file as floats, and their statistics, in one pass. */
#include "backend/cpu/simd.h"
#include "formulas/half.h"
#include "image/micrograph.h"

#include <math.h>
#include <string.h>

/* Sums have eight parts with every instruction set, so that all round alike. */
enum { PARTS = 8, CHUNK = 2048 };
typedef float eight __attribute__((vector_size(PARTS * sizeof(float))));
typedef int32_t eight_bits __attribute__((vector_size(PARTS * sizeof(int32_t))));
typedef double eight_sums __attribute__((vector_size(PARTS * sizeof(double))));

struct parts {
    eight_sums sums;
    eight_bits not_finite; /* counted down from 0 */
    eight least;
    eight largest;
};

/* Where the bits of `chosen` are set those of a, elsewhere those of b. By pointer, for not every
 * instruction set passes vectors of eight. */
static inline void choose(const eight_bits *chosen, const eight *a, const eight *b, eight *ret)
{
    *ret = (eight)(((eight_bits)*a & *chosen) | ((eight_bits)*b & ~*chosen));
}

/* `count` is a multiple of eight. */
static void add_pixels(const float *pixels, size_t count, struct parts *parts)
{
    const eight infinity = INFINITY - (eight){0};
    const eight minus_infinity = -infinity;
    struct parts p = *parts;
    for (size_t i = 0; i < count; i += PARTS) {
        eight value;
        memcpy(&value, pixels + i, sizeof value);
        eight_bits not_finite = ((eight_bits)value & 0x7f800000) == 0x7f800000;
        eight_bits finite = ~not_finite;
        p.not_finite += not_finite;
        p.sums += __builtin_convertvector((eight)((eight_bits)value & finite), eight_sums);
        eight low;
        eight high;
        choose(&finite, &value, &infinity, &low);
        choose(&finite, &value, &minus_infinity, &high);
        eight_bits less = low < p.least;
        eight_bits more = high > p.largest;
        choose(&less, &low, &p.least, &p.least);
        choose(&more, &high, &p.largest, &p.largest);
    }
    *parts = p;
}

static void convert(const void *pixels, enum ps_pixel type, size_t count, float *ret_pixels)
{
    if (type != PS_PIXEL_F16) {
        ps_pixels_to_float(pixels, type, count, ret_pixels);
        return;
    }
    const uint16_t *from = pixels;
    for (size_t i = 0; i < count; i++)
        ret_pixels[i] = ps_half_value(from[i]);
}

void PS_SIMD_NAME(ps_take_pixels)(const void *pixels, enum ps_pixel type, size_t count,
                                  float *ret_pixels, struct ps_pixel_statistics *ret_statistics)
{
    struct parts parts = {.least = INFINITY - (eight){0}, .largest = -INFINITY - (eight){0}};
    size_t bytes = ps_pixel_bytes(type);
    for (size_t i = 0; i < count; i += CHUNK) {
        size_t n = count - i < CHUNK ? count - i : CHUNK;
        const float *values = (const float *)pixels + i;
        if (ret_pixels) {
            convert((const char *)pixels + i * bytes, type, n, ret_pixels + i);
            values = ret_pixels + i;
        }
        size_t whole = n / PARTS * PARTS;
        add_pixels(values, whole, &parts);
        float rest[PARTS];
        for (size_t k = 0; k < PARTS; k++)
            rest[k] = whole + k < n ? values[whole + k] : NAN;
        if (whole < n) {
            add_pixels(rest, PARTS, &parts);
            for (size_t k = n - whole; k < PARTS; k++)
                parts.not_finite[k]++;
        }
    }
    struct ps_pixel_statistics s = {.finite = count, .minimum = INFINITY, .maximum = -INFINITY};
    for (int k = 0; k < PARTS; k++) {
        s.sum += parts.sums[k];
        s.finite -= (uint64_t)-parts.not_finite[k];
        s.minimum = parts.least[k] < s.minimum ? parts.least[k] : s.minimum;
        s.maximum = parts.largest[k] > s.maximum ? parts.largest[k] : s.maximum;
    }
    *ret_statistics = s;
}
