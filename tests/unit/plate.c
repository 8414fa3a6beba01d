#include "plate.h"

#include "image/micrograph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

size_t plate_pixels(const struct plate *plate)
{
    return (size_t)plate->width * (size_t)plate->height;
}

struct plate plate_flat(int width, int height)
{
    struct plate plate = {.width = width, .height = height};
    plate.pixels = malloc(plate_pixels(&plate) * sizeof(float));
    assert_non_null(plate.pixels);
    for (size_t i = 0; i < plate_pixels(&plate); i++)
        plate.pixels[i] = 60;
    return plate;
}

struct plate plate_new(int width, int height, double diameter, uint64_t index)
{
    struct plate plate = plate_flat(width, height);
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = width;
    options.height = height;
    options.diameter = 110;
    options.pixel_size = 110 / diameter;
    options.particles = 0.12 * width * height / (M_PI / 4 * diameter * diameter);
    options.snr = 0.4;
    options.contaminants = 0;
    struct ps_error error;
    if (ps_synth_micrograph(&options, index, plate.pixels, &plate.truth, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < plate_pixels(&plate); i++)
        plate.pixels[i] = rintf(fminf(fmaxf(plate.pixels[i], 0), 127));
    return plate;
}

struct plate plate_noise(int width, int height)
{
    struct plate plate = plate_flat(width, height);
    struct ps_random random = ps_random_new(11, 0, 0);
    for (size_t i = 0; i < plate_pixels(&plate); i++)
        plate.pixels[i] += (float)(5 * ps_random_normal(&random));
    return plate;
}

void plate_done(struct plate *plate)
{
    free(plate->pixels);
    ps_synth_truth_done(&plate->truth);
}

struct ps_image plate_image(const struct plate *plate)
{
    return (struct ps_image){plate->pixels, PS_PIXEL_F32, plate->width, plate->height, 0};
}

float *plate_pixel(const struct plate *plate, int x, int y)
{
    return &plate->pixels[(size_t)y * (size_t)plate->width + (size_t)x];
}

struct plate plate_copy(const struct plate *plate)
{
    struct plate copy = plate_flat(plate->width, plate->height);
    memcpy(copy.pixels, plate->pixels, plate_pixels(&copy) * sizeof *copy.pixels);
    return copy;
}

void *plate_pixels_as(const struct plate *plate, enum ps_pixel type)
{
    size_t count = plate_pixels(plate);
    void *pixels = malloc(count * sizeof(float));
    assert_non_null(pixels);
    for (size_t i = 0; i < count; i++) {
        float value = plate->pixels[i];
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
