/* Formulas of the adaptive profile that the backends share, compiled by gcc, g++ and nvcc. Backends
 * differ in the order of work only. Step numbers are those of src/picker/README.md. */
#ifndef PS_BACKEND_ADAPTIVE_FORMULAS_H
#define PS_BACKEND_ADAPTIVE_FORMULAS_H

#include "formulas/adaptive_types.h"
#include "formulas/half.h"
#include "formulas/hd.h"

#include <math.h>
#include <stdint.h>

/* ---- lengths and limits ---- */

/* In diameters: sides of squares, deviations of Gaussians. */
#define PS_CONTAMINANT_MEAN    0.5  /* step 2: square over which means are taken */
#define PS_CONTAMINANT_SIDE    1.25 /* square that a contaminant must contain */
#define PS_CONTAMINANT_MARGIN  0.5  /* square by which contaminants are widened */
#define PS_INTENSITY_SURROUND  3.0  /* step 3: background, twice */
#define PS_ENERGY_SURROUND     4.0  /* step 4: background */
#define PS_DETAIL_FINE         (0.6 / 16)
#define PS_DETAIL_COARSE       (1.2 / 16)
#define PS_ENERGY_SMOOTHING    0.1
#define PS_INTENSITY_SMOOTHING (1.0 / 10) /* step 5: of responses */
#define PS_DETAIL_SMOOTHING    (1.0 / 8)

/* In robust standard deviations. */
#define PS_FIRST_CLIP      10.0F /* before the background */
#define PS_INTENSITY_CLIP  3.5F  /* after it */
#define PS_ENERGY_CLIP     4.0F
#define PS_CONTAMINANT_FAR 4.0 /* of a mean from the median */

/* Squared norm of what the border leaves of a template; below it, responses are damped. */
#define PS_MIN_NORM 0.1
/* A template with a smaller squared norm is constant. */
#define PS_FLAT 1e-12
/* Lower limit of the unmasked share of a window as a divisor. */
#define PS_MIN_SHARE 0.05F

/* ---- lines ---- */

/* Index that replaces i outside [0, n): the line is continued by its mirror image, in which the
 * edge pixel is repeated. */
PS_HD int ps_mirror(int i, int n)
{
    if (i >= 0 && i < n)
        return i;
    int period = 2 * n;
    i %= period;
    i = i < 0 ? i + period : i;
    return i < n ? i : period - 1 - i;
}

/* The pixel of a line of n that is nearest to i. */
PS_HD int ps_nearest(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

/* Side of a square of `width`: the smallest odd number not below its integer part. */
PS_HD int ps_box_side(double width)
{
    return (int)width | 1;
}

/* Radius at which a Gaussian is cut, px. */
PS_HD int ps_gauss_radius(double sigma)
{
    return (int)(4 * sigma + 0.5);
}

/* Weights of a Gaussian at distances 0 to its radius; the sum over both sides is 1. */
PS_HD void ps_gauss_weights(double sigma, float *ret_weights)
{
    int radius = ps_gauss_radius(sigma);
    double sum = 0;
    for (int k = 0; k <= radius; k++)
        sum += (k ? 2 : 1) * exp(-0.5 * k * k / (sigma * sigma));
    for (int k = 0; k <= radius; k++)
        ret_weights[k] = (float)(exp(-0.5 * k * k / (sigma * sigma)) / sum);
}

/* The next even length at or above n without prime factors above 7, for transforms. */
PS_HD int ps_good_length(int n)
{
    for (n += n % 2;; n += 2) {
        int rest = n;
        for (int p = 2; p <= 7; p++)
            while (rest % p == 0)
                rest /= p;
        if (rest == 1)
            return n;
    }
}

/* ---- pixels ---- */

PS_HD float ps_clipped(float value, float limit)
{
    return value > limit ? limit : value < -limit ? -limit : value;
}

/* Divisor of a window's mean: its unmasked share, limited from below. */
PS_HD float ps_share(float share)
{
    return share > PS_MIN_SHARE ? share : PS_MIN_SHARE;
}

/* Square root of n times the variance, from the means of the squares and of the values. */
PS_HD float ps_window_norm(float mean_square, float mean, float n)
{
    float variance = mean_square - mean * mean;
    return sqrtf(variance > 0 ? variance * n : 0);
}

/* Natural logarithm of a positive float that is not subnormal, for loops that the compiler makes
 * vectors of; off by 2 units in the last place at most (Cephes' logf). */
PS_HD float ps_log(float x)
{
    const uint32_t root = 0x3f3504f3; /* of 1/2 */
    uint32_t above = ps_float_bits(x) - root;
    float exponent = (float)((int32_t)above >> 23);
    float f = ps_bits_float((above & 0x7fffff) + root) - 1.0F;
    float square = f * f;
    float p = 7.0376836292e-2F;
    p = p * f - 1.1514610310e-1F;
    p = p * f + 1.1676998740e-1F;
    p = p * f - 1.2420140846e-1F;
    p = p * f + 1.4249322787e-1F;
    p = p * f - 1.6668057665e-1F;
    p = p * f + 2.0000714765e-1F;
    p = p * f - 2.4999993993e-1F;
    p = p * f + 3.3333331174e-1F;
    p = p * f * square - 2.12194440e-4F * exponent - 0.5F * square;
    return f + p + 0.693359375F * exponent;
}

/* ---- noise ---- */

/* White noise of pixel `i`: uniform, zero mean, equal on every machine (Wellons' lowbias32). */
PS_HD float ps_noise(uint32_t i, uint32_t seed)
{
    uint32_t x = i ^ seed * 0x9E3779B9U;
    x = (x ^ x >> 16) * 0x7FEB352DU;
    x = (x ^ x >> 15) * 0x846CA68BU;
    x ^= x >> 16;
    return (float)(x >> 8) / 16777216.0F - 0.5F;
}

/* ---- order ---- */

/* Standard deviation of a Gaussian from its median absolute deviation. Not 0. */
PS_HD double ps_robust_deviation(double median_deviation)
{
    return 1.4826 * median_deviation + 1e-12;
}

/* Standard deviation of the values below the median, from the median and the value that
 * PS_LOWER_SHARE of the values are below. Particles, which lie above, do not affect it. Not 0. */
#define PS_LOWER_SHARE 0.1587
PS_HD double ps_lower_deviation(double median, double lower)
{
    return median - lower + 1e-12;
}

/* Offset of the energy in its logarithm, from the energy's median. */
PS_HD float ps_energy_floor(double median)
{
    return (float)(0.1 * median + 1e-30);
}

/* Smallest norm of a window, from the norms' median. */
PS_HD float ps_norm_floor(double median)
{
    return (float)(median / 2 + 1e-20);
}

/* ---- templates ---- */

PS_HD double ps_radius(int x, int y)
{
    return sqrt((double)(x * x + y * y));
}

/* Ring of a template that a radius belongs to. */
PS_HD int ps_ring(double radius)
{
    return (int)rint(radius);
}

/* Number of rings of a template, and of rows and columns on each side of its centre. */
PS_HD int ps_template_rings(double diameter)
{
    return ps_ring(PS_TEMPLATE_REACH * diameter) + 1;
}
PS_HD int ps_template_reach(double diameter)
{
    return (int)ceil(PS_TEMPLATE_REACH * diameter);
}

/* Rows and columns of a template of (2 reach + 1)^2 px that lie inside: [top, bottom), [left,
 * right). Near the border, or the frame, the rest lies outside and does not count. */
struct ps_cut {
    int top;
    int bottom;
    int left;
    int right;
};

PS_HD void ps_cut_axis(int reach, int frame, int at, int size, int *ret_first, int *ret_last)
{
    int side = 2 * reach + 1;
    int before = reach + frame - at;
    int after = reach + size - frame - at;
    *ret_first = before > 0 ? before : 0;
    *ret_last = after < side ? after : side;
}

/* True if a part of the window at (x, y) lies outside. */
PS_HD bool ps_window_cut(int reach, int frame, int width, int height, int x, int y,
                         struct ps_cut *ret_cut)
{
    int side = 2 * reach + 1;
    ps_cut_axis(reach, frame, x, width, &ret_cut->left, &ret_cut->right);
    ps_cut_axis(reach, frame, y, height, &ret_cut->top, &ret_cut->bottom);
    return ret_cut->top > 0 || ret_cut->left > 0 || ret_cut->bottom < side || ret_cut->right < side;
}

/* Norm of what the border leaves of a template after its mean is subtracted, from its sums over
 * that part. Limited from below: the response is damped as the part shrinks, so that noise has the
 * same spread everywhere. */
PS_HD double ps_cut_norm(double sum, double square, double area)
{
    return sqrt(fmax(square - sum * sum / area, PS_MIN_NORM));
}

/* Corrects a response near the border, as of a template of zero mean and unit norm over the part
 * inside. */
PS_HD float ps_cut_response(float response, float local, float inverse, float sum, float norm)
{
    return (response - sum * local * inverse) / norm;
}

/* ---- moments of both responses ---- */

enum { PS_MOMENT_SUMS = 5 };

/* Adds the responses of a pixel: both values and their three products. */
PS_HD void ps_add_moments(float first, float second, double sums[PS_MOMENT_SUMS])
{
    double u = (double)first;
    double v = (double)second;
    sums[0] += u;
    sums[1] += v;
    sums[2] += u * u;
    sums[3] += u * v;
    sums[4] += v * v;
}

/* Moments from the sums over `n` px. */
PS_HD struct ps_response_moments ps_moments_of(const double sums[PS_MOMENT_SUMS], double n)
{
    struct ps_response_moments moments;
    double u = moments.mean[0] = sums[0] / n;
    double v = moments.mean[1] = sums[1] / n;
    moments.covariance[0][0] = sums[2] / n - u * u;
    moments.covariance[0][1] = moments.covariance[1][0] = sums[3] / n - u * v;
    moments.covariance[1][1] = sums[4] / n - v * v;
    return moments;
}

/* ---- peaks ---- */

/* Rows and columns around a maximum in which no value is larger. */
PS_HD int ps_peak_radius(double distance)
{
    int side = ps_box_side(distance / 2);
    return side > 3 ? side / 2 : 1;
}

/* Vertex of a parabola through three values, in steps from the middle one. */
PS_HD double ps_parabola_top(double before, double middle, double after)
{
    double bend = before - 2 * middle + after;
    double top = bend < 0 ? 0.5 * (before - after) / bend : 0;
    return top > 0.5 ? 0.5 : top < -0.5 ? -0.5 : top;
}

#endif
