/* Correlation of a field with small radial templates, by FFT.
 *
 * A radial template is symmetric, so its spectrum is real and a sum of a few cosines: along each
 * row first, then along the columns, eight at a time. The columns of the field's spectrum are
 * multiplied by it and transformed back while they are in the cache, so it is never stored.
 */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_PIECE = 16, PLAN_FLAGS = FFTW_ESTIMATE };

/* Rows of a template's spectrum that are computed at a time. */
enum { SPECTRUM_ROWS = 4 };

/* ---- plans ------------------------------------------------------------------------------------
 */

static size_t row_floats(const struct cpu_fft *fft)
{
    return ((size_t)fft->width + 15) / 16 * 16;
}

/* Complex numbers from column to column of a block. Transforms are fastest of numbers side by side,
 * and columns that begin a cache line later do not compete for the same places of the cache. */
static size_t column_stride(const struct cpu_fft *fft)
{
    return ((size_t)fft->height + 15) / 8 * 8;
}

static size_t block_size(const struct cpu_fft *fft)
{
    return column_stride(fft) * FFT_COLUMNS;
}

/* Scratch of a thread: one row of pixels, or two blocks of eight columns. */
static size_t thread_bytes(const struct cpu_fft *fft)
{
    size_t row = row_floats(fft) * sizeof(float);
    size_t columns = 2 * block_size(fft) * sizeof(fftwf_complex);
    return ((row > columns ? row : columns) + 127) / 64 * 64;
}

static void *thread_memory(const struct cpu_slot *slot, int thread)
{
    const struct cpu_adaptive *a = slot->adaptive;
    return (char *)a->work.lines.data + (size_t)thread * thread_bytes(a->fft);
}

static fftwf_plan plan_columns(const struct cpu_fft *fft, fftwf_complex *blocks, int direction)
{
    int stride = (int)column_stride(fft);
    return fftwf_plan_many_dft(1, &fft->height, FFT_COLUMNS, blocks, NULL, 1, stride,
                               blocks + block_size(fft), NULL, 1, stride, direction, PLAN_FLAGS);
}

/* FFTW_ESTIMATE: a measured plan can differ from run to run, and then round differently. */
static int make_plans(struct cpu_fft *fft, struct ps_error *error)
{
    float *row = fftwf_alloc_real(row_floats(fft));
    size_t size = 2 * block_size(fft) > fft->stride ? 2 * block_size(fft) : fft->stride;
    fftwf_complex *spectrum = fftwf_alloc_complex(size);
    if (row && spectrum && cpu_planner_has_memory()) {
        cpu_planner_lock();
        fft->rows_forward = fftwf_plan_dft_r2c_1d(fft->width, row, spectrum, PLAN_FLAGS);
        fft->rows_inverse = fftwf_plan_dft_c2r_1d(fft->width, spectrum, row, PLAN_FLAGS);
        fft->columns_forward = plan_columns(fft, spectrum, FFTW_FORWARD);
        fft->columns_inverse = plan_columns(fft, spectrum, FFTW_BACKWARD);
        cpu_planner_unlock();
    }
    fftwf_free(row);
    fftwf_free(spectrum);
    if (fft->rows_forward && fft->rows_inverse && fft->columns_forward && fft->columns_inverse)
        return 0;
    cpu_fft_done(fft);
    return ps_fail_memory(error, size * sizeof *spectrum, "FFT plans");
}

/* table[k][i] = cos(2 pi k i / length) for k up to `reach` and i up to length / 2, and a few floats
 * that can be read after them. */
static int make_cosines(int length, int reach, float **ret_table, struct ps_error *error)
{
    size_t half = (size_t)length / 2 + 1;
    size_t count = ((size_t)reach + 1) * half;
    double *cosine = malloc((size_t)length * sizeof *cosine);
    float *table = malloc((count + SPECTRUM_ROWS) * sizeof *table);
    if (!cosine || !table) {
        free(cosine);
        free(table);
        return ps_fail_memory(error, count * sizeof *table, "cosines");
    }
    for (int i = 0; i < length; i++)
        cosine[i] = cos(2 * M_PI * i / length);
    for (size_t k = 0; k <= (size_t)reach; k++)
        for (size_t i = 0; i < half; i++)
            table[k * half + i] = (float)cosine[k * i % (size_t)length];
    memset(table + count, 0, SPECTRUM_ROWS * sizeof *table);
    free(cosine);
    *ret_table = table;
    return 0;
}

static int make_fft(int width, int height, int reach, struct cpu_fft *fft, struct ps_error *error)
{
    size_t columns = (size_t)width / 2 + 1;
    *fft = (struct cpu_fft){
        .width = width,
        .height = height,
        .reach = reach,
        .stride = (columns + FFT_COLUMNS - 1) / FFT_COLUMNS * FFT_COLUMNS,
    };
    int status = make_plans(fft, error);
    if (status == 0)
        status = make_cosines(width, reach, &fft->cosines[0], error);
    if (status == 0)
        status = make_cosines(height, reach, &fft->cosines[1], error);
    if (status)
        cpu_fft_done(fft);
    return status;
}

int cpu_fft_prepare(struct cpu_slot *slot, int reach, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    int width = ps_good_length(a->field.width + reach);
    int height = ps_good_length(a->field.height + reach);
    a->fft = NULL;
    for (int i = 0; i < CPU_FFTS; i++)
        if (a->ffts[i].width == width && a->ffts[i].height == height && a->ffts[i].reach >= reach)
            a->fft = &a->ffts[i];
    if (!a->fft) {
        struct cpu_fft *fft = &a->ffts[a->next_fft];
        a->next_fft = (a->next_fft + 1) % CPU_FFTS;
        cpu_fft_done(fft);
        PS_TRY(make_fft(width, height, reach, fft, error));
        a->fft = fft;
    }
    return 0;
}

/* Filters and transforms share the lines; each reserves what it needs. */
static int reserve_lines(struct cpu_slot *slot, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t bytes = thread_bytes(a->fft) * (size_t)slot->threads;
    return cpu_buffer_reserve(&a->work.lines, bytes, "a transform", error);
}

static int reserve_product(struct cpu_adaptive *a, struct ps_error *error)
{
    size_t bytes = (size_t)a->field.height * a->fft->stride * sizeof(fftwf_complex);
    return cpu_buffer_reserve(&a->work.product, bytes, "a correlation", error);
}

/* ---- forward ----------------------------------------------------------------------------------
 */

struct transform {
    const struct cpu_slot *slot;
    const struct cpu_adaptive *a;
    const float *field; /* field or template */
    const fftwf_complex *spectrum;
    const fftwf_complex *noise;
    fftwf_complex *out;
    float *kernel;
    float factor;     /* of the inverse transforms; a kernel has it already */
    const float *map; /* with a kernel */
    float *result;
};

/* Runs `body` for all rows of the field, ROWS_PER_PIECE at a time. */
static void run_rows(void (*body)(void *, int, size_t), struct transform *t)
{
    size_t rows = (size_t)t->a->field.height;
    ps_parallel(t->slot->threads, (rows + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE, body, t);
}

/* Runs `body` for all columns of the spectrum, eight at a time. */
static void run_columns(void (*body)(void *, int, size_t), struct transform *t)
{
    ps_parallel(t->slot->threads, t->a->fft->stride / FFT_COLUMNS, body, t);
}

static void image_rows(void *context, int thread, size_t piece)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = t->a->fft;
    size_t width = (size_t)t->a->field.width;
    float *line = thread_memory(t->slot, thread);
    size_t first = piece * ROWS_PER_PIECE;
    for (size_t y = first; y < first + ROWS_PER_PIECE && y < (size_t)t->a->field.height; y++) {
        memcpy(line, t->field + y * width, width * sizeof *line);
        memset(line + width, 0, (row_floats(fft) - width) * sizeof *line);
        fftwf_execute_dft_r2c(fft->rows_forward, line, t->out + y * fft->stride);
    }
}

/* Spectrum of a row of the template, its right half with the middle. */
static void template_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct transform *t = context;
    const struct cpu_fft *fft = t->a->fft;
    size_t reach = (size_t)t->a->reach;
    size_t half = (size_t)fft->width / 2 + 1;
    const float *row = t->field + (reach + piece) * (2 * reach + 1) + reach;
    float *out = t->kernel + piece * fft->stride;
    float factor = piece ? 2 * t->factor : t->factor; /* the row above is the same */
    for (size_t i = 0; i < half; i++)
        out[i] = row[0] * factor;
    for (size_t k = 1; k <= reach; k++) {
        const float *cosine = fft->cosines[0] + k * half;
        float value = 2 * row[k] * factor;
        for (size_t i = 0; i < half; i++)
            out[i] += value * cosine[i];
    }
    memset(out + half, 0, (fft->stride - half) * sizeof *out);
}

/* Loads eight columns of the first `rows` rows and sets the rest to zero. */
static void load_columns(const struct cpu_fft *fft, const fftwf_complex *spectrum, size_t rows,
                         size_t block, fftwf_complex *ret_columns)
{
    const fftwf_complex *from = spectrum + block * FFT_COLUMNS;
    size_t stride = column_stride(fft);
    for (size_t y = 0; y < rows; y++)
        for (size_t c = 0; c < FFT_COLUMNS; c++)
            memcpy(ret_columns + c * stride + y, from + y * fft->stride + c, sizeof *from);
    for (size_t c = 0; c < FFT_COLUMNS; c++)
        memset(ret_columns + c * stride + rows, 0,
               ((size_t)fft->height - rows) * sizeof *ret_columns);
}

static void store_columns(const struct cpu_fft *fft, const fftwf_complex *columns, size_t rows,
                          size_t block, fftwf_complex *spectrum)
{
    fftwf_complex *to = spectrum + block * FFT_COLUMNS;
    size_t stride = column_stride(fft);
    for (size_t y = 0; y < rows; y++)
        for (size_t c = 0; c < FFT_COLUMNS; c++)
            memcpy(to + y * fft->stride + c, columns + c * stride + y, sizeof *columns);
}

static void image_columns(void *context, int thread, size_t block)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = t->a->fft;
    fftwf_complex *columns = thread_memory(t->slot, thread);
    fftwf_complex *transformed = columns + block_size(fft);
    load_columns(fft, t->out, (size_t)t->a->field.height, block, columns);
    fftwf_execute_dft(fft->columns_forward, columns, transformed);
    store_columns(fft, transformed, (size_t)fft->height, block, t->out);
}

int cpu_fft_forward(struct cpu_slot *slot, const float *field, struct cpu_buffer *ret_spectrum,
                    struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t bytes = (size_t)a->fft->height * a->fft->stride * sizeof(fftwf_complex);
    PS_TRY(cpu_buffer_reserve(ret_spectrum, bytes, "a spectrum", error));
    PS_TRY(reserve_lines(slot, error));
    struct transform t = {.slot = slot, .a = a, .field = field, .out = ret_spectrum->data};
    run_rows(image_rows, &t);
    run_columns(image_columns, &t);
    return 0;
}

/* ---- correlation ------------------------------------------------------------------------------
 */

typedef float eight __attribute__((vector_size(FFT_COLUMNS * sizeof(float))));
typedef int32_t eight_indices __attribute__((vector_size(FFT_COLUMNS * sizeof(int32_t))));

/* Loads row y of eight columns, each number multiplied by its factor. By pointer, for not every
 * instruction set passes `eight`. */
static inline void load_row(const fftwf_complex *row, const eight *factors, size_t stride, size_t y,
                            fftwf_complex *ret_columns)
{
    static const eight_indices lower = {0, 0, 1, 1, 2, 2, 3, 3};
    static const eight_indices upper = {4, 4, 5, 5, 6, 6, 7, 7};
    eight parts[2];
    memcpy(parts, row, sizeof parts);
    parts[0] *= __builtin_shuffle(*factors, lower);
    parts[1] *= __builtin_shuffle(*factors, upper);
    const fftwf_complex *numbers = (const fftwf_complex *)parts;
    for (size_t c = 0; c < FFT_COLUMNS; c++)
        memcpy(ret_columns + c * stride + y, numbers + c, sizeof *numbers);
}

/* Loads eight columns of the field's spectrum, multiplied by those of the template's. */
static void load_product(const struct transform *t, size_t block, fftwf_complex *ret_columns)
{
    const struct cpu_fft *fft = t->a->fft;
    const fftwf_complex *from = t->spectrum + block * FFT_COLUMNS;
    const float *kernel = t->kernel + block * FFT_COLUMNS;
    size_t stride = column_stride(fft);
    size_t reach = (size_t)t->a->reach;
    size_t height = (size_t)fft->height;
    size_t half = height / 2 + 1;
    for (size_t first = 0; first < half; first += SPECTRUM_ROWS) {
        eight sums[SPECTRUM_ROWS];
        eight row;
        memcpy(&row, kernel, sizeof row);
        for (size_t i = 0; i < SPECTRUM_ROWS; i++)
            sums[i] = row;
        for (size_t k = 1; k <= reach; k++) {
            const float *cosine = fft->cosines[1] + k * half + first;
            memcpy(&row, kernel + k * fft->stride, sizeof row);
            for (size_t i = 0; i < SPECTRUM_ROWS; i++)
                sums[i] += row * cosine[i]; /* past the end in the last rows, unused */
        }
        for (size_t i = 0; i < SPECTRUM_ROWS && first + i < half; i++) {
            size_t y = first + i;
            load_row(from + y * fft->stride, &sums[i], stride, y, ret_columns);
            if (y > 0 && y < height - y)
                load_row(from + (height - y) * fft->stride, &sums[i], stride, height - y,
                         ret_columns);
        }
    }
}

static void correlate_columns(void *context, int thread, size_t block)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = t->a->fft;
    fftwf_complex *columns = thread_memory(t->slot, thread);
    fftwf_complex *transformed = columns + block_size(fft);
    load_product(t, block, columns);
    fftwf_execute_dft(fft->columns_inverse, columns, transformed);
    store_columns(fft, transformed, (size_t)t->a->field.height, block, t->out);
}

static void result_rows(void *context, int thread, size_t piece)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = t->a->fft;
    size_t width = (size_t)t->a->field.width;
    float *line = thread_memory(t->slot, thread);
    size_t first = piece * ROWS_PER_PIECE;
    for (size_t y = first; y < first + ROWS_PER_PIECE && y < (size_t)t->a->field.height; y++) {
        fftwf_execute_dft_c2r(fft->rows_inverse, t->out + y * fft->stride, line);
        float *result = t->result + y * width;
        const float *map = t->map ? t->map + y * width : NULL;
        for (size_t x = 0; x < width; x++)
            result[x] = map ? line[x] * map[x] : line[x] * t->factor;
    }
}

int cpu_fft_correlate(struct cpu_slot *slot, const struct cpu_buffer *spectrum, const float *values,
                      const float *map, float *ret_field, struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    size_t kernel = ((size_t)a->reach + 1) * a->fft->stride * sizeof(float);
    PS_TRY(reserve_lines(slot, error));
    PS_TRY(reserve_product(a, error));
    PS_TRY(cpu_buffer_reserve(&a->work.kernel, kernel, "a template", error));
    struct transform t = {
        .slot = slot,
        .a = a,
        .field = values,
        .kernel = a->work.kernel.data,
        .out = a->work.product.data,
        .spectrum = spectrum->data,
        .factor = (float)(1 / ((double)a->fft->width * a->fft->height)),
        .map = map,
        .result = ret_field,
    };
    ps_parallel(slot->threads, (size_t)a->reach + 1, template_rows, &t);
    run_columns(correlate_columns, &t);
    run_rows(result_rows, &t);
    return 0;
}

/* ---- null field -------------------------------------------------------------------------------
 */

/* Replaces the phases of a spectrum by those of the noise's spectrum. */
static void turn_columns(void *context, int thread, size_t block)
{
    const struct transform *t = context;
    const struct cpu_fft *fft = t->a->fft;
    float(*columns)[2] = thread_memory(t->slot, thread);
    float(*noise)[2] = columns + block_size(fft);
    load_columns(fft, t->spectrum, (size_t)fft->height, block, columns);
    load_columns(fft, t->noise, (size_t)fft->height, block, noise);
    for (size_t c = 0; c < FFT_COLUMNS; c++) {
        size_t first = c * column_stride(fft);
        for (size_t i = first; i < first + (size_t)fft->height; i++) {
            float power = columns[i][0] * columns[i][0] + columns[i][1] * columns[i][1];
            float other = noise[i][0] * noise[i][0] + noise[i][1] * noise[i][1];
            float factor = other > 0 ? sqrtf(power / other) : 0;
            columns[i][0] = noise[i][0] * factor;
            columns[i][1] = noise[i][1] * factor;
        }
    }
    fftwf_execute_dft(fft->columns_inverse, columns, noise);
    store_columns(fft, noise, (size_t)t->a->field.height, block, t->out);
}

int cpu_fft_randomise(struct cpu_slot *slot, const float *noise, float *field,
                      struct ps_error *error)
{
    struct cpu_adaptive *a = slot->adaptive;
    PS_TRY(cpu_fft_forward(slot, field, &a->spectrum[0], error));
    PS_TRY(cpu_fft_forward(slot, noise, &a->spectrum[1], error));
    PS_TRY(reserve_product(a, error));
    struct transform t = {
        .slot = slot,
        .a = a,
        .out = a->work.product.data,
        .spectrum = a->spectrum[0].data,
        .noise = a->spectrum[1].data,
        .factor = (float)(1 / ((double)a->fft->width * a->fft->height)),
        .result = field,
    };
    run_columns(turn_columns, &t);
    run_rows(result_rows, &t);
    return 0;
}
