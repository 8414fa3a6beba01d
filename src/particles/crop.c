#include "particles/crop.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ps_crop {
    size_t from, to;
    float *down;       /* to x from: pixel `to` of a column from its pixels `from` */
    float *across;     /* from x to: its transpose, for rows */
    float *quadrature; /* from x to: the same of a row shifted by a quarter of each wave */
    float *alternate;  /* from: the sine of frequency to/2 at each pixel */
};

/* Sums over the frequencies below to/2 and half of to/2 at the distance of a pixel of the result
 * from one of the image: 1 + 2 sum cos(k a), 2 sum sin(k a), in closed form. */
static void sums(size_t from, size_t to, size_t j, size_t i, double *ret_even, double *ret_odd)
{
    const double pi = acos(-1.0);
    const long turns = (long)(j * from) - (long)(i * to); /* of 1 / (from to) */
    const double angle = 2 * pi * (double)turns / ((double)from * (double)to);
    const double half = (double)to / 2;
    *ret_even = (double)to - 1;
    *ret_odd = 0;
    if (turns != 0) {
        *ret_even = sin((half - 0.5) * angle) / sin(angle / 2);
        *ret_odd = (cos(angle / 2) - cos((half - 0.5) * angle)) / sin(angle / 2);
    }
    *ret_even = (*ret_even + cos(half * angle)) / (double)from;
    *ret_odd = (*ret_odd + sin(half * angle)) / (double)from;
}

int ps_crop_new(int from, int to, struct ps_crop **ret_crop, struct ps_error *error)
{
    const size_t n = (size_t)from, m = (size_t)to, count = n * (3 * m + 1);
    const double pi = acos(-1.0);
    struct ps_crop *crop = malloc(sizeof *crop);
    float *memory = malloc(count * sizeof *memory);
    if (!crop || !memory) {
        free(crop);
        free(memory);
        return ps_fail_memory(error, count * sizeof *memory, "the binning of particles");
    }
    *crop = (struct ps_crop){n, m, memory, memory + n * m, memory + 2 * n * m, memory + 3 * n * m};
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < m; j++) {
            double even, odd;
            sums(n, m, j, i, &even, &odd);
            crop->down[j * n + i] = crop->across[i * m + j] = (float)even;
            crop->quadrature[i * m + j] = (float)odd;
        }
        crop->alternate[i] = (float)sin(pi * (double)(i * m) / (double)n);
    }
    *ret_crop = crop;
    return 0;
}

void ps_crop_free(struct ps_crop *crop)
{
    if (crop)
        free(crop->down);
    free(crop);
}

size_t ps_crop_scratch(const struct ps_crop *crop)
{
    return crop->from + crop->to;
}

/* sum += the `count` rows of `width` pixels, each times its weight. */
static void add_rows(const float *rows, const float *weights, size_t count, size_t width,
                     float *restrict sum)
{
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const float *restrict row = rows + i * width;
        const float a = weights[i], b = weights[i + 1], c = weights[i + 2], d = weights[i + 3];
        for (size_t x = 0; x < width; x++)
            sum[x] += (a * row[x] + b * row[x + width]) +
                      (c * row[x + 2 * width] + d * row[x + 3 * width]);
    }
    for (; i < count; i++) {
        const float *restrict row = rows + i * width;
        for (size_t x = 0; x < width; x++)
            sum[x] += weights[i] * row[x];
    }
}

void ps_crop_apply(const struct ps_crop *crop, const float *image, float *scratch, float *ret_image)
{
    const size_t n = crop->from, m = crop->to;
    float *row = scratch, *nyquist = scratch + n;
    memset(row, 0, n * sizeof *row);
    memset(nyquist, 0, m * sizeof *nyquist);
    add_rows(image, crop->alternate, n, n, row);
    add_rows(crop->quadrature, row, n, m, nyquist);
    for (size_t j = 0; j < m; j++) {
        float *out = ret_image + j * m;
        memset(row, 0, n * sizeof *row);
        memset(out, 0, m * sizeof *out);
        add_rows(image, crop->down + j * n, n, n, row);
        add_rows(crop->across, row, n, m, out);
        const float sign = (j % 2 ? -1.0f : 1.0f) / (float)n;
        for (size_t k = 0; k < m; k++)
            out[k] += sign * nyquist[k];
    }
}
