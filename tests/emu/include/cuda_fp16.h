/* Half precision: conversions from and to bits and float, no arithmetic. */
#ifndef EMU_CUDA_FP16_H
#define EMU_CUDA_FP16_H

#ifdef __cplusplus

#include <math.h>
#include <stdint.h>
#include <string.h>

struct __half {
    unsigned short bits;
};
typedef __half half;

static inline __half __ushort_as_half(unsigned short bits)
{
    return __half{bits};
}

static inline unsigned short __half_as_ushort(__half value)
{
    return value.bits;
}

static inline float __half2float(__half value)
{
    int exponent = value.bits >> 10 & 31;
    int fraction = value.bits & 1023;
    float magnitude = exponent == 0    ? ldexpf((float)fraction, -24)
                      : exponent == 31 ? (fraction ? nanf("") : INFINITY)
                                       : ldexpf((float)(fraction + 1024), exponent - 25);
    return copysignf(magnitude, value.bits >> 15 ? -1.0F : 1.0F);
}

/* To nearest, ties to even: what nearbyintf() does at the scale of the last bit. */
static inline __half __float2half_rn(float value)
{
    unsigned sign = signbit(value) ? 0x8000 : 0;
    float magnitude = fabsf(value);
    if (isnan(value))
        return {0x7fff};
    if (magnitude >= 65520.0F)
        return {static_cast<unsigned short>(sign | 0x7c00)};
    int exponent;
    (void)frexpf(magnitude, &exponent);
    exponent = exponent < -13 ? -13 : exponent;
    unsigned steps = static_cast<unsigned>(nearbyintf(ldexpf(magnitude, 11 - exponent)));
    unsigned bits = magnitude == 0 ? 0 : (static_cast<unsigned>(exponent + 13) << 10) + steps;
    return {static_cast<unsigned short>(sign | bits)};
}

static inline __half __float2half(float value)
{
    return __float2half_rn(value);
}

#endif

#endif
