/* The model of a micrograph: decides from a window's mean and standard deviation whether it shows
 * particle (apple-reference section 7). Trained on the host, applied by a backend to millions of
 * windows: every kind comes down to one of two closed forms of the standardised features u, v,
 * particle where the value is positive.
 */
#ifndef PS_PICKER_MODEL_H
#define PS_PICKER_MODEL_H

#include "config/config.h"
#include "formulas/decision.h"

#include <stddef.h>

/* Trains on `count` windows, the first `positives` of which show particle, the others none. Both
 * features are standardised by mean and population deviation of these windows.
 *   svm          C-SVC by LIBSVM, RBF kernel, gamma 0.5, C 1 balanced, tolerance 1e-3
 *   naive_bayes  one Gaussian with diagonal covariance a class, priors from the counts
 *   mixture      two Gaussians with full covariance by expectation maximisation, which begins at
 *                the two classes and then forgets the labels; particle is the component that holds
 *                the larger share of the positives
 * PS_E_INPUT: one class is empty; PS_E_NOMEM. */
int ps_model_train(enum ps_classifier classifier, const struct ps_feature *features, size_t count,
                   size_t positives, struct ps_model *ret_model, struct ps_error *error);
void ps_model_done(struct ps_model *model);

/* The decision value of one window: particle where positive. */
double ps_model_decide(const struct ps_model *model, struct ps_feature feature);

#endif
