/* Correlation of a field with small templates, by FFT.
 *
 * The field is extended by zeros as far as a template reaches, so that nothing wraps around. Only
 * the few rows of a template are transformed; the others are zero. Its columns are transformed,
 * multiplied and transformed back while they are in the cache, so its spectrum is never stored.
 */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_PIECE = 16, PLAN_FLAGS = FFTW_ESTIMATE };

/* ---- plans ------------------------------------------------------------------------------------
 */

void cpu_fft_done(struct cpu_fft *fft)
{
    fftwf_plan plans[] = {fft->rows_forward, fft->rows_inverse, fft->columns_forward,
                          fft->columns_inverse};
    cpu_planner_lock();
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        if (plans[i])
            fftwf_destroy_plan(plans[i]);
    cpu_planner_unlock();
    *fft = (struct cpu_fft){0};
}

static size_t row_floats(const struct cpu_fft *fft)
{
    return ((size_t)fft->width + 15) / 16 * 16;
}

/* Scratch of a thread: one row of pixels, or two blocks of eight columns. */
static size_t thread_bytes(const struct cpu_fft *fft)
{
    size_t row = row_floats(fft) * sizeof(float);
    size_t columns = (size_t)fft->height * 2 * FFT_COLUMNS * sizeof(fftwf_complex);
    return (row > columns ? row : columns) + 64;
}

static void *thread_memory(const struct cpu_slot *slot, int thread)
{
    const struct cpu_adaptive *a = slot->adaptive;
    size_t bytes = (thread_bytes(&a->fft) + 63) / 64 * 64;
    return (char *)a->lines.data + (size_t)thread * bytes;
}

/* FFTW_ESTIMATE: a measured plan can differ from run to run, and then round differently. */
static int make_plans(struct cpu_fft *fft, struct ps_error *error)
{
    float *row = fftwf_alloc_real(row_floats(fft));
    size_t columns = (size_t)fft->height * FFT_COLUMNS;
    fftwf_complex *spectrum = fftwf_alloc_complex(columns > fft->stride ? columns : fft->stride);
    if (row && spectrum) {
        cpu_planner_lock();
        fft->rows_forward = fftwf_plan_dft_r2c_1d(fft->width, row, spectrum, PLAN_FLAGS);
        fft->rows_inverse = fftwf_plan_dft_c2r_1d(fft->width, spectrum, row, PLAN_FLAGS);
        fft->columns_forward =
            fftwf_plan_many_dft(1, &fft->height, FFT_COLUMNS, spectrum, NULL, FFT_COLUMNS, 1,
                                spectrum, NULL, FFT_COLUMNS, 1, FFTW_FORWARD, PLAN_FLAGS);
        fft->columns_inverse =
            fftwf_plan_many_dft(1, &fft->height, FFT_COLUMNS, spectrum, NULL, FFT_COLUMNS, 1,
                                spectrum, NULL, FFT_COLUMNS, 1, FFTW_BACKWARD, PLAN_FLAGS);
        cpu_planner_unlock();
    }
    fftwf_free(row);
    fftwf_free(spectrum);
    if (fft->rows_forward && fft->rows_inverse && fft->columns_forward && fft->columns_inverse)
        return 0;
    cpu_fft_done(fft);
    return ps_fail_memory(error, columns * sizeof *spectrum, "FFT plans");
}

int cpu_fft_prepare(struct cpu_slot *slot, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    int width = ps_good_length(a->field.width + 2 * a->reach);
    int height = ps_good_length(a->field.height + 2 * a->reach);
    int status = 0;
    if (a->fft.width != width || a->fft.height != height) {
        cpu_fft_done(&a->fft);
        size_t columns = (size_t)width / 2 + 1;
        a->fft = (struct cpu_fft){
            .width = width,
            .height = height,
            .stride = (columns + FFT_COLUMNS - 1) / FFT_COLUMNS * FFT_COLUMNS,
        };
        status = make_plans(&a->fft, error);
    }
    size_t rows = 2 * (size_t)a->reach + 1;
    size_t bytes = a->fft.stride * sizeof(fftwf_complex);
    if (status == 0)
        status = cpu_buffer_reserve(&a->kernel, rows * bytes, "a template", error);
    if (status == 0)
        status = cpu_buffer_reserve(&a->product, (size_t)a->field.height * bytes, "a correlation",
                                    error);
    return status;
}

/* Filters and transforms share the lines; each reserves what it needs. */
static int reserve_lines(struct cpu_slot *slot, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t bytes = (thread_bytes(&a->fft) + 63) / 64 * 64;
    return cpu_buffer_reserve(&a->lines, bytes * (size_t)slot->threads, "a transform", error);
}

/* ---- forward ----------------------------------------------------------------------------------
 */

struct transform {
    const struct cpu_slot *slot;
    const struct cpu_adaptive *a;
    const float *field; /* field or template */
    bool squared;
    const fftwf_complex *spectrum;
    const fftwf_complex *noise;
    fftwf_complex *out;
    float factor;
    const float *map;
    float *result;
};

static void image_rows(void *context, int thread, size_t piece)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = &t->a->fft;
    int reach = t->a->reach;
    int width = t->a->field.width;
    int height = t->a->field.height;
    float *line = thread_memory(t->slot, thread);
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < height + 2 * reach; y++) {
        memset(line, 0, row_floats(fft) * sizeof *line);
        if (y >= reach && y < height + reach)
            memcpy(line + reach, t->field + (size_t)(y - reach) * (size_t)width,
                   (size_t)width * sizeof *line);
        for (int x = reach; t->squared && x < width + reach; x++)
            line[x] *= line[x];
        fftwf_execute_dft_r2c(fft->rows_forward, line, t->out + (size_t)y * fft->stride);
    }
}

static void template_rows(void *context, int thread, size_t piece)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = &t->a->fft;
    size_t side = 2 * (size_t)t->a->reach + 1;
    float *line = thread_memory(t->slot, thread);
    memset(line, 0, row_floats(fft) * sizeof *line);
    memcpy(line, t->field + piece * side, side * sizeof *line);
    fftwf_execute_dft_r2c(fft->rows_forward, line, t->out + piece * fft->stride);
}

/* Loads eight columns of the first `rows` rows and sets the rest to zero. */
static void load_columns(const struct cpu_fft *fft, const fftwf_complex *spectrum, size_t rows,
                         size_t block, fftwf_complex *ret_columns)
{
    const fftwf_complex *from = spectrum + block * FFT_COLUMNS;
    for (size_t y = 0; y < rows; y++)
        memcpy(ret_columns + y * FFT_COLUMNS, from + y * fft->stride,
               FFT_COLUMNS * sizeof *ret_columns);
    memset(ret_columns + rows * FFT_COLUMNS, 0,
           ((size_t)fft->height - rows) * FFT_COLUMNS * sizeof *ret_columns);
}

static void store_columns(const struct cpu_fft *fft, const fftwf_complex *columns, size_t rows,
                          size_t block, fftwf_complex *spectrum)
{
    fftwf_complex *to = spectrum + block * FFT_COLUMNS;
    for (size_t y = 0; y < rows; y++)
        memcpy(to + y * fft->stride, columns + y * FFT_COLUMNS, FFT_COLUMNS * sizeof *columns);
}

static void image_columns(void *context, int thread, size_t block)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = &t->a->fft;
    fftwf_complex *columns = thread_memory(t->slot, thread);
    load_columns(fft, t->out, (size_t)t->a->field.height + 2 * (size_t)t->a->reach, block, columns);
    fftwf_execute_dft(fft->columns_forward, columns, columns);
    store_columns(fft, columns, (size_t)fft->height, block, t->out);
}

int cpu_fft_forward(struct cpu_slot *slot, const float *field, bool squared,
                    struct cpu_buffer *ret_spectrum, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t bytes = (size_t)a->fft.height * a->fft.stride * sizeof(fftwf_complex);
    PS_TRY(cpu_buffer_reserve(ret_spectrum, bytes, "a spectrum", error));
    PS_TRY(reserve_lines(slot, error));
    struct transform t = {
        .slot = slot, .a = a, .field = field, .squared = squared, .out = ret_spectrum->data};
    size_t rows = (size_t)a->field.height + 2 * (size_t)a->reach;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, image_rows, &t);
    ps_parallel(slot->threads, a->fft.stride / FFT_COLUMNS, image_columns, &t);
    return 0;
}

/* ---- correlation ------------------------------------------------------------------------------
 */

static void correlate_columns(void *context, int thread, size_t block)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = &t->a->fft;
    size_t count = (size_t)fft->height * FFT_COLUMNS;
    float(*kernel)[2] = thread_memory(t->slot, thread);
    float(*image)[2] = kernel + count;
    load_columns(fft, t->a->kernel.data, 2 * (size_t)t->a->reach + 1, block, kernel);
    fftwf_execute_dft(fft->columns_forward, kernel, kernel);
    load_columns(fft, t->spectrum, (size_t)fft->height, block, image);
    for (size_t i = 0; i < count; i++) {
        float real = image[i][0] * kernel[i][0] + image[i][1] * kernel[i][1];
        float imaginary = image[i][1] * kernel[i][0] - image[i][0] * kernel[i][1];
        image[i][0] = real;
        image[i][1] = imaginary;
    }
    fftwf_execute_dft(fft->columns_inverse, image, image);
    store_columns(fft, image, (size_t)t->a->field.height, block, t->out);
}

static void result_rows(void *context, int thread, size_t piece)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = &t->a->fft;
    size_t width = (size_t)t->a->field.width;
    float *line = thread_memory(t->slot, thread);
    size_t first = piece * ROWS_PER_PIECE;
    for (size_t y = first; y < first + ROWS_PER_PIECE && y < (size_t)t->a->field.height; y++) {
        fftwf_execute_dft_c2r(fft->rows_inverse, t->out + y * fft->stride, line);
        float *result = t->result + y * width;
        const float *map = t->map ? t->map + y * width : NULL;
        for (size_t x = 0; x < width; x++)
            result[x] = map ? line[x] * t->factor * map[x] : line[x] * t->factor;
    }
}

int cpu_fft_correlate(struct cpu_slot *slot, const struct cpu_buffer *spectrum, const float *values,
                      double factor, const float *map, float *ret_field, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    PS_TRY(reserve_lines(slot, error));
    struct transform t = {
        .slot = slot,
        .a = a,
        .field = values,
        .out = a->kernel.data,
        .spectrum = spectrum->data,
        .factor = (float)(factor / ((double)a->fft.width * a->fft.height)),
        .map = map,
        .result = ret_field,
    };
    ps_parallel(slot->threads, 2 * (size_t)a->reach + 1, template_rows, &t);
    t.out = a->product.data;
    ps_parallel(slot->threads, a->fft.stride / FFT_COLUMNS, correlate_columns, &t);
    size_t rows = (size_t)a->field.height;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, result_rows, &t);
    return 0;
}

/* ---- null field -------------------------------------------------------------------------------
 */

/* Replaces the phases of a spectrum by those of the noise's spectrum. */
static void turn_columns(void *context, int thread, size_t block)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = &t->a->fft;
    size_t count = (size_t)fft->height * FFT_COLUMNS;
    float(*columns)[2] = thread_memory(t->slot, thread);
    float(*noise)[2] = columns + count;
    load_columns(fft, t->spectrum, (size_t)fft->height, block, columns);
    load_columns(fft, t->noise, (size_t)fft->height, block, noise);
    for (size_t i = 0; i < count; i++) {
        float power = columns[i][0] * columns[i][0] + columns[i][1] * columns[i][1];
        float other = noise[i][0] * noise[i][0] + noise[i][1] * noise[i][1];
        float factor = other > 0 ? sqrtf(power / other) : 0;
        columns[i][0] = noise[i][0] * factor;
        columns[i][1] = noise[i][1] * factor;
    }
    fftwf_execute_dft(fft->columns_inverse, columns, columns);
    store_columns(fft, columns, (size_t)t->a->field.height, block, t->out);
}

int cpu_fft_randomise(struct cpu_slot *slot, const float *noise, float *field,
                      struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    PS_TRY(cpu_fft_forward(slot, field, false, &a->spectrum[0], error));
    PS_TRY(cpu_fft_forward(slot, noise, false, &a->spectrum[1], error));
    struct transform t = {
        .slot = slot,
        .a = a,
        .out = a->product.data,
        .spectrum = a->spectrum[0].data,
        .noise = a->spectrum[1].data,
        .factor = (float)(1 / ((double)a->fft.width * a->fft.height)),
        .result = field,
    };
    ps_parallel(slot->threads, a->fft.stride / FFT_COLUMNS, turn_columns, &t);
    size_t rows = (size_t)a->field.height;
    ps_parallel(slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, result_rows, &t);
    return 0;
}
