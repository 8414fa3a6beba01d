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
    cpu_cut_weigh *weigh;
    cpu_cut_apply *apply;
    void *context;
    float *factors; /* two lines per thread */
};

/* Factors of the windows along a row. Those that nothing but the row's own cut tells apart are the
 * same. */
static void weigh_row(const struct walk *walk, struct ps_cut cut, float *first, float *second)
{
    const struct ps_field *field = &walk->a->field;
    int left = -1;
    int right = -1;
    for (int x = 0; x < field->width; x++) {
        ps_cut_axis(walk->a->reach, field->frame_field_px, x, field->width, &cut.left, &cut.right);
        if (cut.left != left || cut.right != right)
            walk->weigh(walk->context, &cut, first + x, second + x);
        else {
            first[x] = first[x - 1];
            second[x] = second[x - 1];
        }
        left = cut.left;
        right = cut.right;
    }
}

/* Rows in the middle of the field have the same factors, and only their ends are cut. */
static void visit_rows(void *context, int thread, size_t piece)
{
    const struct walk *walk = context;
    const struct ps_field *field = &walk->a->field;
    size_t width = (size_t)field->width;
    float *first = walk->factors + 2 * (size_t)thread * width;
    float *second = first + width;
    size_t margin = (size_t)(walk->a->reach + field->frame_field_px);
    struct ps_cut cut = {-1, -1, 0, 0};
    int begin = (int)piece * ROWS_PER_PIECE;
    for (int y = begin; y < begin + ROWS_PER_PIECE && y < field->height; y++) {
        struct ps_cut before = cut;
        ps_cut_axis(walk->a->reach, field->frame_field_px, y, field->height, &cut.top, &cut.bottom);
        if (cut.top != before.top || cut.bottom != before.bottom)
            weigh_row(walk, cut, first, second);
        size_t row = (size_t)y * width;
        bool whole = cut.top > 0 || cut.bottom <= 2 * walk->a->reach || 2 * margin >= width;
        walk->apply(walk->context, row, whole ? width : margin, first, second);
        if (!whole)
            walk->apply(walk->context, row + width - margin, margin, first + width - margin,
                        second + width - margin);
    }
}

int cpu_visit_cut_windows(struct cpu_slot *slot, cpu_cut_weigh *weigh, cpu_cut_apply *apply,
                          void *context, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t bytes = 2 * (size_t)a->field.width * sizeof(float) * (size_t)slot->threads;
    PS_TRY(cpu_buffer_reserve(&a->work.lines, bytes, "the border", error));
    struct walk walk = {a, weigh, apply, context, a->work.lines.data};
    size_t rows = (size_t)a->field.height;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, visit_rows, &walk);
    return 0;
}
