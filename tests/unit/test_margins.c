/* Borders without an image: which are found, and their reported width. */
#include "image/margins.h"
#include "synth/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WIDTH = 300, HEIGHT = 200 };

static float *noise(void)
{
    struct ps_random random = ps_random_new(1, 0, 0);
    float *pixels = malloc(WIDTH * HEIGHT * sizeof *pixels);
    assert_non_null(pixels);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = (float)(10 + ps_random_normal(&random));
    return pixels;
}

static void check(const float *pixels, int left, int right, int top, int bottom)
{
    struct ps_image image = {pixels, PS_PIXEL_F32, WIDTH, HEIGHT, 1};
    struct ps_margins margins;
    ps_margins_find(&image, &margins);
    assert_int_equal(margins.left, left);
    assert_int_equal(margins.right, right);
    assert_int_equal(margins.top, top);
    assert_int_equal(margins.bottom, bottom);
}

static void an_image_has_none(void **state)
{
    (void)state;
    float *pixels = noise();
    check(pixels, 0, 0, 0, 0);
    free(pixels);
}

/* The outermost column that is real is repeated outwards; so is the row. */
static void repeated_lines_are_margins(void **state)
{
    (void)state;
    float *pixels = noise();
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < 25; x++)
            pixels[y * WIDTH + x] = pixels[y * WIDTH + 25];
    for (int y = HEIGHT - 12; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            pixels[y * WIDTH + x] = pixels[(HEIGHT - 13) * WIDTH + x];
    check(pixels, 25, 0, 0, 12);
    free(pixels);
}

static void constant_and_missing_frames_are_margins(void **state)
{
    (void)state;
    float *pixels = noise();
    for (int y = 0; y < HEIGHT; y++)
        for (int x = WIDTH - 30; x < WIDTH; x++)
            pixels[y * WIDTH + x] = 7;
    for (int y = 0; y < 20; y++)
        for (int x = 0; x < WIDTH; x++)
            pixels[y * WIDTH + x] = NAN;
    check(pixels, 0, 29, 20, 0); /* the step to the first constant column is a difference */
    free(pixels);
}

static void what_is_all_alike_has_none(void **state)
{
    (void)state;
    float *pixels = noise();
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = 3;
    check(pixels, 0, 0, 0, 0);
    free(pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_has_none),
        cmocka_unit_test(repeated_lines_are_margins),
        cmocka_unit_test(constant_and_missing_frames_are_margins),
        cmocka_unit_test(what_is_all_alike_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
