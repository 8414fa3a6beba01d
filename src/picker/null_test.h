/* The decision of the `adaptive` profile: the candidates of a micrograph against a null.
 *
 * The null is what the same procedure finds in noise: in a field of the micrograph's own power
 * spectrum with random phases, where there is nothing to find. A score that noise reaches as often
 * as the micrograph does says nothing; where the micrograph has more candidates above a score than
 * the null, the surplus is particles. Pure functions on lists of scores.
 *
 * Scores are in units of the deviation of the score's lower half, which particles leave alone, so
 * that those of the micrograph and of the null can be compared.
 */
#ifndef PS_PICKER_NULL_TEST_H
#define PS_PICKER_NULL_TEST_H

#include "backend/adaptive.h"

/* Scores of candidates, the largest first. */
struct ps_scores {
    float *items;
    size_t count;
};

/* What several searches of noise found. */
enum { PS_NULL_LISTS = 8 };
struct ps_null {
    struct ps_scores lists[PS_NULL_LISTS];
    int count;
    double beyond; /* area of the micrograph beyond that of a field of noise, of the latter */
};

/* Appends the scores of peaks that come best first. PS_E_NOMEM. */
int ps_null_add(struct ps_null *null, const struct ps_peak *peaks, size_t count);
void ps_null_done(struct ps_null *null);

/* For each of `count` candidates, the best first, how many candidates the null has at its score or
 * above it: the mean over the null's lists, for the area of the micrograph. All 0 without any list.
 */
void ps_null_expect(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                    double *ret_expected);

/* What tells a hypothesis from noise. With N candidates above a score and N0 expected of the null,
 * N - N0 are particles. At the score where 2 (N - N0) / (N + max(N - N0)), an estimate of F1, is
 * largest: */
struct ps_null_test {
    size_t above;        /* candidates above that score: N */
    double expected;     /* N0 */
    double agreement;    /* that estimate of F1 */
    double significance; /* (N - N0 - strange) / sqrt(N + N0 + 1) */
    double separation; /* how far the mean of those above is from the median of the null, in robust
                        * standard deviations of the null */
    double objective;  /* the product of the three: the larger the better, 0 for none */
};

/* `strange` windows are discounted: particles agree in the mean of their window, and what is
 * darker, larger and rarer than they (ice, dirt, carbon) does not. Strange is a window above the
 * score whose mean is further than three robust standard deviations from the median of all
 * candidates. */
int ps_null_judge(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                  bool discount_strange, struct ps_null_test *ret_test);

/* Where to cut the list: how many candidates are particles, and how many of these the null would
 * have had. Of all cuts the one is taken where the product of the estimated F1 and of the
 * separation of both sides is largest: the first finds the score at which noise begins, the second
 * moves the cut into the gap between particles and noise where there is one. */
struct ps_null_cut {
    size_t above;
    double threshold; /* score of the last one above */
    double expected_false;
    double share; /* of the null's candidates that particles leave room for */
};
int ps_null_choose_cut(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                       struct ps_null_cut *ret_cut);

/* Local false discovery rates of candidates, the best first: of those with scores near its own, the
 * share that is noise, which does not fall from one candidate to the next. `share` as above.
 * PS_E_NOMEM. */
int ps_null_local_false(const struct ps_null *null, const struct ps_peak *peaks, size_t count,
                        double share, double *ret_rates);

#endif
