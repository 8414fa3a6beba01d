/* apple-reference section 2: crop, shrink by two with a stretched bicubic kernel, low-pass. */
#include "backend/cpu/slot.h"
#include "formulas/weights.h"

#include "base/error.h"
#include "base/parallel.h"

#include <stdlib.h>

enum { ROWS_PER_PIECE = 16 };

struct preprocess {
    const struct cpu_slot *slot;
    const struct ps_crop *crop;
    struct ps_resampler resampler;
    int side;
    const float *micrograph;
    float *narrowed;
    float *shrunk;
    float *preprocessed;
    double *row_sums; /* of the shrunk image */
    float outside;    /* value beyond the border: grey 0 minus the offset */
    struct ps_smooth smooth;
};

static void narrow_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct preprocess *p = context;
    int taps = p->resampler.taps;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < p->crop->side_px; y++) {
        const float *row = p->micrograph + (size_t)(p->crop->top_px + y) * (size_t)p->slot->width +
                           p->crop->left_px;
        float *out = p->narrowed + (size_t)y * (size_t)p->side;
        for (int i = 0; i < p->side; i++) {
            const double *weights = p->resampler.weights + (size_t)i * (size_t)taps;
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
    int taps = p->resampler.taps;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < p->side; y++) {
        for (size_t x = 0; x < side; x++)
            sums[x] = 0;
        for (int k = 0; k < taps; k++) {
            double weight = p->resampler.weights[(size_t)y * (size_t)taps + (size_t)k];
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

/* Reuses `narrowed` for the rows between the two passes of the low-pass. */
static void smooth_along_x(void *context, int thread, size_t piece)
{
    const struct preprocess *p = context;
    int side = p->side;
    float *padded = (float *)p->slot->scratch.data + (size_t)thread * 2 * (size_t)side;
    float offset = -p->outside;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int i = 0; i < PS_SMOOTH_X; i++)
        padded[i] = padded[PS_SMOOTH_X + side + i] = p->outside;
    for (int y = first; y < first + ROWS_PER_PIECE && y < side; y++) {
        const float *row = p->shrunk + (size_t)y * (size_t)side;
        float *out = p->narrowed + (size_t)y * (size_t)side;
        for (int x = 0; x < side; x++)
            padded[PS_SMOOTH_X + x] = row[x] - offset;
        for (int x = 0; x < side; x++) {
            float sum = 0;
            for (int k = 0; k <= 2 * PS_SMOOTH_X; k++)
                sum += padded[x + k] * p->smooth.x[k];
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
        for (int k = -PS_SMOOTH_Y; k <= PS_SMOOTH_Y; k++) {
            float weight = p->smooth.y[k + PS_SMOOTH_Y];
            bool inside = y + k >= 0 && y + k < side;
            const float *row = p->narrowed + (size_t)(inside ? y + k : 0) * (size_t)side;
            for (int x = 0; x < side; x++)
                out[x] += (inside ? row[x] : p->outside) * weight;
        }
    }
}

static int preprocess_reserve(struct cpu_slot *slot, size_t crop, size_t side,
                              struct ps_error *error)
{
    size_t narrowed = crop * side * sizeof(float);
    size_t image = side * side * sizeof(float);
    size_t scratch = (size_t)slot->threads * (side + 64) * sizeof(double);
    PS_TRY(cpu_buffer_reserve(&slot->narrowed, narrowed, "the narrowed image", error));
    PS_TRY(cpu_buffer_reserve(&slot->shrunk, image, "the shrunk image", error));
    PS_TRY(cpu_buffer_reserve(&slot->preprocessed, image, "the preprocessed image", error));
    return cpu_buffer_reserve(&slot->scratch, scratch, "rows in double precision", error);
}

int cpu_preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    size_t side = (size_t)crop->side_px / 2;
    int status = preprocess_reserve(slot, (size_t)crop->side_px, side, error);
    if (status)
        return status;
    struct preprocess p = {
        .slot = slot,
        .crop = crop,
        .side = (int)side,
        .micrograph = slot->pixels,
        .narrowed = slot->narrowed.data,
        .shrunk = slot->shrunk.data,
        .preprocessed = slot->preprocessed.data,
    };
    status = ps_resampler_new(crop->side_px, p.side, &p.resampler, error);
    if (status)
        return status;
    p.row_sums = calloc(side, sizeof *p.row_sums);
    if (p.row_sums) {
        size_t rows = ((size_t)crop->side_px + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
        size_t half_rows = (side + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE;
        ps_parallel(slot->threads, rows, narrow_rows, &p);
        ps_parallel(slot->threads, half_rows, shorten_columns, &p);
        double sum = 0;
        for (size_t y = 0; y < side; y++)
            sum += p.row_sums[y];
        p.outside = -(float)(sum / (double)(side * side));
        p.smooth = ps_smooth_weights();
        ps_parallel(slot->threads, half_rows, smooth_along_x, &p);
        ps_parallel(slot->threads, half_rows, smooth_along_y, &p);
        base->side = p.side;
        base->grey_offset = -(double)p.outside;
    } else {
        status = ps_fail_memory(error, side * sizeof *p.row_sums, "row sums");
    }
    free(p.row_sums);
    ps_resampler_done(&p.resampler);
    return status;
}
