/* Box, Gaussian and binary square filters of a field. Separable: columns first, in strips, then
 * rows. The time of box and square does not depend on the width. */
#include "backend/cpu/adaptive.h"
#include "backend/cpu/simd_lanes.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP = 64, ROWS_PER_PIECE = 32, LINES = 4 /* of a thread */, MAX_GAUSS_RADIUS = 512 };

struct filter {
    int width;
    int height;
    int radius;
    const float *weights; /* of a Gaussian, at distances 0 to radius */
    const float *in;
    float *passing;
    float *out;
    float *lines;
    size_t line_size;
};

static size_t strips(int width)
{
    return ((size_t)width + STRIP - 1) / STRIP;
}

static size_t row_pieces(int height)
{
    return ((size_t)height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
}

/* Copies a row to one of the thread's lines with `radius` mirrored pixels on both sides; returns
 * pixel 0. */
static float *extended_row(const struct filter *f, int thread, int which, const float *row)
{
    float *line = f->lines + (size_t)(thread * LINES + which) * f->line_size + f->radius;
    memcpy(line, row, (size_t)f->width * sizeof *line);
    for (int i = 1; i <= f->radius; i++) {
        line[-i] = row[ps_mirror(-i, f->width)];
        line[f->width - 1 + i] = row[ps_mirror(f->width - 1 + i, f->width)];
    }
    return line;
}

static int filter_prepare(struct cpu_slot *slot, const float *in, int radius, float *out,
                          struct filter *ret_filter, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t line = ((size_t)a->field.width + 2 * (size_t)radius + ROW_BLOCK + 15) / 16 * 16;
    size_t lines = LINES * (size_t)slot->threads;
    PS_TRY(cpu_buffer_reserve(&a->work.passing, cpu_field_pixels(a) * sizeof(float), "a filter",
                              error));
    PS_TRY(cpu_buffer_reserve(&a->work.lines, line * lines * sizeof(float), "a filter", error));
    *ret_filter = (struct filter){
        .width = a->field.width,
        .height = a->field.height,
        .radius = radius,
        .in = in,
        .passing = a->work.passing.data,
        .out = out,
        .lines = a->work.lines.data,
        .line_size = line,
    };
    return 0;
}

/* ---- box --------------------------------------------------------------------------------------
 */

static void box_columns(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct filter *f = context;
    size_t width = (size_t)f->width;
    size_t first = piece * STRIP;
    size_t count = width - first < STRIP ? width - first : STRIP;
    double sums[STRIP] = {0};
    double scale = 1.0 / (2 * f->radius + 1);
    for (int y = -f->radius; y <= f->radius; y++) {
        const float *row = f->in + (size_t)ps_mirror(y, f->height) * width + first;
        for (size_t x = 0; x < count; x++)
            sums[x] += (double)row[x];
    }
    for (int y = 0; y < f->height; y++) {
        float *out = f->passing + (size_t)y * width + first;
        const float *next = f->in + (size_t)ps_mirror(y + f->radius + 1, f->height) * width + first;
        const float *last = f->in + (size_t)ps_mirror(y - f->radius, f->height) * width + first;
        for (size_t x = 0; x < count; x++) {
            out[x] = (float)(sums[x] * scale);
            sums[x] += (double)next[x] - (double)last[x];
        }
    }
}

/* Several rows at a time, because each sum waits for the one before. */
static void box_rows(void *context, int thread, size_t piece)
{
    const struct filter *f = context;
    double scale = 1.0 / (2 * f->radius + 1);
    int end = (int)(piece + 1) * ROWS_PER_PIECE < f->height ? (int)(piece + 1) * ROWS_PER_PIECE
                                                            : f->height;
    for (int y = (int)piece * ROWS_PER_PIECE; y < end; y += LINES) {
        const float *lines[LINES];
        float *out[LINES];
        double sums[LINES] = {0};
        for (int i = 0; i < LINES; i++) {
            int row = y + i < end ? y + i : end - 1; /* the last one again */
            lines[i] = extended_row(f, thread, i, f->passing + (size_t)row * (size_t)f->width);
            out[i] = f->out + (size_t)row * (size_t)f->width;
            for (int x = -f->radius; x < f->radius; x++)
                sums[i] += (double)lines[i][x];
        }
        for (int x = 0; x < f->width; x++) {
            for (int i = 0; i < LINES; i++) {
                sums[i] += (double)lines[i][x + f->radius];
                out[i][x] = (float)(sums[i] * scale);
                sums[i] -= (double)lines[i][x - f->radius];
            }
        }
    }
}

int cpu_box(struct cpu_slot *slot, const float *in, int side, float *ret_out,
            struct ps_error *error)
{
    struct filter f;
    PS_TRY(filter_prepare(slot, in, side / 2, ret_out, &f, error));
    ps_parallel(slot->threads, strips(f.width), box_columns, &f);
    ps_parallel(slot->threads, row_pieces(f.height), box_rows, &f);
    return 0;
}

/* ---- Gaussian ---------------------------------------------------------------------------------
 */

/* out[x] = weights[0] middle[x] + weights[k] (before[k][x] + after[k][x]) for a block of a row.
 * `middle` is followed by a block of floats that can be read. */
static inline void gauss_block(const struct filter *f, const float *middle, ptrdiff_t step,
                               const ptrdiff_t *before, const ptrdiff_t *after, size_t count,
                               float *ret_out)
{
    lanes sums[ROW_VECTORS];
    for (size_t i = 0; i < ROW_VECTORS; i++)
        sums[i] = f->weights[0] * load_lanes(middle + i * LANES);
    for (int k = 1; k <= f->radius; k++) {
        const float *first = before ? middle + before[k] : middle - k * step;
        const float *second = after ? middle + after[k] : middle + k * step;
        for (size_t i = 0; i < ROW_VECTORS; i++)
            sums[i] +=
                f->weights[k] * (load_lanes(first + i * LANES) + load_lanes(second + i * LANES));
    }
    store_block(sums, count, ret_out);
}

static void gauss_columns(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct filter *f = context;
    size_t width = (size_t)f->width;
    ptrdiff_t before[MAX_GAUSS_RADIUS + 1];
    ptrdiff_t after[MAX_GAUSS_RADIUS + 1];
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < f->height; y++) {
        for (int k = 1; k <= f->radius; k++) {
            before[k] = (ptrdiff_t)(ps_mirror(y - k, f->height) - y) * (ptrdiff_t)width;
            after[k] = (ptrdiff_t)(ps_mirror(y + k, f->height) - y) * (ptrdiff_t)width;
        }
        const float *row = f->in + (size_t)y * width;
        float *out = f->passing + (size_t)y * width;
        for (size_t x = 0; x < width; x += ROW_BLOCK)
            gauss_block(f, row + x, 0, before, after, width - x, out + x);
    }
}

static void gauss_rows(void *context, int thread, size_t piece)
{
    const struct filter *f = context;
    size_t width = (size_t)f->width;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < f->height; y++) {
        const float *line = extended_row(f, thread, 0, f->passing + (size_t)y * width);
        float *out = f->out + (size_t)y * width;
        for (size_t x = 0; x < width; x += ROW_BLOCK)
            gauss_block(f, line + x, 1, NULL, NULL, width - x, out + x);
    }
}

int cpu_gauss(struct cpu_slot *slot, const float *in, double sigma, float *ret_out,
              struct ps_error *error)
{
    float weights[MAX_GAUSS_RADIUS + 1];
    int radius = ps_gauss_radius(sigma);
    if (radius > MAX_GAUSS_RADIUS)
        return ps_fail(error, PS_E_BUG, "a Gaussian of %g px", sigma);
    ps_gauss_weights(sigma, weights);
    struct filter f;
    PS_TRY(filter_prepare(slot, in, radius, ret_out, &f, error));
    f.weights = weights;
    ps_parallel(slot->threads, row_pieces(f.height), gauss_columns, &f);
    ps_parallel(slot->threads, row_pieces(f.height), gauss_rows, &f);
    return 0;
}

/* ---- binary squares ---------------------------------------------------------------------------
 */

struct square {
    int width;
    int height;
    int radius;
    bool erode;
    const uint8_t *in;
    uint8_t *passing;
    uint8_t *out;
};

static void square_columns(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct square *s = context;
    size_t width = (size_t)s->width;
    size_t first = piece * STRIP;
    size_t count = width - first < STRIP ? width - first : STRIP;
    int sums[STRIP] = {0};
    int rows = 0;
    for (int y = -s->radius; y < s->height; y++) {
        if (y + s->radius < s->height) {
            const uint8_t *row = s->in + (size_t)(y + s->radius) * width + first;
            for (size_t x = 0; x < count; x++)
                sums[x] += row[x];
            rows++;
        }
        if (y < 0)
            continue;
        uint8_t *out = s->passing + (size_t)y * width + first;
        for (size_t x = 0; x < count; x++)
            out[x] = s->erode ? sums[x] == rows : sums[x] > 0;
        if (y >= s->radius) {
            const uint8_t *row = s->in + (size_t)(y - s->radius) * width + first;
            for (size_t x = 0; x < count; x++)
                sums[x] -= row[x];
            rows--;
        }
    }
}

static void square_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct square *s = context;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < s->height; y++) {
        const uint8_t *row = s->passing + (size_t)y * (size_t)s->width;
        uint8_t *out = s->out + (size_t)y * (size_t)s->width;
        int sum = 0;
        int columns = 0;
        for (int x = -s->radius; x < s->width; x++) {
            if (x + s->radius < s->width) {
                sum += row[x + s->radius];
                columns++;
            }
            if (x < 0)
                continue;
            out[x] = s->erode ? sum == columns : sum > 0;
            if (x >= s->radius) {
                sum -= row[x - s->radius];
                columns--;
            }
        }
    }
}

int cpu_square(struct cpu_slot *slot, const uint8_t *in, int side, bool erode, uint8_t *ret_out,
               struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    PS_TRY(cpu_buffer_reserve(&a->work.passing, cpu_field_pixels(a), "a filter", error));
    struct square s = {
        .width = a->field.width,
        .height = a->field.height,
        .radius = side / 2,
        .erode = erode,
        .in = in,
        .passing = a->work.passing.data,
        .out = ret_out,
    };
    ps_parallel(slot->threads, strips(s.width), square_columns, &s);
    ps_parallel(slot->threads, row_pieces(s.height), square_rows, &s);
    return 0;
}
