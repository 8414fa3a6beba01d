/* Means over the disk of a template, from sums along the rows. */
#include "backend/cpu/adaptive.h"
#include "backend/cpu/simd_lanes.h"

#include "base/error.h"
#include "base/parallel.h"

#include <string.h>

enum { ROWS_PER_PIECE = 16 };

struct disk {
    const float *field;
    float *sums; /* sums[y][x] over the pixels of row y before x - reach */
    float *out;
    const int *half; /* of the disk's chord `v` rows from the middle, px */
    int width;
    int height;
    int rows; /* of the disk, on each side of the middle */
    int reach;
    size_t stride;
    float share;
    bool squared;
};

static void sum_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct disk *d = context;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < d->height; y++) {
        const float *in = d->field + (size_t)y * (size_t)d->width;
        float *sums = d->sums + (size_t)y * d->stride;
        double sum = 0;
        memset(sums, 0, (size_t)d->reach * sizeof *sums);
        sums += d->reach;
        for (int x = 0; x < d->width; x++) {
            sums[x] = (float)sum;
            double value = (double)in[x];
            sum += d->squared ? value * value : value;
        }
        for (int x = d->width; x <= d->width + d->reach; x++)
            sums[x] = (float)sum;
    }
}

static void disk_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct disk *d = context;
    size_t width = (size_t)d->width;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < d->height; y++) {
        int top = y > d->rows ? y - d->rows : 0;
        int bottom = y + d->rows < d->height ? y + d->rows : d->height - 1;
        for (size_t x = 0; x < width; x += ROW_BLOCK) {
            lanes totals[ROW_VECTORS] = {0};
            for (int row = top; row <= bottom; row++) {
                ptrdiff_t half = d->half[row < y ? y - row : row - y];
                const float *sums = d->sums + (size_t)row * d->stride + (size_t)d->reach + x;
                const float *left = sums - half;
                const float *right = sums + half + 1;
                for (int i = 0; i < ROW_VECTORS; i++)
                    totals[i] += load_lanes(right + i * LANES) - load_lanes(left + i * LANES);
            }
            for (size_t i = 0; i < ROW_VECTORS; i++)
                totals[i] *= d->share;
            store_block(totals, width - x, d->out + (size_t)y * width + x);
        }
    }
}

int cpu_disk_means(struct cpu_slot *slot, const float *field, float *ret_mean,
                   float *ret_mean_square, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    int half[PS_MAX_RINGS + 1];
    const float *disk = a->disk.data;
    size_t side = 2 * (size_t)a->reach + 1;
    int rows = 0;
    if (a->reach > PS_MAX_RINGS)
        return ps_fail(error, PS_E_BUG, "a template of %d rings", a->reach);
    for (int v = 0; v <= a->reach; v++) {
        const float *middle = disk + (size_t)(a->reach + v) * side + (size_t)a->reach;
        half[v] = -1;
        while (half[v] < a->reach && middle[half[v] + 1] > 0)
            half[v]++;
        rows = half[v] < 0 ? rows : v;
    }
    struct disk d = {
        .field = field,
        .half = half,
        .width = a->field.width,
        .height = a->field.height,
        .rows = rows,
        .reach = a->reach,
        .stride = ((size_t)a->field.width + 2 * (size_t)a->reach + 1 + 15) / 16 * 16,
        .share = (float)(1.0 / a->disk_pixels),
    };
    PS_TRY(cpu_buffer_reserve(&a->work.passing, d.stride * (size_t)d.height * sizeof(float), "sums",
                              error));
    d.sums = a->work.passing.data;
    float *const results[] = {ret_mean, ret_mean_square};
    for (int i = 0; i < 2; i++) {
        d.squared = i == 1;
        d.out = results[i];
        size_t pieces = ((size_t)d.height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
        ps_parallel(slot->threads, pieces, sum_rows, &d);
        ps_parallel(slot->threads, pieces, disk_rows, &d);
    }
    return 0;
}
