#include "formulas/decision.h"

struct ps_rbf ps_decision_rbf(const struct ps_model *model, double grey_offset, float *ret_support)
{
    size_t count = model->support_count;
    for (size_t j = 0; j < count; j++)
        for (size_t i = 0; i < 3; i++)
            ret_support[i * count + j] = (float)model->support[3 * j + i];
    return (struct ps_rbf){
        .centre = {(float)(model->centre.mean - grey_offset), (float)model->centre.deviation},
        .inverse_scale = {(float)(1 / model->scale.mean), (float)(1 / model->scale.deviation)},
        .exponent = -(float)model->gamma * 1.44269504088896341F, /* log2 e */
        .offset = (float)model->offset,
        .count = count,
        .u = ret_support,
        .v = ret_support + count,
        .weight = ret_support + 2 * count,
    };
}

struct ps_quadratic ps_decision_quadratic(const struct ps_model *model, double grey_offset)
{
    struct ps_quadratic quadratic = {
        .centre = {(float)(model->centre.mean - grey_offset), (float)model->centre.deviation},
        .inverse_scale = {(float)(1 / model->scale.mean), (float)(1 / model->scale.deviation)},
    };
    for (size_t i = 0; i < 6; i++)
        quadratic.coefficient[i] = (float)model->quadratic[i];
    return quadratic;
}
