/* Pixels: sizes, conversion to float32, and half floats.
 *
 * The loops are plain and branch-free so that the compiler makes vectors of them.
 */
#include "formulas/half.h"
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

float ps_half_to_float(uint16_t half)
{
    return ps_half_value(half);
}

uint16_t ps_float_to_half(float value)
{
    uint32_t bits = ps_float_bits(value);
    uint32_t sign = (bits >> 16) & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) /* NaN, stays quiet */
        return (uint16_t)(sign | 0x7e00 | ((bits >> 13) & 0x1ff));
    if (bits >= 0x477ff000) /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* below 2^-14: the sum has the subnormal's unit in its last place */
        float sum = ps_bits_float(bits) + 0.5f;
        return (uint16_t)(sign | (ps_float_bits(sum) - ps_float_bits(0.5f)));
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
        CONVERT(uint16_t, ps_half_value);
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
