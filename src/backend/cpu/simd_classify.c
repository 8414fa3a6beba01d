/* RBF model of millions of windows (apple-reference section 7). The compiler vectorises the loops
 * over a block of windows, one lane per window. */
#include "backend/cpu/simd.h"
#include "backend/cpu/simd_lanes.h"

#include <string.h>

/* Windows per block: enough vectors to hide the latency of each chain of multiply-adds. */
enum { BLOCK = 4 * LANES };

void PS_SIMD_NAME(ps_classify_rbf)(const struct ps_rbf *model, const float *mean,
                                   const float *deviation, size_t count, float *ret_value)
{
    float exponent = model->exponent;
    for (size_t i = 0; i < count; i += BLOCK) {
        size_t taken = count - i < BLOCK ? count - i : BLOCK;
        float u[BLOCK] = {0};
        float v[BLOCK] = {0};
        float sum[BLOCK];
        memcpy(u, mean + i, taken * sizeof *u);
        memcpy(v, deviation + i, taken * sizeof *v);
        for (size_t lane = 0; lane < BLOCK; lane++) {
            u[lane] = (u[lane] - model->centre[0]) * model->inverse_scale[0];
            v[lane] = (v[lane] - model->centre[1]) * model->inverse_scale[1];
            sum[lane] = -model->offset;
        }
        for (size_t j = 0; j < model->count; j++) {
            float uj = model->u[j];
            float vj = model->v[j];
            float weight = model->weight[j];
            for (size_t lane = 0; lane < BLOCK; lane++)
                sum[lane] += weight * ps_rbf_term(exponent, u[lane] - uj, v[lane] - vj);
        }
        memcpy(ret_value + i, sum, taken * sizeof *sum);
    }
}
