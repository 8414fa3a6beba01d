/* A trained model (picker/model.h), and its form for a backend: in floats, with the grey offset of
 * a slot removed. */
#ifndef PS_FORMULAS_DECISION_H
#define PS_FORMULAS_DECISION_H

#include "formulas/formulas.h"

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

/* The model in the form of its name. `ret_support` takes 3 x support_count floats: all u, all v,
 * all weights; the result points into it. */
struct ps_rbf ps_decision_rbf(const struct ps_model *model, double grey_offset, float *ret_support);
struct ps_quadratic ps_decision_quadratic(const struct ps_model *model, double grey_offset);

#endif
