/* The unmasked share of windows: filters of the mask's weights. Where nothing but the frame is
 * masked, which is most often, they are products of two lines. */
#include "backend/cpu/adaptive.h"

#include "base/error.h"
#include "base/parallel.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_PIECE = 32 };

struct product {
    const float *along_x;
    const float *along_y;
    float *out;
    int width;
    int height;
};

static void multiply_rows(void *context, int thread, size_t piece)
{
    (void)thread;
    const struct product *p = context;
    int first = (int)piece * ROWS_PER_PIECE;
    for (int y = first; y < first + ROWS_PER_PIECE && y < p->height; y++) {
        float *out = p->out + (size_t)y * (size_t)p->width;
        float share = p->along_y[y];
        for (int x = 0; x < p->width; x++)
            out[x] = share * p->along_x[x];
    }
}

/* A line with its frame, filtered `passes` times; `room` holds the line with its mirror image of
 * `radius` px on both sides. */
static void make_line(int size, int frame, const float *weights, int radius, int passes,
                      double *room, float *ret_line)
{
    for (int x = 0; x < size; x++)
        ret_line[x] = x >= frame && x < size - frame;
    for (int pass = 0; pass < passes; pass++) {
        for (int x = -radius; x < size + radius; x++)
            room[x + radius] = (double)ret_line[ps_mirror(x, size)];
        for (int x = 0; x < size; x++) {
            const double *middle = room + radius + x;
            double sum = (double)weights[0] * middle[0];
            for (int k = 1; k <= radius; k++)
                sum += (double)weights[k] * (middle[-k] + middle[k]);
            ret_line[x] = (float)sum;
        }
    }
}

/* `sigma`: of a Gaussian; 0: a box. */
static int multiply_lines(struct cpu_slot *slot, int radius, double sigma, int passes,
                          float *ret_out, struct ps_error *error)
{
    const struct cpu_adaptive *a = slot->adaptive;
    int width = a->field.width;
    int height = a->field.height;
    size_t longest = (size_t)(width > height ? width : height) + 2 * (size_t)radius;
    size_t floats = (size_t)width + (size_t)height + (size_t)radius + 1;
    size_t bytes = longest * sizeof(double) + floats * sizeof(float);
    double *room = malloc(bytes);
    if (!room)
        return ps_fail_memory(error, bytes, "a filter");
    float *lines = (float *)(room + longest);
    float *weights = lines + width + height;
    for (int k = 0; k <= radius; k++)
        weights[k] = 1.0F / (float)(2 * radius + 1);
    if (sigma > 0)
        ps_gauss_weights(sigma, weights);
    struct product p = {lines, lines + width, ret_out, width, height};
    make_line(width, a->field.frame_field_px, weights, radius, passes, room, lines);
    make_line(height, a->field.frame_field_px, weights, radius, passes, room, lines + width);
    ps_parallel(slot->threads, ((size_t)height + ROWS_PER_PIECE - 1) / ROWS_PER_PIECE,
                multiply_rows, &p);
    free(room);
    return 0;
}

static bool is_only_frame_masked(const struct ps_field *field)
{
    int width = field->width - 2 * field->frame_field_px;
    int height = field->height - 2 * field->frame_field_px;
    return field->unmasked == (size_t)width * (size_t)height;
}

int cpu_share_box(struct cpu_slot *slot, int side, int passes, float *ret_out,
                  struct ps_error *error)
{
    const struct cpu_adaptive *a = slot->adaptive;
    if (is_only_frame_masked(&a->field))
        return multiply_lines(slot, side / 2, 0, passes, ret_out, error);
    const float *in = a->weight.data;
    for (int pass = 0; pass < passes; pass++, in = ret_out)
        PS_TRY(cpu_box(slot, in, side, ret_out, error));
    return 0;
}

int cpu_share_gauss(struct cpu_slot *slot, double sigma, float *ret_out, struct ps_error *error)
{
    const struct cpu_adaptive *a = slot->adaptive;
    if (is_only_frame_masked(&a->field))
        return multiply_lines(slot, ps_gauss_radius(sigma), sigma, 1, ret_out, error);
    return cpu_gauss(slot, a->weight.data, sigma, ret_out, error);
}
