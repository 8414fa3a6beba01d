/* Pixels: sizes, conversion to float32, and half floats.
 *
 * The loops are plain and branch-free so that the compiler makes vectors of them. Half floats are
 * converted with integer arithmetic and one exact subtraction: no table, no F16C needed, and no
 * subnormal float32 on the way, so neither flush-to-zero nor its absence changes a result.
 */
#include "image/reader.h"

#include <string.h>

size_t ps_pixel_bytes(enum ps_pixel type)
{
    switch (type) {
    case PS_PIXEL_I8:
    case PS_PIXEL_U8:
        return 1;
    case PS_PIXEL_I16:
    case PS_PIXEL_U16:
    case PS_PIXEL_F16:
        return 2;
    case PS_PIXEL_F32:
        return 4;
    }
    return 0;
}

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Half: sign, 5 bits of exponent (bias 15), 10 of mantissa; float: 8 (bias 127), 23. */
static inline float half_to_float(uint16_t half)
{
    const uint32_t exponents = 0x7c00u << 13;
    const uint32_t bias = (127u - 15u) << 23;
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    uint32_t exponent = bits & exponents;
    /* Inf and NaN need the largest exponent: the bias a second time. */
    uint32_t normal = bits + bias + (exponent == exponents ? bias : 0);
    /* Zeros and subnormals get a leading one, which the subtraction takes off again. */
    const float one = float_of(bias + (1u << 23));
    uint32_t subnormal = bits_of(float_of(bits + bias + (1u << 23)) - one);
    uint32_t mask = exponent == 0 ? UINT32_MAX : 0;
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    return float_of((subnormal & mask) | (normal & ~mask) | sign);
}

float ps_half_to_float(uint16_t half)
{
    return half_to_float(half);
}

uint16_t ps_float_to_half(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t sign = (bits >> 16) & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) /* NaN, kept quiet */
        return (uint16_t)(sign | 0x7e00 | ((bits >> 13) & 0x1ff));
    if (bits >= 0x477ff000) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* below 2^-14: the sum has the subnormal's unit in its last place */
        float sum = float_of(bits) + 0.5f;
        return (uint16_t)(sign | (bits_of(sum) - bits_of(0.5f)));
    }
    uint32_t odd = (bits >> 13) & 1;
    return (uint16_t)(sign | ((bits - ((127u - 15u) << 23) + 0xfff + odd) >> 13));
}

void ps_pixels_to_float(const void *pixels, enum ps_pixel type, size_t count, float *restrict ret)
{
#define CONVERT(TYPE, convert)                                                                     \
    do {                                                                                           \
        const TYPE *restrict from = pixels;                                                        \
        for (size_t i = 0; i < count; i++)                                                         \
            ret[i] = convert(from[i]);                                                             \
    } while (0)

    switch (type) {
    case PS_PIXEL_I8:
        CONVERT(int8_t, (float));
        break;
    case PS_PIXEL_U8:
        CONVERT(uint8_t, (float));
        break;
    case PS_PIXEL_I16:
        CONVERT(int16_t, (float));
        break;
    case PS_PIXEL_U16:
        CONVERT(uint16_t, (float));
        break;
    case PS_PIXEL_F16:
        CONVERT(uint16_t, half_to_float);
        break;
    case PS_PIXEL_F32:
        if (count)
            memcpy(ret, pixels, count * sizeof *ret);
        break;
    }
#undef CONVERT
}

void ps_pixels_add(const void *pixels, enum ps_pixel type, size_t count, float *sums)
{
    enum { CHUNK = 2048 };
    float chunk[CHUNK];
    const unsigned char *from = pixels;
    for (size_t i = 0; i < count; i += CHUNK) {
        size_t n = count - i < CHUNK ? count - i : CHUNK;
        ps_pixels_to_float(from + i * ps_pixel_bytes(type), type, n, chunk);
        for (size_t j = 0; j < n; j++)
            sums[i + j] += chunk[j];
    }
}
