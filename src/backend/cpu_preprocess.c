/* apple-reference section 2: crop, shrink by two with a stretched bicubic kernel, low-pass. */
#include "backend/cpu.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS_PER_PIECE = 16 };

/* ---- bicubic ----------------------------------------------------------------------------------
 */

/* Taps of every output pixel, the same for both axes: `taps` weights from input pixel `first`. */
struct resampler {
    int taps;
    int *first;
    double *weights; /* outputs x taps; unused taps are 0 */
};

static double keys_kernel(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static int resampler_new(int input, int output, struct resampler *ret_resampler,
                         struct ps_error *error)
{
    double scale = (double)input / output;
    double support = 2 * scale;
    struct resampler r = {.taps = (int)ceil(support) * 2 + 1};
    r.first = calloc((size_t)output, sizeof *r.first);
    r.weights = calloc((size_t)output * (size_t)r.taps, sizeof *r.weights);
    if (!r.first || !r.weights) {
        free(r.first);
        free(r.weights);
        return ps_fail_memory(error, (size_t)output * (size_t)r.taps * sizeof *r.weights,
                              "bicubic weights");
    }
    for (int i = 0; i < output; i++) {
        double centre = (i + 0.5) * scale;
        int low = (int)(centre - support + 0.5);
        int high = (int)(centre + support + 0.5);
        low = low > 0 ? low : 0;
        high = high < input ? high : input;
        double *weights = r.weights + (size_t)i * (size_t)r.taps;
        double sum = 0;
        for (int k = low; k < high; k++)
            sum += weights[k - low] = keys_kernel((k - centre + 0.5) / scale);
        for (int k = 0; k < high - low; k++)
            weights[k] /= sum;
        /* Taps past the end weigh nothing; moving them inside keeps reads inside too. */
        int first = low + r.taps > input ? input - r.taps : low;
        first = first > 0 ? first : 0;
        for (int k = r.taps - 1; k >= 0; k--)
            weights[k] = k >= low - first ? weights[k - (low - first)] : 0;
        r.first[i] = first;
    }
    *ret_resampler = r;
    return 0;
}

/* ---- low-pass ---------------------------------------------------------------------------------
 */

/* w(y, x) ~ exp(-x^2 - y^2 / (2 * 0.5^2)): narrower along y by the reference's precedence of
 * operators. It separates, and beyond these radii it is below 2.22e-16, where the reference cuts.
 */
enum { RADIUS_X = 5, RADIUS_Y = 4 };

struct preprocess {
    const struct cpu_slot *slot;
    const struct ps_crop *crop;
    struct resampler resampler;
    int side;
    const float *micrograph;
    float *narrowed;
    float *shrunk;
    float *preprocessed;
    double *row_sums; /* of the shrunk image */
    float outside;    /* value of the pixels beyond the border: grey 0 less the offset */
    float kernel_x[2 * RADIUS_X + 1];
    float kernel_y[2 * RADIUS_Y + 1];
};

static void narrow_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct preprocess *p = context;
    int taps = p->resampler.taps < p->crop->side ? p->resampler.taps : p->crop->side;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < p->crop->side; y++) {
        const float *row =
            p->micrograph + (size_t)(p->crop->top + y) * (size_t)p->slot->width + p->crop->left;
        float *out = p->narrowed + (size_t)y * (size_t)p->side;
        for (int i = 0; i < p->side; i++) {
            const double *weights = p->resampler.weights + (size_t)i * (size_t)p->resampler.taps;
            const float *from = row + p->resampler.first[i];
            double sum = 0;
            for (int k = 0; k < taps; k++)
                sum += (double)from[k] * weights[k];
            out[i] = (float)sum;
        }
    }
}

static void shorten_columns(void *context, int thread, size_t piece)
{
    const struct preprocess *p = context;
    size_t side = (size_t)p->side;
    double *sums = (double *)p->slot->scratch.data + (size_t)thread * side;
    int taps = p->resampler.taps < p->crop->side ? p->resampler.taps : p->crop->side;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < p->side; y++) {
        for (size_t x = 0; x < side; x++)
            sums[x] = 0;
        for (int k = 0; k < taps; k++) {
            double weight = p->resampler.weights[(size_t)y * (size_t)p->resampler.taps + (size_t)k];
            const float *row = p->narrowed + (size_t)(p->resampler.first[y] + k) * side;
            for (size_t x = 0; x < side; x++)
                sums[x] += (double)row[x] * weight;
        }
        float *out = p->shrunk + (size_t)y * side;
        double row_sum = 0;
        for (size_t x = 0; x < side; x++) {
            out[x] = (float)sums[x];
            row_sum += (double)out[x];
        }
        p->row_sums[y] = row_sum;
    }
}

/* `narrowed`, done with, now takes the rows between the two passes of the low-pass. */
static void smooth_along_x(void *context, int thread, size_t piece)
{
    const struct preprocess *p = context;
    int side = p->side;
    float *padded = (float *)p->slot->scratch.data + (size_t)thread * 2 * (size_t)side;
    float offset = -p->outside;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int i = 0; i < RADIUS_X; i++)
        padded[i] = padded[RADIUS_X + side + i] = p->outside;
    for (int y = first; y < first + ROWS_PER_PIECE && y < side; y++) {
        const float *row = p->shrunk + (size_t)y * (size_t)side;
        float *out = p->narrowed + (size_t)y * (size_t)side;
        for (int x = 0; x < side; x++)
            padded[RADIUS_X + x] = row[x] - offset;
        for (int x = 0; x < side; x++) {
            float sum = 0;
            for (int k = 0; k <= 2 * RADIUS_X; k++)
                sum += padded[x + k] * p->kernel_x[k];
            out[x] = sum;
        }
    }
}

static void smooth_along_y(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct preprocess *p = context;
    int side = p->side;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < side; y++) {
        float *out = p->preprocessed + (size_t)y * (size_t)side;
        for (int x = 0; x < side; x++)
            out[x] = 0;
        for (int k = -RADIUS_Y; k <= RADIUS_Y; k++) {
            float weight = p->kernel_y[k + RADIUS_Y];
            bool inside = y + k >= 0 && y + k < side;
            const float *row = p->narrowed + (size_t)(inside ? y + k : 0) * (size_t)side;
            for (int x = 0; x < side; x++)
                out[x] += (inside ? row[x] : p->outside) * weight;
        }
    }
}

static void gaussian_kernel(int radius, double exponent, float *ret_kernel)
{
    double sum = 0;
    for (int k = -radius; k <= radius; k++)
        sum += exp(-exponent * k * k);
    for (int k = -radius; k <= radius; k++)
        ret_kernel[k + radius] = (float)(exp(-exponent * k * k) / sum);
}

static int reserve(struct cpu_slot *slot, size_t crop, size_t side, struct ps_error *error)
{
    size_t narrowed = crop * side * sizeof(float);
    size_t image = side * side * sizeof(float);
    size_t scratch = (size_t)slot->threads * (side + 64) * sizeof(double);
    int status = cpu_buffer_reserve(&slot->narrowed, narrowed, "the narrowed image", error);
    if (status == 0)
        status = cpu_buffer_reserve(&slot->shrunk, image, "the shrunk image", error);
    if (status == 0)
        status = cpu_buffer_reserve(&slot->preprocessed, image, "the preprocessed image", error);
    if (status == 0)
        status = cpu_buffer_reserve(&slot->scratch, scratch, "rows in double precision", error);
    return status;
}

int cpu_preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    size_t side = (size_t)crop->side / 2;
    int status = reserve(slot, (size_t)crop->side, side, error);
    if (status)
        return status;
    struct preprocess p = {
        .slot = slot,
        .crop = crop,
        .side = (int)side,
        .micrograph = slot->micrograph.data,
        .narrowed = slot->narrowed.data,
        .shrunk = slot->shrunk.data,
        .preprocessed = slot->preprocessed.data,
    };
    status = resampler_new(crop->side, p.side, &p.resampler, error);
    if (status)
        return status;
    p.row_sums = calloc(side, sizeof *p.row_sums);
    if (p.row_sums) {
        size_t rows = ((size_t)crop->side + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
        size_t half_rows = (side + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
        ps_parallel(slot->threads, rows, narrow_rows, &p);
        ps_parallel(slot->threads, half_rows, shorten_columns, &p);
        double sum = 0;
        for (size_t y = 0; y < side; y++)
            sum += p.row_sums[y];
        p.outside = -(float)(sum / (double)(side * side));
        gaussian_kernel(RADIUS_X, 1.0, p.kernel_x);
        gaussian_kernel(RADIUS_Y, 2.0, p.kernel_y);
        ps_parallel(slot->threads, half_rows, smooth_along_x, &p);
        ps_parallel(slot->threads, half_rows, smooth_along_y, &p);
        base->side = p.side;
        base->grey_offset = -(double)p.outside;
    } else {
        status = ps_fail_memory(error, side * sizeof *p.row_sums, "row sums");
    }
    free(p.row_sums);
    free(p.resampler.first);
    free(p.resampler.weights);
    return status;
}
