#include "image/margins.h"

#include "image/reader.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_SAMPLES = 1024, REFERENCES = 33, MIN_LINES = 3 };
static const double MIN_DIFFERENCE = 0.1; /* relative to lines in the middle */

/* Rows or columns of an image, sampled at regular steps. */
struct lines {
    const struct ps_image *image;
    bool rows;
    int count;  /* of lines */
    int length; /* px of a line */
    int step;   /* px between samples */
};

static struct lines lines_of(const struct ps_image *image, bool rows)
{
    struct lines lines = {
        .image = image,
        .rows = rows,
        .count = rows ? image->height : image->width,
        .length = rows ? image->width : image->height,
    };
    lines.step = (lines.length + MAX_SAMPLES - 1) / MAX_SAMPLES;
    return lines;
}

static double pixel(const struct lines *lines, int line, int at)
{
    const struct ps_image *image = lines->image;
    size_t x = (size_t)(lines->rows ? at : line);
    size_t y = (size_t)(lines->rows ? line : at);
    size_t offset = (y * (size_t)image->width + x) * ps_pixel_bytes(image->type);
    float value = 0;
    ps_pixels_to_float((const char *)image->pixels + offset, image->type, 1, &value);
    return (double)value;
}

/* Mean absolute difference between a line and the next one. */
static double difference(const struct lines *lines, int line)
{
    double sum = 0;
    int samples = 0;
    for (int at = 0; at < lines->length; at += lines->step) {
        double step = fabs(pixel(lines, line + 1, at) - pixel(lines, line, at));
        sum += isfinite(step) ? step : 0;
        samples++;
    }
    return sum / samples;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The median difference of lines spread over the middle half. */
static double usual_difference(const struct lines *lines)
{
    double differences[REFERENCES];
    for (int i = 0; i < REFERENCES; i++)
        differences[i] = difference(lines, lines->count / 4 + i * (lines->count / 2) / REFERENCES);
    qsort(differences, REFERENCES, sizeof *differences, ascending);
    return differences[REFERENCES / 2];
}

static void find(const struct lines *lines, int *ret_first, int *ret_last)
{
    *ret_first = *ret_last = 0;
    if (lines->count < 4 * MIN_LINES)
        return;
    double limit = MIN_DIFFERENCE * usual_difference(lines);
    int most = lines->count / 2;
    int first = 0;
    int last = 0;
    while (first < most && difference(lines, first) < limit)
        first++;
    while (last < most && difference(lines, lines->count - 2 - last) < limit)
        last++;
    *ret_first = first >= MIN_LINES && first < most ? first : 0;
    *ret_last = last >= MIN_LINES && last < most ? last : 0;
}

void ps_margins_find(const struct ps_image *image, struct ps_margins *ret_margins)
{
    struct lines rows = lines_of(image, true);
    struct lines columns = lines_of(image, false);
    find(&rows, &ret_margins->top, &ret_margins->bottom);
    find(&columns, &ret_margins->left, &ret_margins->right);
}
