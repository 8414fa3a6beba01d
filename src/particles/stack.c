#include "particles/stack.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "image/micrograph.h"
#include "image/mrc_header.h"

#include <endian.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 16 << 20 };

/* Of the stored values. */
struct sums {
    double low, high, sum, square;
};

enum { LANES = 8 }; /* values side by side, which compilers make vectors of */

/* Up to some thousand values. */
static void measure(const float *pixels, size_t count, struct sums *sums)
{
    float low[LANES], high[LANES], sum[LANES] = {0}, square[LANES] = {0};
    for (int j = 0; j < LANES; j++) {
        low[j] = INFINITY;
        high[j] = -INFINITY;
    }
    for (size_t i = 0; i < count; i += LANES) {
        const size_t lanes = count - i < LANES ? count - i : LANES;
        for (size_t j = 0; j < lanes; j++) {
            const float value = pixels[i + j];
            low[j] = low[j] < value ? low[j] : value;
            high[j] = high[j] > value ? high[j] : value;
            sum[j] += value;
            square[j] += value * value;
        }
    }
    for (int j = 0; j < LANES; j++) {
        sums->low = fmin(sums->low, low[j]);
        sums->high = fmax(sums->high, high[j]);
        sums->sum += sum[j];
        sums->square += square[j];
    }
}

/* Makes the bytes of the file of floats, in their place. Returns the number of bytes. */
static size_t encode(float *pixels, size_t count, bool half, struct sums *sums)
{
    enum { PART = 4096 };
    unsigned char *at = (unsigned char *)pixels;
    for (size_t i = 0; i < count && half; i++)
        pixels[i] = ps_half_to_float(ps_float_to_half(pixels[i]));
    for (size_t i = 0; i < count; i += PART)
        measure(pixels + i, count - i < PART ? count - i : PART, sums);
    for (size_t i = 0; i < count && half; i++) {
        const uint16_t bits = htole16(ps_float_to_half(pixels[i]));
        memcpy(at + i * sizeof bits, &bits, sizeof bits);
    }
    for (size_t i = 0; i < count && !half; i++) {
        uint32_t bits;
        memcpy(&bits, &pixels[i], sizeof bits);
        bits = htole32(bits);
        memcpy(at + i * sizeof bits, &bits, sizeof bits);
    }
    return count * (half ? sizeof(uint16_t) : sizeof(float));
}

static void write_header(FILE *stream, const struct ps_stack *stack, const struct sums *sums)
{
    uint8_t bytes[PS_MRC_HEADER_BYTES];
    const double size = stack->shape.size, count = (double)stack->count * size * size;
    const double mean = sums->sum / count;
    const struct ps_mrc_header header = {
        .width = stack->shape.size,
        .height = stack->shape.size,
        .sections = (int)stack->count,
        .mode = stack->half ? 12 : 2,
        .pixel_size = stack->shape.pixel_size,
        .low = sums->low,
        .high = sums->high,
        .mean = mean,
        .deviation = sqrt(fmax(0, sums->square / count - mean * mean)),
    };
    ps_mrc_header_fill(&header, bytes);
    (void)fwrite(bytes, 1, sizeof bytes, stream);
}

/* For ps_file_write_atomically(). The header, with statistics of the boxes, is written last. */
static int write_stack(FILE *stream, const void *context, struct ps_error *error)
{
    const struct ps_stack *stack = context;
    const size_t pixels = (size_t)stack->shape.size * (size_t)stack->shape.size;
    const size_t fit = BATCH_BYTES / (pixels * sizeof(float)) + 1;
    const size_t batch = fit < stack->count ? fit : stack->count;
    struct sums sums = {.low = INFINITY, .high = -INFINITY};
    struct ps_boxes *boxes = NULL;
    PS_TRY(ps_boxes_new(&stack->shape, stack->threads, &boxes, error));
    float *memory = malloc(batch * pixels * sizeof *memory);
    int status = memory ? 0 : ps_fail_memory(error, batch * pixels * sizeof *memory, "particles");
    if (status == 0)
        write_header(stream, stack, &sums);
    for (size_t i = 0; i < stack->count && status == 0 && !ferror(stream); i += batch) {
        const size_t count = stack->count - i < batch ? stack->count - i : batch;
        ps_boxes_cut(boxes, stack->image, stack->picks + i, count, memory);
        (void)fwrite(memory, 1, encode(memory, count * pixels, stack->half, &sums), stream);
    }
    if (status == 0 && !ferror(stream) && fseek(stream, 0, SEEK_SET) != 0)
        status = ps_fail(error, PS_E_SYSTEM, "cannot write: %s", strerror(errno));
    if (status == 0 && !ferror(stream))
        write_header(stream, stack, &sums);
    free(memory);
    ps_boxes_free(boxes);
    return status;
}

int ps_stack_write(const char *path, const struct ps_stack *stack, struct ps_error *error)
{
    return ps_file_write_atomically(path, write_stack, stack, error);
}
