/* A trained model as a backend applies it: in floats, with the grey offset of a slot taken off. */
#ifndef PS_BACKEND_DECISION_H
#define PS_BACKEND_DECISION_H

#include "backend/formulas.h"
#include "picker/model.h"

/* Of a model of that form. `ret_support` takes 3 x support_count floats: all u, all v, all weights;
 * the result points into it. */
struct ps_rbf ps_decision_rbf(const struct ps_model *model, double grey_offset, float *ret_support);
struct ps_quadratic ps_decision_quadratic(const struct ps_model *model, double grey_offset);

#endif
