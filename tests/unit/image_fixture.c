#include "image_fixture.h"

#include "image/micrograph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

size_t test_image_pixels(const struct test_image *source)
{
    return (size_t)source->width * (size_t)source->height;
}

struct test_image test_image_flat(int width, int height)
{
    struct test_image source = {.width = width, .height = height};
    source.pixels = malloc(test_image_pixels(&source) * sizeof(float));
    assert_non_null(source.pixels);
    for (size_t i = 0; i < test_image_pixels(&source); i++)
        source.pixels[i] = 60;
    return source;
}

struct test_image test_image_new(int width, int height, double diameter, uint64_t index)
{
    struct test_image source = test_image_flat(width, height);
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = width;
    options.height = height;
    options.diameter = 110;
    options.pixel_size = 110 / diameter;
    options.particles = 0.12 * width * height / (M_PI / 4 * diameter * diameter);
    options.snr = 0.4;
    options.contaminants = 0;
    struct ps_error error;
    if (ps_synth_micrograph(&options, index, source.pixels, &source.truth, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < test_image_pixels(&source); i++)
        source.pixels[i] = rintf(fminf(fmaxf(source.pixels[i], 0), 127));
    return source;
}

struct test_image test_image_noise(int width, int height)
{
    struct test_image source = test_image_flat(width, height);
    struct ps_random random = ps_random_new(11, 0, 0);
    for (size_t i = 0; i < test_image_pixels(&source); i++)
        source.pixels[i] += (float)(5 * ps_random_normal(&random));
    return source;
}

void test_image_done(struct test_image *source)
{
    free(source->pixels);
    ps_synth_truth_done(&source->truth);
}

struct ps_image test_image_view(const struct test_image *source)
{
    return (struct ps_image){source->pixels, PS_PIXEL_F32, source->width, source->height, 0};
}

float *test_image_pixel(const struct test_image *source, int x, int y)
{
    return &source->pixels[(size_t)y * (size_t)source->width + (size_t)x];
}

struct test_image test_image_copy(const struct test_image *source)
{
    struct test_image copy = test_image_flat(source->width, source->height);
    memcpy(copy.pixels, source->pixels, test_image_pixels(&copy) * sizeof *copy.pixels);
    return copy;
}

void *test_image_pixels_as(const struct test_image *source, enum ps_pixel type)
{
    size_t count = test_image_pixels(source);
    void *pixels = malloc(count * sizeof(float));
    assert_non_null(pixels);
    for (size_t i = 0; i < count; i++) {
        float value = source->pixels[i];
        switch (type) {
        case PS_PIXEL_I8:
            ((int8_t *)pixels)[i] = (int8_t)value;
            break;
        case PS_PIXEL_U8:
            ((uint8_t *)pixels)[i] = (uint8_t)value;
            break;
        case PS_PIXEL_I16:
            ((int16_t *)pixels)[i] = (int16_t)value;
            break;
        case PS_PIXEL_U16:
            ((uint16_t *)pixels)[i] = (uint16_t)value;
            break;
        case PS_PIXEL_F16:
            ((uint16_t *)pixels)[i] = ps_float_to_half(value);
            break;
        case PS_PIXEL_F32:
            ((float *)pixels)[i] = value;
            break;
        }
    }
    return pixels;
}
