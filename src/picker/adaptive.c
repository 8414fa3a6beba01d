#include "picker/adaptive.h"

#include "formulas/adaptive_formulas.h"
#include "picker/robust.h"

#include <math.h>
#include <stdlib.h>

const struct ps_adaptive_rules ps_adaptive_rules = {
    .coarse = 9.5,
    .fine = 32,
    .fine_in_large = 21,
    .large = 5e5,
    .part = 1000,
    .tile = 4e6,
    .coarse_rounds = 2,
    .fine_rounds = 2,
    .frame = 0.25,
    .distance = 0.7,
    .nulls = 4,
    .contender = 0.5,
    .clear = 20,
    .reliable = 6.5,
    .contaminant = 6,
    .outlier = 12,
    .few = 0.15,
    .strange = true,
    .energy = true,
    .support = true,
};

/* The diameter that people give is a box, an outer shell or a dark core: half to one and a half. */
const double ps_adaptive_scales[PS_ADAPTIVE_SCALES] = {0.5, 0.6, 0.72, 0.865, 1.04, 1.25, 1.5};

int ps_adaptive_bin(double diameter, double least)
{
    double bin = floor(diameter / least);
    return bin > 1 ? (int)bin : 1;
}

double ps_adaptive_fine(const struct ps_adaptive_rules *rules, double diameter, int width,
                        int height)
{
    double bin = ps_adaptive_bin(diameter, rules->fine);
    bool large = width / bin * (height / bin) > rules->large;
    return large ? rules->fine_in_large : rules->fine;
}

struct ps_radial ps_adaptive_start(double diameter, int sign)
{
    struct ps_radial radial = {.count = ps_template_rings(diameter)};
    if (radial.count > PS_MAX_RINGS)
        radial.count = PS_MAX_RINGS;
    for (int r = 0; r < radial.count; r++)
        radial.values[r] = r <= diameter / 2 ? sign : 0;
    return radial;
}

/* A quantile of peaks that come best first, between the two nearest. */
static double quantile(const struct ps_peak *peaks, size_t count, double share)
{
    double at = (1 - share) * (double)(count - 1);
    size_t below = (size_t)at;
    size_t next = below + 1 < count ? below + 1 : below;
    double rest = at - (double)below;
    return (1 - rest) * (double)peaks[below].value + rest * (double)peaks[next].value;
}

size_t ps_adaptive_examples(const struct ps_peak *peaks, size_t count, double area)
{
    double median = quantile(peaks, count, 0.5);
    double limit = median + 3 * (median - quantile(peaks, count, 0.16));
    size_t outstanding = 0;
    while (outstanding < count && (double)peaks[outstanding].value > limit)
        outstanding++;
    double examples = fmax((double)outstanding, fmax(10, 0.03 * area));
    examples = fmin(examples, fmax(20, 0.10 * area));
    return examples < (double)count ? (size_t)examples : count;
}

void ps_adaptive_weights(const float *const responses[PS_CHANNELS], size_t count,
                         const struct ps_response_moments *moments, double ret_weights[PS_CHANNELS])
{
    double mean[2] = {0};
    for (int c = 0; c < 2; c++)
        for (size_t i = 0; i < count; i++)
            mean[c] += (double)responses[c][i] / (double)count;
    double sum[2][2]; /* of both classes' covariances */
    for (int a = 0; a < 2; a++) {
        for (int b = 0; b < 2; b++) {
            double covariance = 0;
            for (size_t i = 0; i < count; i++)
                covariance +=
                    ((double)responses[a][i] - mean[a]) * ((double)responses[b][i] - mean[b]);
            sum[a][b] =
                covariance / (count > 1 ? (double)count - 1 : 1) + moments->covariance[a][b];
        }
    }
    double ridge = 1e-3 * (sum[0][0] + sum[1][1]) / 2 + 1e-12;
    sum[0][0] += ridge;
    sum[1][1] += ridge;
    double difference[2] = {mean[0] - moments->mean[0], mean[1] - moments->mean[1]};
    double determinant = sum[0][0] * sum[1][1] - sum[0][1] * sum[1][0];
    double w[2] = {(sum[1][1] * difference[0] - sum[0][1] * difference[1]) / determinant,
                   (sum[0][0] * difference[1] - sum[1][0] * difference[0]) / determinant};
    for (int c = 0; c < 2; c++)
        w[c] = w[c] > 0 ? w[c] : 0;
    bool none = !(w[0] > 0 || w[1] > 0);
    for (int c = 0; c < 2; c++)
        ret_weights[c] = none ? 1 : w[c];
}

int ps_adaptive_nulls(const struct ps_adaptive_rules *rules, double area)
{
    const double enough = 500;
    int nulls = (int)ceil(enough / fmax(area, 1));
    return nulls < 1 ? 1 : nulls < rules->nulls ? nulls : rules->nulls;
}

static double mean_of(const struct ps_peak *peak)
{
    return (double)peak->mean;
}

static double power_of(const struct ps_peak *peak)
{
    return pow((double)peak->mean, 2) + pow((double)peak->deviation, 2);
}

/* Median, and the robust standard deviation; `values` is room for as many. */
static double middle(const struct ps_peak *peaks, size_t count,
                     double (*property)(const struct ps_peak *), double *values,
                     double *ret_deviation)
{
    for (size_t i = 0; i < count; i++)
        values[i] = property(&peaks[i]);
    return ps_robust_middle(values, count, ret_deviation);
}

struct ps_window_range ps_adaptive_range(const struct ps_peak *peaks, size_t count,
                                         double deviations)
{
    struct ps_window_range range = {-INFINITY, INFINITY, INFINITY};
    double *values = malloc((count + 1) * sizeof *values);
    if (values && count >= PS_FEWEST_WINDOWS && deviations > 0) {
        double deviation = 0;
        double median = middle(peaks, count, mean_of, values, &deviation);
        range.least_mean = median - deviations * deviation;
        range.largest_mean = median + deviations * deviation;
        median = middle(peaks, count, power_of, values, &deviation);
        range.largest_power = median + deviations * deviation;
    }
    free(values);
    return range;
}

bool ps_adaptive_stands_out(const struct ps_window_range *range, const struct ps_peak *peak)
{
    return mean_of(peak) < range->least_mean || mean_of(peak) > range->largest_mean ||
           power_of(peak) > range->largest_power;
}

size_t ps_adaptive_count_outside(const struct ps_window_range *range, const struct ps_peak *peaks,
                                 size_t count)
{
    size_t outside = 0;
    for (size_t i = 0; i < count; i++)
        outside += ps_adaptive_stands_out(range, &peaks[i]);
    return outside;
}

static double within(double value, double least, double most)
{
    return fmin(fmax(value, least), most);
}

double ps_adaptive_probability(const struct ps_evidence *evidence, bool reliable)
{
    const double offset = -1.06;
    const double by_local_true = 0.138; /* of its log odds */
    const double by_height = 0.633;
    const double by_separation = 0.573;
    const double doubt = 0.25; /* what an unreliable result leaves of a probability */
    double local_true = within(1 - evidence->local_false, 0.005, 0.995);
    double odds = offset + by_local_true * log(local_true / (1 - local_true)) +
                  by_height * within(evidence->height, -3, 6) +
                  by_separation * within(evidence->separation, 0, 10);
    return (reliable ? 1 : doubt) / (1 + exp(-odds));
}
