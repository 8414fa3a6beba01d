/* Whether a list of scores is one population or two, and where the two part. Pure functions. */
#ifndef PS_PICKER_MIXTURE_H
#define PS_PICKER_MIXTURE_H

#include "formulas/mixture_formulas.h"
#include "pickstream.h"

/* Fits by expectation maximisation to at least two values, the largest first, starting at Otsu's
 * threshold. No deviation falls below a fifth of that of all values. 0 or PS_E_NOMEM. */
int ps_mixture_fit(const double *values, size_t count, struct ps_mixture *ret_mixture);

/* Where between the means a value is as likely from the one as from the other Gaussian; the upper
 * mean if the lower one is likelier up to there. */
double ps_mixture_threshold(const struct ps_mixture *mixture);

/* Distance of the means of the values above and not above a threshold, over the root of the mean of
 * their variances; 0 with fewer than five on either side. A Gaussian cut in two gives 2.65. */
double ps_separation(const double *values, size_t count, double threshold, size_t *ret_above);

#endif
