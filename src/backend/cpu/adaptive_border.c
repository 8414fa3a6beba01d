/* The disk of a template, windows that the border cuts, and sums over what is left of them. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"

#include <stdlib.h>

int cpu_disk_prepare(struct cpu_adaptive *a, struct ps_error *error)
{
    size_t side = 2 * (size_t)a->reach + 1;
    PS_TRY(cpu_buffer_reserve(&a->disk, side * side * sizeof(float), "a template", error));
    PS_TRY(cpu_buffer_reserve(&a->area, (side + 1) * (side + 1) * sizeof(double), "a template",
                              error));
    float *disk = a->disk.data;
    a->disk_pixels = 0;
    for (int v = -a->reach; v <= a->reach; v++) {
        for (int u = -a->reach; u <= a->reach; u++) {
            bool inside = ps_radius(u, v) <= PS_TEMPLATE_REACH * a->diameter_field_px;
            *disk++ = inside;
            a->disk_pixels += inside;
        }
    }
    cpu_integrate(a, a->disk.data, false, a->area.data);
    return 0;
}

int cpu_next_cut(const struct cpu_adaptive *a, int x, int y)
{
    int margin = a->reach + a->field.frame_field_px;
    int right = a->field.width - margin;
    if (y < margin || y >= a->field.height - margin || x < margin || x >= right)
        return x;
    return right;
}

void cpu_integrate(const struct cpu_adaptive *a, const float *values, bool squared,
                   double *ret_sums)
{
    size_t side = 2 * (size_t)a->reach + 1;
    size_t stride = side + 1;
    for (size_t x = 0; x <= side; x++)
        ret_sums[x] = 0;
    for (size_t y = 0; y < side; y++) {
        double row = 0;
        ret_sums[(y + 1) * stride] = 0;
        for (size_t x = 0; x < side; x++) {
            double value = (double)values[y * side + x];
            row += squared ? value * value : value;
            ret_sums[(y + 1) * stride + x + 1] = ret_sums[y * stride + x + 1] + row;
        }
    }
}

double cpu_integral_over(const struct cpu_adaptive *a, const double *integral,
                         const struct ps_cut *cut)
{
    int stride = 2 * a->reach + 2;
    return integral[cut->bottom * stride + cut->right] - integral[cut->top * stride + cut->right] -
           integral[cut->bottom * stride + cut->left] + integral[cut->top * stride + cut->left];
}
