/* Windows that the border cuts. */
#include "backend/cpu_adaptive.h"

#include <stdlib.h>

/* First and last, exclusive, of a template's pixels that lie in [frame, size - frame). */
static void cut_axis(const struct cpu_adaptive *a, int at, int size, int *ret_first, int *ret_last)
{
    int side = 2 * a->reach + 1;
    int before = a->reach + a->field.frame - at;
    int after = a->reach + size - a->field.frame - at;
    *ret_first = before > 0 ? before : 0;
    *ret_last = after < side ? after : side;
}

bool cpu_window_cut(const struct cpu_adaptive *a, int x, int y, struct cpu_cut *ret_cut)
{
    int side = 2 * a->reach + 1;
    cut_axis(a, x, a->field.width, &ret_cut->left, &ret_cut->right);
    cut_axis(a, y, a->field.height, &ret_cut->top, &ret_cut->bottom);
    return ret_cut->top > 0 || ret_cut->left > 0 || ret_cut->bottom < side || ret_cut->right < side;
}

int cpu_next_cut(const struct cpu_adaptive *a, int x, int y)
{
    int margin = a->reach + a->field.frame;
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
                         const struct cpu_cut *cut)
{
    int stride = 2 * a->reach + 2;
    return integral[cut->bottom * stride + cut->right] - integral[cut->top * stride + cut->right] -
           integral[cut->bottom * stride + cut->left] + integral[cut->top * stride + cut->left];
}
