/* Windows that the border cuts, and sums over what is left of them. */
#include "backend/cpu/adaptive.h"

#include <stdlib.h>

int cpu_next_cut(const struct cpu_adaptive *a, int x, int y)
{
    int margin = a->reach + a->field.frame_field_px;
    int right = a->field.width - margin;
    if (y < margin || y >= a->field.height - margin || x < margin || x >= right)
        return x;
    return right;
}

double *cpu_integral_new(const struct cpu_adaptive *a, const float *values, bool squared)
{
    size_t side = 2 * (size_t)a->reach + 1;
    double *sums = calloc((side + 1) * (side + 1), sizeof *sums);
    for (size_t y = 0; sums && y < side; y++) {
        double row = 0;
        for (size_t x = 0; x < side; x++) {
            double value = (double)values[y * side + x];
            row += squared ? value * value : value;
            sums[(y + 1) * (side + 1) + x + 1] = sums[y * (side + 1) + x + 1] + row;
        }
    }
    return sums;
}

double cpu_integral_over(const struct cpu_adaptive *a, const double *integral,
                         const struct ps_cut *cut)
{
    int stride = 2 * a->reach + 2;
    return integral[cut->bottom * stride + cut->right] - integral[cut->top * stride + cut->right] -
           integral[cut->bottom * stride + cut->left] + integral[cut->top * stride + cut->left];
}
