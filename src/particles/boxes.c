#include "particles/boxes.h"

#include "base/error.h"
#include "base/parallel.h"
#include "image/micrograph.h"
#include "particles/crop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- shape ------------------------------------------------------------------------------------
 */

static int even(double px)
{
    return 2 * (int)ceil(px / 2 - 1e-6);
}

int ps_box_shape_find(const struct ps_config *config, const struct ps_result *result, int bin,
                      struct ps_box_shape *ret_shape, struct ps_error *error)
{
    const struct ps_length *box = &config->output.box;
    double side = 1.5 * result->diameter;
    if (box->value > 0 && box->unit == PS_UNIT_ANGSTROM && !(result->pixel_size > 0))
        return ps_fail(error, PS_E_INPUT,
                       "output.box is in A and the pixel size is unknown: set picker.pixel_size");
    if (box->value > 0)
        side = box->unit == PS_UNIT_ANGSTROM ? box->value / result->pixel_size : box->value;
    if (!(side >= PS_MIN_BOX && side <= PS_MAX_BOX))
        return ps_fail(error, PS_E_INPUT, "boxes of %.4g px: %d to %d are possible, see output.box",
                       side, PS_MIN_BOX, PS_MAX_BOX);
    struct ps_box_shape shape = {.side = even(side)};
    const bool binned = bin > 0 && even(bin) < shape.side;
    shape.size = binned ? even(bin) : shape.side;
    const double scale = (double)shape.size / shape.side;
    const double circle = fmax(0.75 * shape.side, fmin(result->diameter, shape.side));
    shape.radius = (int)(circle / 2 * scale);
    shape.invert = config->output.extract_invert == PS_EXTRACT_INVERT_YES ||
                   (config->output.extract_invert == PS_EXTRACT_INVERT_AUTO &&
                    config->picker.contrast != PS_CONTRAST_BRIGHT);
    shape.pixel_size = result->pixel_size / scale;
    *ret_shape = shape;
    return 0;
}

/* ---- sums -------------------------------------------------------------------------------------
 */

enum { LANES = 8 }; /* sums side by side, which compilers make vectors of */

/* Adds the values of up to some thousand pixels, and the same times their number from `at` on. */
static void add_up(const float *values, int count, float at, double *sum, double *moment)
{
    float lanes[LANES] = {0}, moments[LANES] = {0};
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            lanes[j] += values[i + j];
            moments[j] += values[i + j] * (at + (float)(i + j));
        }
    }
    for (; i < count; i++) {
        lanes[0] += values[i];
        moments[0] += values[i] * (at + (float)i);
    }
    for (int j = 0; j < LANES; j++) {
        *sum += lanes[j];
        *moment += moments[j];
    }
}

/* Adds the values and their squares. */
static void add_squares(const float *values, int count, double *sum, double *square)
{
    float lanes[LANES] = {0}, squares[LANES] = {0};
    int i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            lanes[j] += values[i + j];
            squares[j] += values[i + j] * values[i + j];
        }
    }
    for (; i < count; i++) {
        lanes[0] += values[i];
        squares[0] += values[i] * values[i];
    }
    for (int j = 0; j < LANES; j++) {
        *sum += lanes[j];
        *square += squares[j];
    }
}

/* ---- background --------------------------------------------------------------------------------
 */

/* Pixels of a row, columns [begin, end). */
struct run {
    int y, begin, end;
};

/* Coefficients or sums for the plane constant + x X + y Y; (0, 0) is the centre. */
struct plane {
    double constant, x, y;
};

struct ps_boxes {
    struct ps_box_shape shape;
    int threads;
    struct ps_crop *crop;   /* NULL: not binned */
    size_t scratch_size;    /* floats of a thread */
    float *scratch;         /* for each thread */
    struct run *background; /* of a stored box */
    size_t run_count;
    double area;             /* of the background, px */
    struct plane inverse[3]; /* rows of the matrix that makes the plane of best fit of the sums */
};

static void add_run(struct ps_boxes *boxes, int y, int begin, int end)
{
    if (begin >= end)
        return;
    boxes->background[boxes->run_count++] = (struct run){y, begin, end};
    boxes->area += end - begin;
}

static void find_background(struct ps_boxes *boxes)
{
    const int size = boxes->shape.size, centre = size / 2, radius = boxes->shape.radius;
    for (int y = 0; y < size; y++) {
        const int rest = radius * radius - (y - centre) * (y - centre);
        if (rest < 0) {
            add_run(boxes, y, 0, size);
            continue;
        }
        const int reach = (int)sqrt(rest);
        add_run(boxes, y, 0, centre - reach);
        add_run(boxes, y, centre + reach + 1, size);
    }
}

/* The inverse of the symmetric matrix of the sums of 1, x, y and their products. */
static void invert_moments(struct ps_boxes *boxes)
{
    const int centre = boxes->shape.size / 2;
    const double n = boxes->area;
    double x = 0, y = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < boxes->run_count; i++) {
        const struct run *run = &boxes->background[i];
        const double row = run->y - centre;
        for (int column = run->begin; column < run->end; column++) {
            const double at = column - centre;
            x += at;
            y += row;
            xx += at * at;
            xy += at * row;
            yy += row * row;
        }
    }
    const double a = xx * yy - xy * xy, b = xy * y - x * yy, c = x * xy - xx * y;
    const double determinant = n * a + x * b + y * c;
    const double d = (n * yy - y * y) / determinant, e = (x * y - n * xy) / determinant;
    const double f = (n * xx - x * x) / determinant;
    boxes->inverse[0] = (struct plane){a / determinant, b / determinant, c / determinant};
    boxes->inverse[1] = (struct plane){b / determinant, d, e};
    boxes->inverse[2] = (struct plane){c / determinant, e, f};
}

static double times(const struct plane *row, const struct plane *sums)
{
    return row->constant * sums->constant + row->x * sums->x + row->y * sums->y;
}

/* Subtracts the plane that fits the background best. */
static void subtract_plane(const struct ps_boxes *boxes, float *box)
{
    const int size = boxes->shape.size, centre = size / 2;
    struct plane sums = {0, 0, 0};
    for (size_t i = 0; i < boxes->run_count; i++) {
        const struct run *run = &boxes->background[i];
        const float *row = box + (size_t)run->y * (size_t)size;
        double sum = 0;
        add_up(row + run->begin, run->end - run->begin, (float)(run->begin - centre), &sum,
               &sums.x);
        sums.constant += sum;
        sums.y += sum * (run->y - centre);
    }
    const struct plane fit = {times(&boxes->inverse[0], &sums), times(&boxes->inverse[1], &sums),
                              times(&boxes->inverse[2], &sums)};
    for (int y = 0; y < size; y++) {
        float *row = box + (size_t)y * (size_t)size;
        const float constant = (float)(fit.constant + fit.y * (y - centre)), slope = (float)fit.x;
        for (int x = 0; x < size; x++)
            row[x] -= constant + slope * (float)(x - centre);
    }
}

static void normalise(const struct ps_boxes *boxes, float *box)
{
    const size_t size = (size_t)boxes->shape.size;
    double sum = 0, square = 0;
    subtract_plane(boxes, box);
    for (size_t i = 0; i < boxes->run_count; i++) {
        const struct run *run = &boxes->background[i];
        add_squares(box + (size_t)run->y * size + (size_t)run->begin, run->end - run->begin, &sum,
                    &square);
    }
    const double mean = sum / boxes->area, variance = square / boxes->area - mean * mean;
    const double scale = variance > 1e-30 ? 1 / sqrt(variance) : 1;
    const float factor = (float)(boxes->shape.invert ? -scale : scale);
    for (size_t i = 0; i < size * size; i++)
        box[i] = (box[i] - (float)mean) * factor;
}

/* ---- boxes ------------------------------------------------------------------------------------
 */

/* RELION cuts coordinates towards zero. The limit is beyond any micrograph, far from overflow. */
static int whole(float coordinate)
{
    const float limit = 1 << 28;
    return (int)fmaxf(fminf(coordinate, limit), -limit);
}

static int clamp(int value, int end)
{
    return value < 0 ? 0 : value < end ? value : end - 1;
}

/* Copies `side` pixels of a row from column `left` on, and repeats its last ones beyond its ends.
 */
static void copy_row(const struct ps_image *image, int y, int left, int side, float *ret_row)
{
    const int begin = clamp(left, image->width);
    const int end = clamp(left + side - 1, image->width) + 1;
    const int first = left >= 0 ? 0 : -left < side ? -left : side - 1;
    const int count = end - begin;
    const size_t at = (size_t)y * (size_t)image->width + (size_t)begin;
    ps_pixels_to_float((const char *)image->pixels + at * ps_pixel_bytes(image->type), image->type,
                       (size_t)count, ret_row + first);
    for (int x = 0; x < first; x++)
        ret_row[x] = ret_row[first];
    for (int x = first + count; x < side; x++)
        ret_row[x] = ret_row[first + count - 1];
}

/* Subtracts the mean of the finite pixels; the others become 0. Without it the sums of a binned box
 * would lose digits. */
static void subtract_mean(float *box, int side)
{
    const size_t count = (size_t)side * (size_t)side;
    double sum = 0, moment = 0;
    for (int y = 0; y < side; y++)
        add_up(box + (size_t)y * (size_t)side, side, 0, &sum, &moment);
    if (!isfinite(sum)) {
        size_t finite = 0;
        sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += isfinite(box[i]) ? box[i] : 0;
            finite += isfinite(box[i]) != 0;
        }
        const float mean = finite ? (float)(sum / (double)finite) : 0;
        for (size_t i = 0; i < count; i++)
            box[i] = isfinite(box[i]) ? box[i] - mean : 0;
        return;
    }
    const float mean = (float)(sum / (double)count);
    for (size_t i = 0; i < count; i++)
        box[i] -= mean;
}

struct cut {
    struct ps_boxes *boxes;
    const struct ps_image *image;
    const struct ps_pick *picks;
    float *pixels;
};

/* For ps_parallel(). */
static void cut_one(void *context, int thread, size_t piece)
{
    const struct cut *cut = context;
    const struct ps_boxes *boxes = cut->boxes;
    const struct ps_box_shape *shape = &boxes->shape;
    const struct ps_pick *pick = &cut->picks[piece];
    const size_t side = (size_t)shape->side, size = (size_t)shape->size;
    float *ret = cut->pixels + piece * size * size;
    float *scratch = boxes->scratch + (size_t)thread * boxes->scratch_size;
    float *box = boxes->crop ? scratch : ret;
    const int left = whole(pick->x) - shape->side / 2, top = whole(pick->y) - shape->side / 2;
    for (int y = 0; y < shape->side; y++)
        copy_row(cut->image, clamp(top + y, cut->image->height), left, shape->side,
                 box + (size_t)y * side);
    subtract_mean(box, shape->side);
    if (boxes->crop)
        ps_crop_apply(boxes->crop, box, scratch + side * side, ret);
    normalise(boxes, ret);
}

void ps_boxes_cut(struct ps_boxes *boxes, const struct ps_image *image, const struct ps_pick *picks,
                  size_t count, float *ret_pixels)
{
    struct cut cut = {boxes, image, picks, ret_pixels};
    ps_parallel(boxes->threads, count, cut_one, &cut);
}

enum { MAX_SCRATCH_FLOATS = 16 << 20 }; /* of all threads; one box of any size fits */

/* ---- start and end -----------------------------------------------------------------------------
 */

int ps_boxes_new(const struct ps_box_shape *shape, int threads, struct ps_boxes **ret_boxes,
                 struct ps_error *error)
{
    struct ps_boxes *boxes = calloc(1, sizeof *boxes);
    const size_t side = (size_t)shape->side, size = (size_t)shape->size;
    if (!boxes)
        return ps_fail_memory(error, sizeof *boxes, "particles");
    boxes->shape = *shape;
    boxes->threads = threads > 0 ? threads : ps_core_count();
    boxes->background = malloc(2 * size * sizeof *boxes->background);
    int status = 0;
    if (size < side)
        status = ps_crop_new(shape->side, shape->size, &boxes->crop, error);
    if (status == 0 && boxes->crop)
        boxes->scratch_size = side * side + ps_crop_scratch(boxes->crop);
    const size_t fit = MAX_SCRATCH_FLOATS / (boxes->scratch_size + 1) + 1;
    if (fit < (size_t)boxes->threads)
        boxes->threads = (int)fit;
    const size_t floats = (size_t)boxes->threads * boxes->scratch_size;
    boxes->scratch = malloc((floats + 1) * sizeof *boxes->scratch);
    if (status == 0 && (!boxes->background || !boxes->scratch))
        status = ps_fail_memory(error, floats * sizeof *boxes->scratch, "particles");
    if (status) {
        ps_boxes_free(boxes);
        return status;
    }
    find_background(boxes);
    invert_moments(boxes);
    *ret_boxes = boxes;
    return 0;
}

void ps_boxes_free(struct ps_boxes *boxes)
{
    if (!boxes)
        return;
    ps_crop_free(boxes->crop);
    free(boxes->background);
    free(boxes->scratch);
    free(boxes);
}
