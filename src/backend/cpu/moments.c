/* apple-reference sections 3 and 4: moments of every window, and the choice of references. */
#include "backend/cpu/slot.h"
#include "backend/windows.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>

/* ---- moments ----------------------------------------------------------------------------------
 */

/* Rows after which the running sums restart. Fixed, so that rounding does not depend on threads. */
enum { ROWS_PER_PIECE = 64 };

static double *column_sums(const struct cpu_slot *slot, int thread)
{
    return (double *)slot->scratch.data + (size_t)thread * 2 * (size_t)slot->base.side;
}

static void add_row(const float *row, int side, double sign, double *sums, double *squares)
{
    for (int x = 0; x < side; x++) {
        double value = (double)row[x];
        sums[x] += sign * value;
        squares[x] += sign * value * value;
    }
}

static void window_rows(void *context, int thread, size_t piece)
{
    const struct cpu_slot *slot = context;
    int side = slot->base.side;
    int q = slot->base.query;
    int windows = slot->base.windows;
    const float *image = slot->preprocessed.data;
    double *sums = column_sums(slot, thread);
    double *squares = sums + side;
    double area = (double)q * q;
    int first = (int)piece * ROWS_PER_PIECE;
    int last = first + ROWS_PER_PIECE < windows ? first + ROWS_PER_PIECE : windows;
    for (int x = 0; x < 2 * side; x++)
        sums[x] = 0;
    for (int y = first; y < first + q - 1; y++)
        add_row(image + (size_t)y * (size_t)side, side, 1.0, sums, squares);
    for (int y = first; y < last; y++) {
        add_row(image + (size_t)(y + q - 1) * (size_t)side, side, 1.0, sums, squares);
        float *mean = (float *)slot->mean.data + (size_t)y * (size_t)windows;
        float *deviation = (float *)slot->deviation.data + (size_t)y * (size_t)windows;
        double sum = 0;
        double square = 0;
        for (int x = 0; x < q - 1; x++) {
            sum += sums[x];
            square += squares[x];
        }
        for (int x = 0; x < windows; x++) {
            sum += sums[x + q - 1];
            square += squares[x + q - 1];
            ps_window_moments(sum, square, area, &mean[x], &deviation[x]);
            sum -= sums[x];
            square -= squares[x];
        }
        add_row(image + (size_t)y * (size_t)side, side, -1.0, sums, squares);
    }
}

int cpu_moments(struct ps_slot *base, int query, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    PS_TRY(ps_windows_check_query(base, query, error));
    int windows = base->side - query + 1;
    size_t bytes = (size_t)windows * (size_t)windows * sizeof(float);
    size_t scratch = (size_t)slot->threads * 2 * (size_t)base->side * sizeof(double);
    PS_TRY(cpu_buffer_reserve(&slot->mean, bytes, "window means", error));
    PS_TRY(cpu_buffer_reserve(&slot->deviation, bytes, "window deviations", error));
    PS_TRY(cpu_buffer_reserve(&slot->scratch, scratch, "column sums", error));
    ps_windows_set_query(base, query);
    ps_parallel(slot->threads, ((size_t)windows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, window_rows,
                slot);
    return 0;
}

/* ---- references -------------------------------------------------------------------------------
 */

/* Finds the first windows in scan order with the extreme values, among those whose first pixel lies
 * in rows [top, bottom) and columns [left, right). */
static void extremes(const float *values, size_t stride, int top, int bottom, int left, int right,
                     int ret_largest[2], int ret_smallest[2])
{
    float largest = -INFINITY;
    float smallest = INFINITY;
    for (int y = top; y < bottom; y++) {
        for (int x = left; x < right; x++) {
            float value = values[(size_t)y * stride + (size_t)x];
            if (value > largest) {
                largest = value;
                ret_largest[0] = y;
                ret_largest[1] = x;
            }
            if (value < smallest) {
                smallest = value;
                ret_smallest[0] = y;
                ret_smallest[1] = x;
            }
        }
    }
}

struct container_job {
    const struct cpu_slot *slot;
    int container;
    int per_side;
};

static void choose_in_container(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct container_job *job = context;
    const struct cpu_slot *slot = job->slot;
    int side = slot->base.side;
    int q = slot->base.query;
    int top = (int)piece / job->per_side * job->container;
    int left = (int)piece % job->per_side * job->container;
    int bottom = (top + job->container < side - 1 ? top + job->container : side - 1) - q + 1;
    int right = (left + job->container < side - 1 ? left + job->container : side - 1) - q + 1;
    int(*origins)[2] = (int(*)[2])slot->reference_origins.data + piece * 4;
    size_t stride = (size_t)slot->base.windows;
    extremes(slot->mean.data, stride, top, bottom, left, right, origins[0], origins[1]);
    extremes(slot->deviation.data, stride, top, bottom, left, right, origins[2], origins[3]);
}

int cpu_references_choose(struct ps_slot *base, int container, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    int per_side = 0;
    PS_TRY(ps_windows_check_container(base, container, &per_side, error));
    size_t containers = (size_t)per_side * (size_t)per_side;
    PS_TRY(cpu_buffer_reserve(&slot->reference_origins, containers * 8 * sizeof(int), "references",
                              error));
    struct container_job job = {slot, container, per_side};
    ps_parallel(slot->threads, containers, choose_in_container, &job);
    base->references = (int)containers * 4;
    return 0;
}
