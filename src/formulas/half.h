/* Half floats to floats, on the CPU and in kernels.
 *
 * Integer arithmetic and one exact subtraction. Without subnormal float32 values, so that
 * flush-to-zero modes do not change results. */
#ifndef PS_FORMULAS_HALF_H
#define PS_FORMULAS_HALF_H

#include "formulas/hd.h"

#include <stdint.h>
#include <string.h>

PS_HD uint32_t ps_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

PS_HD float ps_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Half: sign, 5 bits of exponent (bias 15), 10 of mantissa; float: 8 (bias 127), 23. */
PS_HD float ps_half_value(uint16_t half)
{
    const uint32_t exponents = 0x7c00u << 13;
    const uint32_t bias = (127u - 15u) << 23;
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    uint32_t exponent = bits & exponents;
    /* Inf and NaN need the largest exponent: add the bias twice. */
    uint32_t normal = bits + bias + (exponent == exponents ? bias : 0);
    /* Zeros and subnormals get a leading one, which the subtraction removes. */
    const float one = ps_bits_float(bias + (1u << 23));
    uint32_t subnormal = ps_float_bits(ps_bits_float(bits + bias + (1u << 23)) - one);
    uint32_t mask = exponent == 0 ? 0xffffffffu : 0;
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    return ps_bits_float((subnormal & mask) | (normal & ~mask) | sign);
}

#endif
