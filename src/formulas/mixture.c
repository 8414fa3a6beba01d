#include "formulas/mixture.h"

#include <stdlib.h>

enum { GRID = 400, FEWEST = 5 };

/* Otsu's threshold parts values best in two classes (1979). */
static double otsu(const double *values, size_t count)
{
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += values[i];
    double above = 0;
    double best = -1;
    double threshold = values[0];
    for (size_t k = 1; k < count; k++) {
        above += values[k - 1];
        double between = ps_otsu_between(above, total, (double)k, (double)count);
        if (between > best) {
            best = between;
            threshold = (values[k - 1] + values[k]) / 2;
        }
    }
    return threshold;
}

/* Weight, mean and deviation of the values on one side (upper or not) of a threshold. */
static double side_moments(const double *values, size_t count, double threshold, bool upper,
                           double *ret_mean, double *ret_variance)
{
    double n = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if ((values[i] > threshold) == upper) {
            n += 1;
            sum += values[i];
        }
    }
    double mean = n > 0 ? sum / n : 0;
    double square = 0;
    for (size_t i = 0; i < count; i++)
        if ((values[i] > threshold) == upper)
            square += (values[i] - mean) * (values[i] - mean);
    *ret_mean = mean;
    *ret_variance = n > 0 ? square / n : 0;
    return n;
}

/* `uppers` is room for as many values. */
static void improve(struct ps_mixture *m, const double *values, size_t count, double floor,
                    double *uppers)
{
    struct ps_mixture_tops tops = ps_mixture_tops_of(m);
    double n[2] = {0};
    double sum[2] = {0};
    for (size_t i = 0; i < count; i++) {
        double r = ps_mixture_upper(m, &tops, values[i]);
        uppers[i] = r;
        n[0] += 1 - r;
        n[1] += r;
        sum[0] += (1 - r) * values[i];
        sum[1] += r * values[i];
    }
    struct ps_mixture next = {.mean = {sum[0] / n[0], sum[1] / n[1]}};
    double square[2] = {0};
    for (size_t i = 0; i < count; i++) {
        double r = uppers[i];
        square[0] += (1 - r) * (values[i] - next.mean[0]) * (values[i] - next.mean[0]);
        square[1] += r * (values[i] - next.mean[1]) * (values[i] - next.mean[1]);
    }
    next.share = ps_mixture_share(n[1], (double)count);
    for (int k = 0; k < 2; k++)
        next.deviation[k] = fmax(floor, sqrt(square[k] / n[k]));
    *m = next;
}

int ps_mixture_fit(const double *values, size_t count, struct ps_mixture *ret_mixture)
{
    double *uppers = malloc((count + 1) * sizeof *uppers);
    if (!uppers)
        return PS_E_NOMEM;
    double threshold = otsu(values, count);
    struct ps_mixture m = {0};
    double variance[2];
    double mean;
    double all;
    double upper = side_moments(values, count, threshold, true, &m.mean[1], &variance[1]);
    (void)side_moments(values, count, threshold, false, &m.mean[0], &variance[0]);
    (void)side_moments(values, count, -INFINITY, true, &mean, &all);
    m.share = ps_mixture_share(upper, (double)count);
    for (int k = 0; k < 2; k++)
        m.deviation[k] = sqrt(variance[k]) + 1e-6;
    double floor = PS_MIXTURE_LEAST_DEVIATION * sqrt(all) + 1e-9;
    bool settled = false;
    for (int round = 0; round < PS_MIXTURE_ROUNDS && !settled; round++) {
        struct ps_mixture before = m;
        improve(&m, values, count, floor, uppers);
        settled = ps_mixture_settled(&before, &m);
    }
    free(uppers);
    *ret_mixture = m;
    return 0;
}

double ps_mixture_threshold(const struct ps_mixture *mixture)
{
    struct ps_mixture_tops tops = ps_mixture_tops_of(mixture);
    double step = (mixture->mean[1] - mixture->mean[0]) / (GRID - 1);
    for (int i = 0; i < GRID; i++) {
        double value = mixture->mean[0] + i * step;
        if (ps_mixture_log_density(mixture, &tops, 1, value) >
            ps_mixture_log_density(mixture, &tops, 0, value))
            return value;
    }
    return mixture->mean[1];
}

double ps_separation(const double *values, size_t count, double threshold, size_t *ret_above)
{
    double mean[2];
    double variance[2];
    double above = side_moments(values, count, threshold, true, &mean[1], &variance[1]);
    double below = side_moments(values, count, threshold, false, &mean[0], &variance[0]);
    *ret_above = (size_t)above;
    if (above < FEWEST || below < FEWEST)
        return 0;
    return (mean[1] - mean[0]) / sqrt(0.5 * (variance[0] + variance[1]) + 1e-9);
}
