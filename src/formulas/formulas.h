/* Formulas that the backends share, compiled by gcc, g++ and nvcc. Backends differ in the order of
 * work only. */
#ifndef PS_FORMULAS_FORMULAS_H
#define PS_FORMULAS_FORMULAS_H

#include "formulas/hd.h"
#include "formulas/half.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* a * b + c, in one rounding if the processor does that at no cost. Not for results on which
 * backends must agree to the last bit. */
PS_HD float ps_multiply_add(float a, float b, float c)
{
#if defined(__CUDACC__) || defined(__FMA__)
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* ---- pixels ---------------------------------------------------------------------------------- */

PS_HD bool ps_is_finite(float value)
{
    return fabsf(value) <= 3.4028235e38F;
}

/* Linear interpolation from a to b. */
PS_HD float ps_between(float a, float b, float weight)
{
    return a + weight * (b - a);
}

/* Integers that have the order of floats, and the inverse. */
PS_HD uint32_t ps_order_key(float value)
{
    uint32_t bits = ps_float_bits(value);
    return bits & 0x80000000U ? ~bits : bits | 0x80000000U;
}

PS_HD float ps_order_value(uint32_t key)
{
    return ps_bits_float(key & 0x80000000U ? key & 0x7FFFFFFFU : ~key);
}

/* ---- windows --------------------------------------------------------------------------------- */

/* Mean and population standard deviation of `area` values from their sum and the sum of their
 * squares. The mean over the whole image must be near 0, so that little precision is lost. */
PS_HD void ps_window_moments(double sum, double square, double area, float *ret_mean,
                             float *ret_deviation)
{
    double mean = sum / area;
    double variance = square / area - mean * mean;
    *ret_mean = (float)mean;
    *ret_deviation = (float)sqrt(variance > 0 ? variance : 0);
}

/* ---- score ----------------------------------------------------------------------------------- */

/* Threshold of a response, from the range of all (apple-reference section 5). */
PS_HD float ps_response_threshold(float minimum, float maximum)
{
    return minimum + (maximum - minimum) / 20;
}

/* ---- models ---------------------------------------------------------------------------------- */

/* An RBF model in floats. Features have the slot's grey offset removed. */
struct ps_rbf {
    float centre[2];
    float inverse_scale[2];
    float exponent; /* -gamma / ln 2 */
    float offset;
    size_t count; /* of support vectors: position u, v and weight in an array each */
    const float *u;
    const float *v;
    const float *weight;
};

/* The quadratic form, likewise. */
struct ps_quadratic {
    float centre[2];
    float inverse_scale[2];
    float coefficient[6];
};

PS_HD float ps_quadratic_value(const struct ps_quadratic *model, float mean, float deviation)
{
    const float *c = model->coefficient;
    float u = (mean - model->centre[0]) * model->inverse_scale[0];
    float v = (deviation - model->centre[1]) * model->inverse_scale[1];
    return c[0] + c[1] * u + c[2] * v + c[3] * u * u + c[4] * u * v + c[5] * v * v;
}

/* 2^x for x <= 0, relative error below 1e-7; 0 below 2^-126. Reduces the argument to [-0.5, 0.5] by
 * rounding, then uses the Taylor series of exp(t ln 2). Branch-free, so that compilers vectorise
 * loops over it. */
PS_HD float ps_power_of_two(float x)
{
    const float round_bias = 12582912.0F; /* 1.5 * 2^23: its last bit has the value 1 */
    uint32_t kept = x < -126.0F ? 0 : 0xffffffffu;
    x = ps_bits_float(ps_float_bits(x) & kept);
    float shifted = x + round_bias;
    float t = (x - (shifted - round_bias)) * 0.693147180559945309F;
    uint32_t whole = ps_float_bits(shifted) - ps_float_bits(round_bias);
    float e = ps_multiply_add(t, 1.0F / 5040, 1.0F / 720);
    e = ps_multiply_add(t, e, 1.0F / 120);
    e = ps_multiply_add(t, e, 1.0F / 24);
    e = ps_multiply_add(t, e, 1.0F / 6);
    e = ps_multiply_add(t, e, 1.0F / 2);
    e = ps_multiply_add(t, e, 1.0F);
    e = ps_multiply_add(t, e, 1.0F);
    float scale = ps_bits_float((whole + 127) << 23);
    return ps_bits_float(ps_float_bits(e * scale) & kept);
}

/* Contribution of one support vector, without its weight. */
PS_HD float ps_rbf_term(float exponent, float du, float dv)
{
    return ps_power_of_two(exponent * ps_multiply_add(du, du, dv * dv));
}

/* ---- the mask -------------------------------------------------------------------------------- */

/* Side of the corner that is cleared in a mask that is particle everywhere (apple-reference section
 * 8, step 1). */
enum { PS_CLEARED_CORNER = 100 };

#endif
