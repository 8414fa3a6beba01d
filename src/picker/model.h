/* The model of a micrograph: decides from a window's mean and standard deviation whether it shows
 * particle (apple-reference section 7). Trained on the host, applied by a backend to millions of
 * windows: every kind comes down to one of two closed forms of the standardised features u, v,
 * particle where the value is positive.
 */
#ifndef PS_PICKER_MODEL_H
#define PS_PICKER_MODEL_H

#include "base/config.h"

#include <stddef.h>

enum ps_model_form {
    PS_MODEL_RBF,       /* sum_j weight_j exp(-gamma ((u - u_j)^2 + (v - v_j)^2)) - offset */
    PS_MODEL_QUADRATIC, /* c0 + c1 u + c2 v + c3 u^2 + c4 u v + c5 v^2 */
};

/* The features of one window, in grey values of the micrograph. */
struct ps_feature {
    double mean;
    double deviation; /* population standard deviation */
};

struct ps_model {
    enum ps_model_form form;
    struct ps_feature centre; /* u = (mean - centre.mean) / scale.mean, v likewise */
    struct ps_feature scale;
    double gamma;
    double offset;
    size_t support_count;
    double *support; /* support_count rows u, v, weight; owned */
    double quadratic[6];
};

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
