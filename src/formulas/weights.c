#include "formulas/weights.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

static double keys_kernel(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

int ps_resampler_new(int input, int output, struct ps_resampler *ret_resampler,
                     struct ps_error *error)
{
    double scale = (double)input / output;
    double support = 2 * scale;
    int taps = (int)ceil(support) * 2 + 1;
    struct ps_resampler r = {.taps = taps < input ? taps : input};
    r.first = calloc((size_t)output, sizeof *r.first);
    r.weights = calloc((size_t)output * (size_t)r.taps, sizeof *r.weights);
    if (!r.first || !r.weights) {
        ps_resampler_done(&r);
        return ps_fail_memory(error, (size_t)output * (size_t)r.taps * sizeof *r.weights,
                              "bicubic weights");
    }
    for (int i = 0; i < output; i++) {
        double centre = (i + 0.5) * scale;
        int low = (int)(centre - support + 0.5);
        int high = (int)(centre + support + 0.5);
        low = low > 0 ? low : 0;
        high = high < input ? high : input;
        double *weights = r.weights + (size_t)i * (size_t)r.taps;
        double sum = 0;
        for (int k = low; k < high; k++)
            sum += weights[k - low] = keys_kernel((k - centre + 0.5) / scale);
        for (int k = 0; k < high - low; k++)
            weights[k] /= sum;
        /* Taps past the end have weight 0; shifting them inside keeps all reads inside. */
        int first = low + r.taps > input ? input - r.taps : low;
        for (int k = r.taps - 1; k >= 0; k--)
            weights[k] = k >= low - first ? weights[k - (low - first)] : 0;
        r.first[i] = first;
    }
    *ret_resampler = r;
    return 0;
}

void ps_resampler_done(struct ps_resampler *resampler)
{
    free(resampler->first);
    free(resampler->weights);
    *resampler = (struct ps_resampler){0};
}

static void gaussian_kernel(int radius, double exponent, float *ret_kernel)
{
    double sum = 0;
    for (int k = -radius; k <= radius; k++)
        sum += exp(-exponent * k * k);
    for (int k = -radius; k <= radius; k++)
        ret_kernel[k + radius] = (float)(exp(-exponent * k * k) / sum);
}

struct ps_smooth ps_smooth_weights(void)
{
    struct ps_smooth smooth = {0};
    gaussian_kernel(PS_SMOOTH_X, 1.0, smooth.x);
    gaussian_kernel(PS_SMOOTH_Y, 2.0, smooth.y);
    return smooth;
}
