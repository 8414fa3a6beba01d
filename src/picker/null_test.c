#include "picker/null_test.h"

#include "picker/robust.h"

#include <math.h>
#include <stdlib.h>

/* ---- lists ------------------------------------------------------------------------------------
 */

int ps_null_add(struct ps_null *null, const struct ps_peak *peaks, size_t count)
{
    float *items = malloc((count + 1) * sizeof *items);
    if (!items || null->count == PS_NULL_LISTS) {
        free(items);
        return items ? PS_E_BUG : PS_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = peaks[i].value;
    null->lists[null->count++] = (struct ps_scores){items, count};
    return 0;
}

void ps_null_done(struct ps_null *null)
{
    for (int i = 0; i < null->count; i++)
        free(null->lists[i].items);
    null->count = 0;
}

/* Candidates of a list of the null, on average. */
static double mean_count(const struct ps_null *null)
{
    double total = 0;
    for (int i = 0; i < null->count; i++)
        total += (double)null->lists[i].count;
    return null->count ? (1 + null->beyond) * total / null->count : 0;
}

void ps_null_expect(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                    double *ret_expected)
{
    for (size_t i = 0; i < count; i++)
        ret_expected[i] = 0;
    for (int k = 0; k < null->count; k++) {
        const struct ps_scores *list = &null->lists[k];
        size_t reached = 0;
        for (size_t i = 0; i < count; i++) {
            while (reached < list->count && list->items[reached] >= peaks[i].value)
                reached++;
            ret_expected[i] += (1 + null->beyond) * (double)reached / null->count;
        }
    }
}

/* Room for the scores of all lists, of `count` candidates, whichever are more. */
static double *scratch_new(const struct ps_null *null, size_t count)
{
    size_t total = 0;
    for (int i = 0; i < null->count; i++)
        total += null->lists[i].count;
    return malloc(((total > count ? total : count) + 1) * sizeof(double));
}

/* ---- a hypothesis -----------------------------------------------------------------------------
 */

/* Fewer windows are not asked whether they are strange. */
enum { MIN_STRANGE_ABOVE = 6, MIN_STRANGE_ALL = 10 };
static const double STRANGE = 3; /* robust standard deviations */
static const double LEAST_DEVIATION = 1e-9;

static size_t count_strange(const struct ps_peak *peaks, size_t count, size_t above,
                            double *scratch)
{
    if (above < MIN_STRANGE_ABOVE || count < MIN_STRANGE_ALL)
        return 0;
    for (size_t i = 0; i < count; i++)
        scratch[i] = (double)peaks[i].mean;
    double deviation = 0;
    double median = ps_robust_middle(scratch, count, &deviation);
    deviation += LEAST_DEVIATION;
    size_t strange = 0;
    for (size_t i = 0; i < above; i++)
        strange += fabs((double)peaks[i].mean - median) > STRANGE * deviation;
    return strange;
}

static double separation(const struct ps_null *null, const struct ps_peak *peaks, size_t above,
                         double *scratch)
{
    size_t total = 0;
    for (int k = 0; k < null->count; k++)
        for (size_t i = 0; i < null->lists[k].count; i++)
            scratch[total++] = (double)null->lists[k].items[i];
    double deviation = 0;
    double median = ps_robust_middle(scratch, total, &deviation);
    deviation += LEAST_DEVIATION;
    double mean = 0;
    for (size_t i = 0; i < above; i++)
        mean += (double)peaks[i].value / (double)above;
    return fmax(0, (mean - median) / deviation);
}

/* The most candidates beyond a share of those that the null has. */
static double most_particles(const double *expected, size_t count, double share)
{
    double most = 0;
    for (size_t i = 0; i < count; i++)
        most = fmax(most, (double)(i + 1) - share * expected[i]);
    return most;
}

/* 2 (N - N0) / (N + max(N - N0)) at its largest, and the candidates that it takes. */
static double best_agreement(const double *expected, size_t count, size_t *ret_above)
{
    double particles = fmax(1e-9, most_particles(expected, count, 1));
    double best = 0;
    *ret_above = 0;
    for (size_t i = 0; i < count; i++) {
        double n = (double)(i + 1);
        double agreement = 2 * (n - expected[i]) / (n + particles);
        if (agreement > best) {
            best = agreement;
            *ret_above = i + 1;
        }
    }
    return best;
}

int ps_null_judge(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                  bool discount_strange, struct ps_null_test *ret_test)
{
    struct ps_null_test test = {.above = 0};
    double *expected = malloc((count + 1) * sizeof *expected);
    double *scratch = scratch_new(null, count);
    int status = expected && scratch ? 0 : PS_E_NOMEM;
    if (status == 0) {
        ps_null_expect(null, peaks, count, expected);
        test.agreement = best_agreement(expected, count, &test.above);
    }
    if (test.above > 0) {
        double n = (double)test.above;
        test.expected = expected[test.above - 1];
        double strange =
            discount_strange ? (double)count_strange(peaks, count, test.above, scratch) : 0;
        test.significance = fmax(0, n - test.expected - strange) / sqrt(n + test.expected + 1);
        test.separation = separation(null, peaks, test.above, scratch);
        test.objective = test.significance * test.agreement * test.separation;
    }
    free(scratch);
    free(expected);
    if (status == 0)
        *ret_test = test;
    return status;
}

/* ---- the cut ----------------------------------------------------------------------------------
 */

/* Both sides of a cut have at least so many candidates to be told apart. */
enum { MIN_SIDE = 5 };

/* A particle takes the place of noise maxima: where there are many particles, fewer of the null's
 * candidates are to be expected than in noise alone. Each takes that of two, which is what their
 * distance leaves; more than half of the places are never taken. */
static const double DISPLACED = 2;
static const double MIN_SHARE = 0.5;
/* The particles that stand out above noise are not all: the estimate of F1 counts with so many. */
static const double HIDDEN = 1.75;

/* What the separation of both sides counts beside the estimate of F1. */
static const double SEPARATION_POWER = 0.7;

/* The null alone must leave so much of the candidates above a cut. */
static const double MIN_PRECISION = 0.3;

/* How many candidates, from the best on, a cut may take. */
static size_t longest_cut(const double *expected, size_t count)
{
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        double n = (double)(i + 1);
        if (n - expected[i] >= MIN_PRECISION * n)
            longest = i + 1;
    }
    return longest;
}

/* Distance of the means of the first `above` scores and of the others, over the root of the mean of
 * their variances, from sums over the first ones and over all. */
static double side_separation(const double sums[2], const double all[2], size_t above, size_t count)
{
    if (above < MIN_SIDE || count - above < MIN_SIDE)
        return 0;
    double n = (double)above;
    double rest = (double)(count - above);
    double upper = sums[0] / n;
    double lower = (all[0] - sums[0]) / rest;
    double variance = fmax(0, sums[1] / n - upper * upper);
    variance += fmax(0, (all[1] - sums[1]) / rest - lower * lower);
    return (upper - lower) / sqrt(0.5 * variance + 1e-9);
}

/* Of the first `longest` of `count` candidates. */
static size_t choose(const struct ps_peak *peaks, const double *expected, size_t longest,
                     size_t count, double share)
{
    double particles = fmax(1, most_particles(expected, longest, share)) * HIDDEN;
    double all[2] = {0};
    for (size_t i = 0; i < count; i++) {
        all[0] += (double)peaks[i].value;
        all[1] += (double)peaks[i].value * (double)peaks[i].value;
    }
    double sums[2] = {0};
    double best[2] = {0}; /* by agreement and separation, and by agreement alone */
    size_t above[2] = {0};
    for (size_t i = 0; i < longest; i++) {
        double n = (double)(i + 1);
        sums[0] += (double)peaks[i].value;
        sums[1] += (double)peaks[i].value * (double)peaks[i].value;
        double agreement = 2 * fmax(0, n - share * expected[i]) / (n + particles);
        double product =
            agreement * pow(side_separation(sums, all, i + 1, count), SEPARATION_POWER);
        const double values[2] = {product, agreement};
        for (int k = 0; k < 2; k++) {
            if (values[k] > best[k]) {
                best[k] = values[k];
                above[k] = i + 1;
            }
        }
    }
    return above[0] ? above[0] : above[1];
}

int ps_null_choose_cut(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                       struct ps_null_cut *ret_cut)
{
    double *expected = malloc((count + 1) * sizeof *expected);
    if (!expected)
        return PS_E_NOMEM;
    ps_null_expect(null, peaks, count, expected);
    size_t longest = longest_cut(expected, count);
    double places = fmax(1, mean_count(null));
    struct ps_null_cut cut = {
        .share = fmax(MIN_SHARE, 1 - DISPLACED * most_particles(expected, longest, 1) / places)};
    cut.above = choose(peaks, expected, longest, count, cut.share);
    cut.threshold = cut.above ? (double)peaks[cut.above - 1].value : INFINITY;
    cut.expected_false = cut.above ? cut.share * expected[cut.above - 1] : 0;
    free(expected);
    *ret_cut = cut;
    return 0;
}

/* ---- local rates ------------------------------------------------------------------------------
 */

/* Averages neighbours until no rate is less than the one before (isotonic regression by pooling
 * adjacent violators); `weights` is room for as many. */
static void make_rising(double *rates, size_t count, double *weights)
{
    size_t blocks = 0; /* the first `blocks` entries are means of runs of `weights` candidates */
    for (size_t i = 0; i < count; i++) {
        double rate = rates[i];
        double weight = 1;
        while (blocks > 0 && rates[blocks - 1] > rate) {
            blocks--;
            rate = (rate * weight + rates[blocks] * weights[blocks]) / (weight + weights[blocks]);
            weight += weights[blocks];
        }
        rates[blocks] = rate;
        weights[blocks++] = weight;
    }
    size_t at = count;
    for (size_t k = blocks; k-- > 0;)
        for (double n = weights[k]; n > 0.5 && at > 0; n -= 1)
            rates[--at] = rates[k];
}

int ps_null_local_false(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                        double share, double *ret_rates)
{
    const size_t least = 5;
    const size_t parts = 40; /* of all candidates, to each side, are near */
    double *expected = malloc((count + 1) * sizeof *expected);
    if (!expected)
        return PS_E_NOMEM;
    ps_null_expect(null, peaks, count, expected);
    size_t near = count / parts > least ? count / parts : least;
    for (size_t i = 0; i < count; i++) {
        size_t first = i > near ? i - near : 0;
        size_t last = i + near < count ? i + near : count - 1;
        double noise = expected[last] - (first > 0 ? expected[first - 1] : 0);
        ret_rates[i] = fmin(1, share * noise / (double)(last - first + 1));
    }
    make_rising(ret_rates, count, expected);
    free(expected);
    return 0;
}
