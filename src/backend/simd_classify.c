/* An RBF model on millions of windows (apple-reference section 7): one vector lane a window. */
#include "backend/simd.h"
#include "backend/simd_lanes.h"

#include <string.h>

/* 2^x for x <= 0, relative error below 1e-7; 0 below 2^-126. Argument reduction to [-0.5, 0.5] by
 * rounding, then the Taylor series of exp(t ln 2). */
static inline lanes power_of_two(lanes x)
{
    const float round_bias = 12582912.0F; /* 1.5 * 2^23: its last bit counts ones */
    integer_lanes tiny = x < -126.0F;
    x = (lanes)((integer_lanes)x & ~tiny);
    lanes shifted = x + round_bias;
    lanes t = (x - (shifted - round_bias)) * 0.693147180559945309F;
    integer_lanes whole = (integer_lanes)shifted - (integer_lanes)broadcast(round_bias);
    lanes e =
        1.0F +
        t * (1.0F +
             t * (1.0F / 2 +
                  t * (1.0F / 6 +
                       t * (1.0F / 24 + t * (1.0F / 120 + t * (1.0F / 720 + t * (1.0F / 5040)))))));
    lanes scale = (lanes)((whole + 127) << 23);
    return (lanes)((integer_lanes)(e * scale) & ~tiny);
}

static lanes decide(const struct ps_rbf *model, lanes mean, lanes deviation)
{
    lanes u = (mean - model->centre[0]) * model->inverse_scale[0];
    lanes v = (deviation - model->centre[1]) * model->inverse_scale[1];
    float exponent = -model->gamma * 1.44269504088896341F; /* log2 e */
    lanes sum = broadcast(-model->offset);
    for (size_t j = 0; j < model->count; j++) {
        lanes du = u - model->u[j];
        lanes dv = v - model->v[j];
        sum += model->weight[j] * power_of_two(exponent * (du * du + dv * dv));
    }
    return sum;
}

void PS_SIMD_NAME(ps_classify_rbf)(const struct ps_rbf *model, const float *mean,
                                   const float *deviation, size_t count, float *ret_value)
{
    for (size_t i = 0; i < count; i += LANES) {
        size_t taken = count - i < LANES ? count - i : LANES;
        lanes m = broadcast(0.0F);
        lanes d = m;
        memcpy(&m, mean + i, taken * sizeof(float));
        memcpy(&d, deviation + i, taken * sizeof(float));
        lanes value = decide(model, m, d);
        memcpy(ret_value + i, &value, taken * sizeof(float));
    }
}
