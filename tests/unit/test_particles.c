/* Boxes around picks where RELION cannot be asked: at every edge, without a finite pixel or any
 * contrast; and the limits of a message of them. */
#include "image/micrograph.h"
#include "particles/boxes.h"
#include "particles/crop.h"
#include "particles/set.h"
#include "pickstream_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

enum { WIDTH = 21, HEIGHT = 13, SIDE = 16, PIXELS = SIDE * SIDE };

static int16_t image_pixels[WIDTH * HEIGHT];
static const struct ps_image image = {image_pixels, PS_PIXEL_I16, WIDTH, HEIGHT, 1.5};
static const struct ps_box_shape shape = {.side = SIDE, .size = SIDE, .radius = 6};

static int fill_image(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (size_t i = 0; i < WIDTH * HEIGHT; i++) {
        random = random * 1664525 + 1013904223;
        image_pixels[i] = (int16_t)(20000 + (random >> 22));
    }
    return 0;
}

static void cut(const struct ps_box_shape *form, const struct ps_image *from, int threads,
                const struct ps_pick *picks, size_t count, float *ret)
{
    struct ps_boxes *boxes = NULL;
    struct ps_error error;
    assert_int_equal(ps_boxes_new(form, threads, &boxes, &error), 0);
    ps_boxes_cut(boxes, from, picks, count, ret);
    ps_boxes_free(boxes);
}

static int nearest(int at, int end)
{
    return at < 0 ? 0 : at < end ? at : end - 1;
}

static double pixel_at(int x, int y)
{
    return image_pixels[nearest(y, HEIGHT) * WIDTH + nearest(x, WIDTH)];
}

/* True if the box has the pixels of the image, those beyond its edges repeated, but for a factor
 * and the plane that was subtracted: mixed differences do not see that. */
static void check_pixels(const float *box, int left, int top)
{
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < PIXELS - SIDE; i++) {
        if (i % SIDE == SIDE - 1)
            continue;
        const int x = left + i % SIDE, y = top + i / SIDE;
        const double a = box[i] - box[i + 1] - box[i + SIDE] + box[i + SIDE + 1];
        const double b =
            pixel_at(x, y) - pixel_at(x + 1, y) - pixel_at(x, y + 1) + pixel_at(x + 1, y + 1);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    assert_true(ab > 0.999999 * sqrt(aa * bb));
}

static void edges(void **state)
{
    (void)state;
    const struct ps_pick picks[] = {
        {.x = 10, .y = 6.99f}, {.x = 0, .y = 0},  {.x = 20.9f, .y = 12}, {.x = -0.9f, .y = 12},
        {.x = 20, .y = 0.5f},  {.x = -6, .y = 6}, {.x = 10, .y = 17}};
    enum { COUNT = sizeof picks / sizeof *picks };
    float one[COUNT * PIXELS], three[COUNT * PIXELS];
    cut(&shape, &image, 1, picks, COUNT, one);
    cut(&shape, &image, 3, picks, COUNT, three);
    assert_memory_equal(one, three, sizeof one);
    for (size_t i = 0; i < COUNT; i++) {
        const float *box = one + i * PIXELS;
        check_pixels(box, (int)picks[i].x - 8, (int)picks[i].y - 8);
        double sum = 0, square = 0, count = 0;
        for (int k = 0; k < PIXELS; k++) {
            const int x = k % SIDE - 8, y = k / SIDE - 8;
            if (x * x + y * y <= 36)
                continue;
            sum += box[k];
            square += box[k] * box[k];
            count++;
        }
        assert_true(fabs(sum / count) < 1e-4 && fabs(square / count - 1) < 1e-4);
    }
}

/* Coordinates beyond everything give a box, whatever it shows. */
static void far_outside(void **state)
{
    (void)state;
    const struct ps_pick picks[] = {{.x = 1e30f, .y = -1e30f}, {.x = -100, .y = 1000}};
    float boxes[2 * PIXELS];
    cut(&shape, &image, 1, picks, 2, boxes);
    for (size_t i = 0; i < 2 * PIXELS; i++)
        assert_true(boxes[i] == 0); /* one pixel, repeated: no contrast */
}

static void pixels_that_are_no_numbers(void **state)
{
    (void)state;
    float pixels[WIDTH * HEIGHT];
    const struct ps_image floats = {pixels, PS_PIXEL_F32, WIDTH, HEIGHT, 1.5};
    const struct ps_pick pick = {.x = 10, .y = 6};
    const struct ps_box_shape binned = {.side = SIDE, .size = 8, .radius = 3};
    float box[PIXELS];
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = i % 50 == 0 ? NAN : i % 50 == 25 ? INFINITY : image_pixels[i];
    cut(&binned, &floats, 1, &pick, 1, box);
    for (int i = 0; i < 64; i++)
        assert_true(isfinite(box[i]));
    for (size_t i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = NAN;
    cut(&shape, &floats, 1, &pick, 1, box);
    for (int i = 0; i < PIXELS; i++)
        assert_true(box[i] == 0);
}

/* Waves that the smaller image can hold are the same ones in it. */
static void cropping_keeps_low_frequencies(void **state)
{
    (void)state;
    enum { FROM = 22, TO = 10 };
    struct ps_crop *crop = NULL;
    struct ps_error error;
    float large[FROM * FROM], small[TO * TO];
    const double pi = acos(-1.0);
    assert_int_equal(ps_crop_new(FROM, TO, &crop, &error), 0);
    float *scratch = malloc(ps_crop_scratch(crop) * sizeof *scratch);
    for (int kx = 0; kx < TO / 2; kx++) {
        for (int ky = 0; ky < TO / 2; ky++) {
            for (int i = 0; i < FROM * FROM; i++)
                large[i] = (float)cos(2 * pi * (kx * (i % FROM) - ky * (i / FROM)) / FROM + 0.3);
            ps_crop_apply(crop, large, scratch, small);
            for (int i = 0; i < TO * TO; i++)
                assert_true(fabs(small[i] -
                                 cos(2 * pi * (kx * (i % TO) - ky * (i / TO)) / TO + 0.3)) < 1e-5);
        }
    }
    free(scratch);
    ps_crop_free(crop);
}

static struct ps_config *config_with(const char *const values[][2], size_t count)
{
    struct ps_config *config = ps_config_new();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ps_config_set(config, values[i][0], values[i][1], NULL), 0);
    return config;
}

static void shapes(void **state)
{
    (void)state;
    const char *const values[][2] = {{"output.box", "30.5"}, {"picker.contrast", "bright"}};
    const struct ps_result result = {.diameter = 9, .pixel_size = 1.5};
    struct ps_config *config = config_with(values, 2);
    struct ps_box_shape found = {0};
    struct ps_error error;
    assert_int_equal(ps_box_shape_find(config, &result, 11, &found, &error), 0);
    assert_int_equal(found.side, 22); /* of 20.3 px */
    assert_int_equal(found.size, 12);
    assert_int_equal(found.radius, 4); /* of 3/8 of 12 */
    assert_false(found.invert);
    assert_true(fabs(found.pixel_size - 1.5 * 22 / 12) < 1e-9);
    const struct ps_result unknown = {.diameter = 9};
    assert_int_equal(ps_box_shape_find(config, &unknown, 0, &found, &error), PS_E_INPUT);
    assert_non_null(strstr(error.message, "pixel size"));
    assert_int_equal(ps_config_set(config, "output.box", "5000 px", NULL), 0);
    assert_int_equal(ps_box_shape_find(config, &result, 0, &found, &error), PS_E_INPUT);
    ps_config_free(config);
}

static void messages_are_bounded(void **state)
{
    (void)state;
    const char *const values[][2] = {
        {"publish.particles", "512"}, {"publish.particles_max", "30"}, {"output.box", "600 px"}};
    struct ps_config *config = config_with(values, 3);
    struct ps_pick picks[40] = {{.x = 3}};
    struct ps_result result = {.picks = picks, .count = 40, .diameter = 9};
    struct ps_particle_set set;
    struct ps_error error;
    assert_int_equal(ps_particle_set_make(config, &image, &result, &set, &error), 0);
    assert_int_equal(set.count, 16); /* 8 MiB */
    assert_int_equal(ps_particle_set_bytes(&set), PS_MAX_SET_BYTES);
    ps_particle_set_done(&set);
    assert_int_equal(ps_config_set(config, "publish.particles", "16", NULL), 0);
    assert_int_equal(ps_particle_set_make(config, &image, &result, &set, &error), 0);
    assert_int_equal(set.count, 30);
    ps_particle_set_done(&set);
    result.count = 0;
    assert_int_equal(ps_particle_set_make(config, &image, &result, &set, &error), 0);
    assert_int_equal(set.count, 0);
    ps_config_free(config);
}

static void halves_of_the_public_header(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 65536; i++) {
        const uint8_t bytes[] = {0, 0, (uint8_t)i, (uint8_t)(i >> 8)};
        if ((i >> 10 & 31) != 31)
            assert_true(ps_wire_half(bytes, 1) == ps_half_to_float((uint16_t)i));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges),
        cmocka_unit_test(far_outside),
        cmocka_unit_test(pixels_that_are_no_numbers),
        cmocka_unit_test(cropping_keeps_low_frequencies),
        cmocka_unit_test(shapes),
        cmocka_unit_test(messages_are_bounded),
        cmocka_unit_test(halves_of_the_public_header),
    };
    return cmocka_run_group_tests_name("particles", tests, fill_image, NULL);
}
