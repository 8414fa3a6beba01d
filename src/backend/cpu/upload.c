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

struct upload {
    const struct cpu_slot *slot;
    const struct ps_image *image;
    float *copy; /* NULL: the image has floats, which are used as they are */
    const float *pixels;
    size_t width;
    size_t height;
    struct ps_pixel_statistics *statistics; /* per piece: sums must not depend on threads */
    uint8_t *constant;                      /* per column */
};

static void convert_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    struct upload *u = context;
    size_t first = piece * ROWS_PER_PIECE;
    size_t last = first + ROWS_PER_PIECE < u->height ? first + ROWS_PER_PIECE : u->height;
    size_t offset = first * u->width;
    size_t count = (last - first) * u->width;
    u->slot->simd->take_pixels(
        (const char *)u->image->pixels + offset * ps_pixel_bytes(u->image->type), u->image->type,
        count, u->copy ? u->copy + offset : NULL, &u->statistics[piece]);
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

static int reserve_copy(struct cpu_slot *slot, size_t pixels, struct ps_error *error)
{
    return cpu_buffer_reserve(&slot->micrograph, pixels * sizeof(float), "the micrograph", error);
}

/* Before the first repair: those of the image are not ours to change. */
static int copy_pixels(struct cpu_slot *slot, struct upload *u, struct ps_error *error)
{
    if (u->copy)
        return 0;
    size_t pixels = u->width * u->height;
    PS_TRY(reserve_copy(slot, pixels, error));
    u->copy = slot->micrograph.data;
    memcpy(u->copy, u->pixels, pixels * sizeof *u->copy);
    u->pixels = u->copy;
    return 0;
}

static struct ps_pixel_report add_statistics(const struct ps_pixel_statistics *statistics,
                                             size_t pieces, size_t pixels)
{
    struct ps_pixel_report report = {
        .minimum = INFINITY, .maximum = -INFINITY, .first_dead_column = -1, .first_dead_row = -1};
    uint64_t finite = 0;
    for (size_t i = 0; i < pieces; i++) {
        finite += statistics[i].finite;
        report.mean += statistics[i].sum;
        report.minimum = fmin(report.minimum, (double)statistics[i].minimum);
        report.maximum = fmax(report.maximum, (double)statistics[i].maximum);
    }
    report.non_finite = pixels - finite;
    report.mean = finite ? report.mean / (double)finite : 0.0;
    return report;
}

static int repair_columns(struct cpu_slot *slot, struct upload *u, struct ps_dead_line *dead,
                          struct ps_pixel_report *report, struct ps_error *error)
{
    size_t repairable = 0;
    ps_parallel(slot->threads, (u->width + COLUMNS_PER_PIECE - 1) / COLUMNS_PER_PIECE,
                find_constant_columns, u);
    report->dead_columns = (int)ps_dead_lines(u->constant, u->width, dead, &repairable);
    report->first_dead_column = report->dead_columns ? dead[0].line : -1;
    if (repairable == 0)
        return 0;
    PS_TRY(copy_pixels(slot, u, error));
    interpolate_lines(u->copy, dead, repairable, 1, u->height, u->width);
    return 0;
}

static int repair_rows(struct cpu_slot *slot, struct upload *u, struct ps_dead_line *dead,
                       struct ps_pixel_report *report, struct ps_error *error)
{
    size_t repairable = 0;
    for (size_t y = 0; y < u->height; y++)
        u->constant[y] = row_is_constant(u->pixels + y * u->width, u->width);
    report->dead_rows = (int)ps_dead_lines(u->constant, u->height, dead, &repairable);
    report->first_dead_row = report->dead_rows ? dead[0].line : -1;
    if (repairable == 0)
        return 0;
    PS_TRY(copy_pixels(slot, u, error));
    interpolate_lines(u->copy, dead, repairable, u->width, u->width, 1);
    return 0;
}

static int take_micrograph(struct cpu_slot *slot, struct upload *u, struct ps_dead_line *dead,
                           struct ps_pixel_report *ret_report, struct ps_error *error)
{
    size_t pieces = (u->height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
    size_t pixels = u->width * u->height;
    ps_parallel(slot->threads, pieces, convert_rows, u);
    struct ps_pixel_report report = add_statistics(u->statistics, pieces, pixels);
    if (report.non_finite) {
        PS_TRY(copy_pixels(slot, u, error));
        replace_non_finite(u->copy, pixels, (float)report.mean);
    }
    if (report.maximum > report.minimum) {
        PS_TRY(repair_columns(slot, u, dead, &report, error));
        PS_TRY(repair_rows(slot, u, dead, &report, error));
    }
    *ret_report = report;
    return 0;
}

int cpu_upload(struct ps_slot *base, const struct ps_image *image,
               struct ps_pixel_report *ret_report, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    size_t width = (size_t)image->width;
    size_t height = (size_t)image->height;
    bool as_is = image->type == PS_PIXEL_F32;
    if (!as_is)
        PS_TRY(reserve_copy(slot, width * height, error));
    size_t pieces = (height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
    size_t longer = width > height ? width : height;
    size_t bytes = pieces * sizeof(struct ps_pixel_statistics) +
                   longer * (sizeof(struct ps_dead_line) + sizeof(uint8_t));
    struct ps_pixel_statistics *statistics = calloc(1, bytes);
    if (!statistics)
        return ps_fail_memory(error, bytes, "pixel statistics");
    struct ps_dead_line *dead = (struct ps_dead_line *)(statistics + pieces);
    float *copy = as_is ? NULL : slot->micrograph.data;
    struct upload u = {
        .slot = slot,
        .image = image,
        .copy = copy,
        .pixels = as_is ? image->pixels : copy,
        .width = width,
        .height = height,
        .statistics = statistics,
        .constant = (uint8_t *)(dead + longer),
    };
    int status = take_micrograph(slot, &u, dead, ret_report, error);
    free(statistics);
    slot->pixels = u.pixels;
    slot->width = image->width;
    slot->height = image->height;
    return status;
}
