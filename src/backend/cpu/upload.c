/* Converts the file's pixels to float32 and repairs defects that would spoil later stages. */
#include "backend/cpu/slot.h"
#include "formulas/dead_lines.h"
#include "formulas/formulas.h"

#include "base/error.h"
#include "base/parallel.h"
#include "image/micrograph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_PIECE = 64, COLUMNS_PER_PIECE = 256 };

struct piece_statistics {
    double sum;
    uint64_t finite;
    float minimum;
    float maximum;
};

struct upload {
    const struct ps_image *image;
    float *pixels;
    size_t width;
    size_t height;
    struct piece_statistics *statistics; /* per piece: sums must not depend on threads */
    uint8_t *constant;                   /* per column */
};

static void convert_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    struct upload *u = context;
    size_t first = piece * ROWS_PER_PIECE;
    size_t last = first + ROWS_PER_PIECE < u->height ? first + ROWS_PER_PIECE : u->height;
    size_t offset = first * u->width;
    size_t count = (last - first) * u->width;
    float *pixels = u->pixels + offset;
    ps_pixels_to_float((const char *)u->image->pixels + offset * ps_pixel_bytes(u->image->type),
                       u->image->type, count, pixels);
    struct piece_statistics s = {.minimum = INFINITY, .maximum = -INFINITY};
    for (size_t i = 0; i < count; i++) {
        float value = pixels[i];
        bool finite = ps_is_finite(value);
        s.finite += finite;
        s.sum += finite ? (double)value : 0.0;
        s.minimum = finite && value < s.minimum ? value : s.minimum;
        s.maximum = finite && value > s.maximum ? value : s.maximum;
    }
    u->statistics[piece] = s;
}

/* Stops at the first row after which no column is constant; usually the second. */
static void find_constant_columns(void *context, int thread, size_t piece)
{
    (void)thread;
    struct upload *u = context;
    size_t first = piece * COLUMNS_PER_PIECE;
    size_t last = first + COLUMNS_PER_PIECE < u->width ? first + COLUMNS_PER_PIECE : u->width;
    memset(u->constant + first, 1, last - first);
    size_t left = last - first;
    for (size_t y = 1; y < u->height && left > 0; y++) {
        const float *row = u->pixels + y * u->width;
        left = 0;
        for (size_t x = first; x < last; x++) {
            u->constant[x] &= row[x] == u->pixels[x];
            left += u->constant[x];
        }
    }
}

static bool row_is_constant(const float *row, size_t width)
{
    for (size_t x = 1; x < width; x++)
        if (row[x] != row[0])
            return false;
    return true;
}

/* Replaces `lines` dead lines of `count` pixels. Pixels of a line are `stride` apart, lines
 * `step`. */
static void interpolate_lines(float *pixels, const struct ps_dead_line *dead, size_t lines,
                              size_t step, size_t count, size_t stride)
{
    for (size_t i = 0; i < lines; i++) {
        const float *before = pixels + (size_t)dead[i].before * step;
        const float *after = pixels + (size_t)dead[i].after * step;
        float *line = pixels + (size_t)dead[i].line * step;
        for (size_t j = 0; j < count * stride; j += stride)
            line[j] = ps_between(before[j], after[j], dead[i].weight);
    }
}

static void replace_non_finite(float *pixels, size_t count, float value)
{
    for (size_t i = 0; i < count; i++)
        if (!ps_is_finite(pixels[i]))
            pixels[i] = value;
}

int cpu_upload(struct ps_slot *base, const struct ps_image *image,
               struct ps_pixel_report *ret_report, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    size_t width = (size_t)image->width;
    size_t height = (size_t)image->height;
    int status = cpu_buffer_reserve(&slot->micrograph, width * height * sizeof(float),
                                    "the micrograph", error);
    if (status)
        return status;
    size_t pieces = (height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
    size_t longer = width > height ? width : height;
    size_t bytes = pieces * sizeof(struct piece_statistics) +
                   longer * (sizeof(struct ps_dead_line) + sizeof(uint8_t));
    struct piece_statistics *statistics = calloc(1, bytes);
    if (!statistics)
        return ps_fail_memory(error, bytes, "pixel statistics");
    struct ps_dead_line *dead = (struct ps_dead_line *)(statistics + pieces);
    uint8_t *constant = (uint8_t *)(dead + longer);
    struct upload u = {image, slot->micrograph.data, width, height, statistics, constant};
    ps_parallel(slot->threads, pieces, convert_rows, &u);

    struct ps_pixel_report report = {.minimum = INFINITY, .maximum = -INFINITY};
    uint64_t finite = 0;
    for (size_t i = 0; i < pieces; i++) {
        finite += statistics[i].finite;
        report.mean += statistics[i].sum;
        report.minimum = fmin(report.minimum, (double)statistics[i].minimum);
        report.maximum = fmax(report.maximum, (double)statistics[i].maximum);
    }
    report.non_finite = width * height - finite;
    report.mean = finite ? report.mean / (double)finite : 0.0;
    if (report.non_finite)
        replace_non_finite(u.pixels, width * height, (float)report.mean);
    report.first_dead_column = report.first_dead_row = -1;
    if (report.maximum > report.minimum) {
        ps_parallel(slot->threads, (width + COLUMNS_PER_PIECE - 1) / COLUMNS_PER_PIECE,
                    find_constant_columns, &u);
        size_t repairable = 0;
        report.dead_columns = (int)ps_dead_lines(constant, width, dead, &repairable);
        report.first_dead_column = report.dead_columns ? dead[0].line : -1;
        interpolate_lines(u.pixels, dead, repairable, 1, height, width);
        for (size_t y = 0; y < height; y++)
            constant[y] = row_is_constant(u.pixels + y * width, width);
        report.dead_rows = (int)ps_dead_lines(constant, height, dead, &repairable);
        report.first_dead_row = report.dead_rows ? dead[0].line : -1;
        interpolate_lines(u.pixels, dead, repairable, width, width, 1);
    }
    free(statistics);
    slot->width = image->width;
    slot->height = image->height;
    *ret_report = report;
    return 0;
}
