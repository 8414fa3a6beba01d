/* The disk of a template, windows that the border cuts, and sums over what is left of them. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

enum { ROWS_PER_PIECE = 16 };

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

/* ---- cut windows ------------------------------------------------------------------------------
 */

struct walk {
    const struct cpu_adaptive *a;
    cpu_cut_visit *visit;
    void *context;
};

/* First pixel at or after x of row y whose window is cut; the width if there is none. */
static int next_cut(const struct cpu_adaptive *a, int x, int y)
{
    int margin = a->reach + a->field.frame_field_px;
    int right = a->field.width - margin;
    if (y < margin || y >= a->field.height - margin || x < margin || x >= right)
        return x;
    return right;
}

static void visit_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct walk *walk = context;
    const struct cpu_adaptive *a = walk->a;
    const struct ps_field *field = &a->field;
    struct ps_cut cut;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < field->height; y++)
        for (int x = next_cut(a, 0, y); x < field->width; x = next_cut(a, x + 1, y))
            if (ps_window_cut(a->reach, field->frame_field_px, field->width, field->height, x, y,
                              &cut))
                walk->visit(walk->context, (size_t)y * (size_t)field->width + (size_t)x, &cut);
}

void cpu_visit_cut_windows(const struct cpu_slot *slot, cpu_cut_visit *visit, void *context)
{
    struct walk walk = {slot->adaptive, visit, context};
    size_t rows = (size_t)slot->adaptive->field.height;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, visit_rows, &walk);
}
