/* Areas without image data: which are found, and which texture is not one. */
#include "image/dead_areas.h"
#include "synth/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WIDTH = 301, HEIGHT = 202 };

static float *noise(void)
{
    struct ps_random random = ps_random_new(1, 0, 0);
    float *pixels = malloc(WIDTH * HEIGHT * sizeof *pixels);
    assert_non_null(pixels);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = (float)(10 + ps_random_normal(&random));
    return pixels;
}

static void fill(float *pixels, int left, int top, int width, int height, float value)
{
    for (int y = top; y < top + height; y++)
        for (int x = left; x < left + width; x++)
            pixels[y * WIDTH + x] = value;
}

static struct ps_dead_areas find(const float *pixels)
{
    struct ps_image image = {pixels, PS_PIXEL_F32, WIDTH, HEIGHT, 1};
    struct ps_dead_areas areas;
    assert_int_equal(ps_dead_areas_find(&image, 2, &areas, NULL), 0);
    return areas;
}

/* Every pixel of the rectangle is in a dead area, and none farther from it than two tiles. */
static void check_rectangle(const float *pixels, int left, int top, int width, int height)
{
    enum { NEAR = 2 * PS_DEAD_TILE };
    struct ps_dead_areas areas = find(pixels);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            bool inside = x >= left && x < left + width && y >= top && y < top + height;
            bool near = x >= left - NEAR && x < left + width + NEAR && y >= top - NEAR &&
                        y < top + height + NEAR;
            if (inside || !near)
                assert_int_equal(ps_dead_areas_hold(&areas, x, y), inside);
        }
    ps_dead_areas_done(&areas);
}

static void check_margins(const float *pixels, int left, int right, int top, int bottom)
{
    struct ps_image image = {pixels, PS_PIXEL_F32, WIDTH, HEIGHT, 1};
    struct ps_dead_areas areas = find(pixels);
    const int expected[] = {left, right, top, bottom};
    int margins[4];
    ps_dead_areas_margins(&areas, &image, margins);
    for (int i = 0; i < 4; i++) {
        assert_true(margins[i] >= expected[i]);
        assert_true(margins[i] <= (expected[i] ? expected[i] + 2 * PS_DEAD_TILE : 0));
    }
    ps_dead_areas_done(&areas);
}

static void an_image_has_none(void **state)
{
    (void)state;
    float *pixels = noise();
    struct ps_dead_areas areas = find(pixels);
    assert_int_equal(areas.count, 0);
    ps_dead_areas_done(&areas);
    free(pixels);
}

/* Counting detectors: most pixels are 0, some are 1. */
static void few_grey_levels_are_not_dead(void **state)
{
    (void)state;
    float *pixels = noise();
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = pixels[i] > 11;
    struct ps_dead_areas areas = find(pixels);
    assert_int_equal(areas.count, 0);
    ps_dead_areas_done(&areas);
    free(pixels);
}

/* The outermost column that is real is repeated outwards; so is the row. */
static void repeated_lines_are_dead(void **state)
{
    (void)state;
    float *pixels = noise();
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < 25; x++)
            pixels[y * WIDTH + x] = pixels[y * WIDTH + 25];
    for (int y = HEIGHT - 12; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            pixels[y * WIDTH + x] = pixels[(HEIGHT - 13) * WIDTH + x];
    check_margins(pixels, 25, 0, 0, 12);
    free(pixels);
}

static void constant_and_missing_frames_are_dead(void **state)
{
    (void)state;
    float *pixels = noise();
    fill(pixels, WIDTH - 30, 0, 30, HEIGHT, 7);
    fill(pixels, 0, 0, WIDTH, 20, NAN);
    check_margins(pixels, 0, 30, 20, 0);
    free(pixels);
}

static void strips_and_blocks_are_dead_wherever_they_are(void **state)
{
    (void)state;
    static const int rectangles[][4] = {
        {0, 0, WIDTH / 2, HEIGHT}, /* left half */
        {0, 0, WIDTH, HEIGHT / 2}, /* top half */
        {60, 0, 180, HEIGHT},      /* most of the middle */
        {101, 50, 33, 41},         /* a block */
        {102, 51, 20, 20},         /* a small one */
        {0, 97, WIDTH, 11},        /* a few lines */
        {WIDTH - 40, 150, 40, 52}, /* a corner */
    };
    static const float values[] = {0, 10, -1e6F, NAN, INFINITY};
    for (size_t i = 0; i < sizeof rectangles / sizeof *rectangles; i++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            const int *r = rectangles[i];
            float *pixels = noise();
            fill(pixels, r[0], r[1], r[2], r[3], values[v]);
            check_rectangle(pixels, r[0], r[1], r[2], r[3]);
            free(pixels);
        }
}

static void what_is_all_alike_has_none(void **state)
{
    (void)state;
    float *pixels = noise();
    fill(pixels, 0, 0, WIDTH, HEIGHT, 3);
    struct ps_dead_areas areas = find(pixels);
    assert_int_equal(areas.count, 0);
    ps_dead_areas_done(&areas);
    free(pixels);
}

static void binned_pixels_are_dead_that_have_a_dead_pixel(void **state)
{
    (void)state;
    float *pixels = noise();
    fill(pixels, 100, 60, 40, 40, 0);
    struct ps_dead_areas areas = find(pixels);
    for (int bin = 1; bin <= 9; bin += 2) {
        int width = WIDTH / bin;
        int height = HEIGHT / bin;
        unsigned char *dead = malloc((size_t)width * (size_t)height);
        assert_non_null(dead);
        size_t count = ps_dead_areas_bin(&areas, bin, width, height, dead);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                bool any = false;
                for (int i = 0; i < bin * bin; i++)
                    any |= ps_dead_areas_hold(&areas, x * bin + i % bin, y * bin + i / bin);
                assert_int_equal(dead[y * width + x], any);
                count -= any;
            }
        assert_int_equal(count, 0);
        free(dead);
    }
    ps_dead_areas_done(&areas);
    free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_has_none),
        cmocka_unit_test(few_grey_levels_are_not_dead),
        cmocka_unit_test(repeated_lines_are_dead),
        cmocka_unit_test(constant_and_missing_frames_are_dead),
        cmocka_unit_test(strips_and_blocks_are_dead_wherever_they_are),
        cmocka_unit_test(what_is_all_alike_has_none),
        cmocka_unit_test(binned_pixels_are_dead_that_have_a_dead_pixel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
