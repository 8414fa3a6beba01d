#include "picture/plane.h"

#include "base/error.h"
#include "image/micrograph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int at_least(int value, int low)
{
    return value < low ? low : value;
}

static int at_most(int value, int high)
{
    return value > high ? high : value;
}

/* One row of bins: sums and counts over up to `bin` rows of the image from row `y`. */
static void bin_row(const struct ps_image *image, int bin, int y, float *row, double *sums,
                    int *counts, int columns)
{
    size_t width = (size_t)image->width;
    size_t stride = width * ps_pixel_bytes(image->type);
    memset(sums, 0, (size_t)columns * sizeof *sums);
    memset(counts, 0, (size_t)columns * sizeof *counts);
    int end = at_most(image->height - y, bin) + y;
    for (; y < end; y++) {
        const char *pixels = (const char *)image->pixels + (size_t)y * stride;
        ps_pixels_to_float(pixels, image->type, width, row);
        for (int x = 0; x < image->width; x++) {
            if (isfinite(row[x])) {
                sums[x / bin] += (double)row[x];
                counts[x / bin]++;
            }
        }
    }
}

int ps_plane_bin_size(int width, int height, int side)
{
    return (at_least(width, height) - 1) / side + 1;
}

int ps_plane_bin(const struct ps_image *image, int side, struct ps_plane *ret_plane,
                 struct ps_error *error)
{
    struct ps_plane plane = {.bin = ps_plane_bin_size(image->width, image->height, side)};
    plane.width = (image->width - 1) / plane.bin + 1;
    plane.height = (image->height - 1) / plane.bin + 1;
    size_t columns = (size_t)plane.width;
    size_t bytes = columns * (size_t)plane.height * sizeof *plane.pixels;
    plane.pixels = malloc(bytes);
    float *row = malloc((size_t)image->width * sizeof *row);
    double *sums = malloc(columns * sizeof *sums);
    int *counts = malloc(columns * sizeof *counts);
    int code = 0;
    if (!plane.pixels || !row || !sums || !counts)
        code = ps_fail_memory(error, bytes, "a picture");
    for (int y = 0; code == 0 && y < plane.height; y++) {
        bin_row(image, plane.bin, y * plane.bin, row, sums, counts, plane.width);
        float *out = plane.pixels + (size_t)y * columns;
        for (int x = 0; x < plane.width; x++)
            out[x] = counts[x] ? (float)(sums[x] / counts[x]) : NAN;
    }
    free(row);
    free(sums);
    free(counts);
    if (code != 0) {
        free(plane.pixels);
        return code;
    }
    *ret_plane = plane;
    return 0;
}

void ps_plane_done(struct ps_plane *plane)
{
    free(plane->pixels);
    *plane = (struct ps_plane){0};
}

static size_t count_of(const struct ps_plane *plane)
{
    return (size_t)plane->width * (size_t)plane->height;
}

static int compare_floats(const void *a, const void *b)
{
    float left = *(const float *)a;
    float right = *(const float *)b;
    return (left > right) - (left < right);
}

/* Median, and half the range of the middle 68 %, of a few thousand pixels spread over the plane:
 * both are robust to outliers. The range is 0 if most pixels are equal. */
static void estimate(const struct ps_plane *plane, double *ret_median, double *ret_spread)
{
    enum { SAMPLES = 4001 };
    float samples[SAMPLES];
    size_t count = 0;
    size_t step = count_of(plane) / SAMPLES + 1;
    for (size_t i = 0; i < count_of(plane) && count < SAMPLES; i += step) {
        if (isfinite(plane->pixels[i]))
            samples[count++] = plane->pixels[i];
    }
    *ret_median = *ret_spread = 0;
    if (!count)
        return;
    qsort(samples, count, sizeof *samples, compare_floats);
    *ret_median = (double)samples[count / 2];
    *ret_spread = ((double)samples[count * 84 / 100] - (double)samples[count * 16 / 100]) / 2;
}

void ps_plane_robust(const struct ps_plane *plane, double *ret_mean, double *ret_deviation)
{
    double mean, deviation;
    estimate(plane, &mean, &deviation);
    if (deviation <= 0)
        deviation = INFINITY;
    for (int round = 0; round < 2; round++) {
        double low = mean - 3 * deviation;
        double high = mean + 3 * deviation;
        double sum = 0;
        double squares = 0;
        size_t count = 0;
        for (size_t i = 0; i < count_of(plane); i++) {
            double value = (double)plane->pixels[i];
            if (isfinite(value) && value >= low && value <= high) {
                /* Relative to a central value, so that a large offset does not cost precision. */
                double offset = value - mean;
                sum += offset;
                squares += offset * offset;
                count++;
            }
        }
        if (!count)
            break;
        double shift = sum / (double)count;
        mean += shift;
        deviation = sqrt(fmax(squares / (double)count - shift * shift, 0));
    }
    *ret_mean = mean;
    *ret_deviation = isfinite(deviation) ? deviation : 0;
}

void ps_plane_clip(struct ps_plane *plane, double low, double high)
{
    for (size_t i = 0; i < count_of(plane); i++) {
        double value = (double)plane->pixels[i];
        /* A bin without a finite pixel gets the mean. */
        value = isfinite(value) ? fmin(fmax(value, low), high) : (low + high) / 2;
        plane->pixels[i] = (float)value;
    }
}

/* Filters `count` pixels that lie `step` apart with a symmetric kernel of `radius` + 1 weights. */
static void smooth_line(float *pixels, int count, size_t step, const float *kernel, int radius,
                        float *line)
{
    for (int i = -radius; i < count + radius; i++)
        line[i + radius] = pixels[(size_t)at_most(at_least(i, 0), count - 1) * step];
    for (int i = 0; i < count; i++) {
        const float *centre = line + i + radius;
        float sum = kernel[0] * centre[0];
        for (int k = 1; k <= radius; k++)
            sum += kernel[k] * (centre[-k] + centre[k]);
        pixels[(size_t)i * step] = sum;
    }
}

int ps_plane_smooth(struct ps_plane *plane, double sigma, struct ps_error *error)
{
    int radius = (int)ceil(3 * sigma);
    size_t longer = (size_t)at_least(plane->width, plane->height) + 2 * (size_t)radius;
    float *kernel = calloc((size_t)radius + 1, sizeof *kernel);
    float *line = calloc(longer, sizeof *line);
    if (!kernel || !line) {
        free(kernel);
        free(line);
        return ps_fail_memory(error, longer * sizeof *line, "smoothing a picture");
    }
    double total = 0;
    for (int k = 0; k <= radius; k++) {
        double weight = k ? exp(-k * k / (2 * sigma * sigma)) : 1;
        kernel[k] = (float)weight;
        total += k ? 2 * weight : weight;
    }
    for (int k = 0; k <= radius; k++)
        kernel[k] = (float)((double)kernel[k] / total);
    size_t width = (size_t)plane->width;
    for (size_t y = 0; y < (size_t)plane->height; y++)
        smooth_line(plane->pixels + y * width, plane->width, 1, kernel, radius, line);
    for (size_t x = 0; x < width; x++)
        smooth_line(plane->pixels + x, plane->height, width, kernel, radius, line);
    free(kernel);
    free(line);
    return 0;
}

int ps_plane_grey(struct ps_plane *plane, double diameter, uint8_t *ret_grey,
                  struct ps_error *error)
{
    double mean, deviation;
    ps_plane_robust(plane, &mean, &deviation);
    /* Clips first, so that smoothing does not widen a hot pixel to a spot. */
    ps_plane_clip(plane, mean - 5 * deviation, mean + 5 * deviation);
    /* Detail below a tenth of the particle is mostly noise. */
    double sigma = fmin(fmax(diameter / plane->bin / 20, 0.6), 6);
    int code = ps_plane_smooth(plane, sigma, error);
    if (code != 0)
        return code;
    ps_plane_robust(plane, &mean, &deviation);
    for (size_t i = 0; i < count_of(plane); i++) {
        double offset = (double)plane->pixels[i] - mean;
        double grey = deviation > 0 ? 127.5 + 127.5 * offset / (3 * deviation) : 127.5;
        ret_grey[i] = (uint8_t)lround(fmin(fmax(grey, 0), 255));
    }
    return 0;
}
