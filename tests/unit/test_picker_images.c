/* The picker and images that are not as they should be: spoiled pixels, nothing to see, odd sizes.
 */
#include "picking.h"
#include "image_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The image of most tests: 1024 x 1024 px, particles of 40 px. */
static struct test_image sample;

static int make_sample(void **state)
{
    (void)state;
    sample = test_image_new(1024, 1024, 40, 1);
    return 0;
}

static int drop_sample(void **state)
{
    (void)state;
    test_image_done(&sample);
    return 0;
}

/* ---- spoiled pixels -------------------------------------------------------------------------- */

static void expect_picks_in_spite_of(const struct test_image *spoiled,
                                     const char *const warnings[2])
{
    struct ps_result clean = picking_test_image(&sample, NO_SETTINGS);
    struct ps_result result = picking_test_image(spoiled, NO_SETTINGS);
    size_t count = warnings[1] ? 2 : 1;
    assert_int_equal(result.warning_count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(result.warnings[i], warnings[i]);
    assert_true(picking_share_kept(&clean, &result) > 0.9);
    assert_true(picking_share_kept(&result, &clean) > 0.9);
    ps_result_done(&clean);
    ps_result_done(&result);
}

/* P19 */
static void numbers_that_are_none_are_replaced(void **state)
{
    (void)state;
    struct test_image spoiled = test_image_copy(&sample);
    struct ps_random random = ps_random_new(13, 0, 0);
    const float bad[] = {NAN, INFINITY, -INFINITY, -NAN};
    size_t count = 0;
    while (count < 500) {
        float *value = &spoiled.pixels[ps_random_bits(&random) % test_image_pixels(&spoiled)];
        if (isfinite(*value))
            *value = bad[count++ % 4];
    }
    expect_picks_in_spite_of(
        &spoiled, (const char *[]){"500 pixels are no finite numbers: replaced by the mean", NULL});
    test_image_done(&spoiled);
}

/* P19 */
static void dead_lines_are_interpolated(void **state)
{
    (void)state;
    struct test_image spoiled = test_image_copy(&sample);
    const int columns[] = {0, 500, 501, 702, 1023};
    const int rows[] = {333, 1000};
    for (int i = 0; i < 1024; i++) {
        for (size_t c = 0; c < 5; c++)
            *test_image_pixel(&spoiled, columns[c], i) = 0;
        for (size_t r = 0; r < 2; r++)
            *test_image_pixel(&spoiled, i, rows[r]) = 0;
    }
    expect_picks_in_spite_of(&spoiled,
                             (const char *[]){"5 dead columns, the first at x = 0: interpolated",
                                              "2 dead rows, the first at y = 333: interpolated"});
    test_image_done(&spoiled);
}

/* A line of no numbers is a dead line. */
static void lines_of_nan_are_interpolated(void **state)
{
    (void)state;
    struct test_image spoiled = test_image_copy(&sample);
    for (int i = 0; i < 1024; i++)
        *test_image_pixel(&spoiled, 512, i) = NAN;
    expect_picks_in_spite_of(
        &spoiled, (const char *[]){"1024 pixels are no finite numbers: replaced by the mean",
                                   "1 dead columns, the first at x = 512: interpolated"});
    test_image_done(&spoiled);
}

/* P19: one absurd pixel does not hide the rest. */
static void a_hot_pixel_is_survived(void **state)
{
    (void)state;
    struct test_image spoiled = test_image_copy(&sample);
    *test_image_pixel(&spoiled, 600, 400) = 3e38F;
    *test_image_pixel(&spoiled, 300, 700) = -3e38F;
    struct ps_result result = picking_test_image(&spoiled, NO_SETTINGS);
    for (size_t i = 0; i < result.count; i++)
        assert_true(isfinite(result.picks[i].score));
    ps_result_done(&result);
    test_image_done(&spoiled);
}

/* P19 */
static void images_without_content_are_rejected(void **state)
{
    (void)state;
    struct test_image source = test_image_flat(700, 600);
    struct ps_result result = picking_test_image(&source, NO_SETTINGS);
    assert_rejected(&result, "constant image: every pixel is 60");
    *test_image_pixel(&source, 300, 300) = NAN;
    result = picking_test_image(&source, NO_SETTINGS);
    assert_rejected(&result, "constant image: every pixel is 60");
    for (size_t i = 0; i < test_image_pixels(&source); i++)
        source.pixels[i] = i % 2 ? NAN : INFINITY;
    result = picking_test_image(&source, NO_SETTINGS);
    assert_rejected(&result, "no pixel is a finite number");
    test_image_done(&source);
}

/* Nothing to find, and an end to it. */
static void noise_and_patterns_end(void **state)
{
    (void)state;
    const char *const classifiers[] = {"svm", "naive_bayes", "mixture"};
    struct test_image images[] = {test_image_noise(1024, 1024), test_image_flat(600, 600),
                                  test_image_flat(600, 600), test_image_flat(600, 600),
                                  test_image_flat(600, 600)};
    for (int y = 0; y < 600; y++) {
        for (int x = 0; x < 600; x++) {
            *test_image_pixel(&images[1], x, y) = (float)x; /* slopes */
            *test_image_pixel(&images[2], x, y) = (float)(x + y);
            *test_image_pixel(&images[3], x, y) = (float)((x + y) % 2); /* checkers */
            if (x < 50 || y < 50) /* something, but not where picks are looked for */
                *test_image_pixel(&images[4], x, y) = *test_image_pixel(&images[0], x, y);
        }
    }
    for (size_t p = 0; p < sizeof images / sizeof *images; p++) {
        for (size_t c = 0; c < 3; c++) {
            struct ps_result result =
                picking_test_image(&images[p], SETTINGS("picker.classifier", classifiers[c]));
            assert_in_range(result.count, 0, 5);
            assert_int_equal(*result.reason != '\0', result.outcome == PS_REJECTED);
            ps_result_done(&result);
        }
        test_image_done(&images[p]);
    }
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static void small_images_are_refused(void **state)
{
    (void)state;
    struct test_image source = test_image_noise(246, 1000);
    struct ps_image image = test_image_view(&source);
    assert_refused(&image, NO_SETTINGS,
                   "too small: 246 x 1000 px, at least 247 x 247 expected for two windows at a "
                   "particle diameter of 40 px");
    image.width = image.height = 1;
    assert_refused(&image, NO_SETTINGS,
                   "too small: 1 x 1 px, at least 247 x 247 expected for two windows at a "
                   "particle diameter of 40 px");
    image.height = 0;
    assert_refused(&image, NO_SETTINGS, "empty image: 1 x 0 px");
    image.height = 1;
    image.pixels = NULL;
    assert_refused(&image, NO_SETTINGS, "empty image: 1 x 1 px");
    test_image_done(&source);
}

static void large_images_are_refused(void **state)
{
    (void)state;
    struct ps_image image = test_image_view(&sample);
    assert_refused(&image, SETTINGS("compute.max_pixels", "1000000"),
                   "too large: 1024 x 1024 px, at most 1000000 px expected (compute.max_pixels)");
}

/* P24 */
static void sizes_may_be_odd_or_prime(void **state)
{
    (void)state;
    const int sizes[][2] = {{1009, 1009}, {1021, 997}, {1001, 1301}, {1024, 1023}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct test_image source = test_image_new(sizes[i][0], sizes[i][1], 40, 2 + i);
        struct ps_result result = picking_test_image(&source, NO_SETTINGS);
        struct ps_accuracy accuracy = picking_measure(&source, &result);
        assert_true(accuracy.truth > 30);
        assert_true(ps_accuracy_recall(&accuracy) > 0.85);
        assert_inside_margins(&source, &result);
        ps_result_done(&result);
        test_image_done(&source);
    }
}

/* P27: the profile looks at a square at the first corner. Its outermost picks, from the outermost
 * windows of that square: apple-reference sections 2, 3 and 9, for windows of 12 px at half the
 * resolution. */
static void margins_say_where_nothing_is_looked_for(void **state)
{
    (void)state;
    const int sizes[][2] = {{1400, 900}, {900, 1400}, {901, 901}};
    for (size_t i = 0; i < 3; i++) {
        struct test_image source = test_image_new(sizes[i][0], sizes[i][1], 40, 7);
        struct ps_result result = picking_test_image(&source, NO_SETTINGS);
        int shorter = sizes[i][0] < sizes[i][1] ? sizes[i][0] : sizes[i][1];
        int side = (shorter - 99 - 100) / 2;
        int last_window = side - 12;
        int last = 99 + 2 * (last_window - 6 + 6);
        assert_int_equal(result.unpicked_margin[0], 99 + 2 * 11);
        assert_int_equal(result.unpicked_margin[2], 99 + 2 * 11);
        assert_int_equal(result.unpicked_margin[1], sizes[i][0] - 1 - last);
        assert_int_equal(result.unpicked_margin[3], sizes[i][1] - 1 - last);
        assert_true(result.count > 20);
        assert_inside_margins(&source, &result);
        ps_result_done(&result);
        test_image_done(&source);
    }
}

static void large_particles_are_found(void **state)
{
    (void)state;
    struct test_image source = test_image_new(2048, 2048, 400, 1);
    struct ps_result result = picking_test_image(
        &source, SETTINGS("picker.particle_diameter", "400px", "picker.container_size", "0"));
    struct ps_accuracy accuracy = picking_measure(&source, &result);
    print_message("  %zu picks, %zu of %zu particles\n", result.count, accuracy.matched,
                  accuracy.truth);
    assert_true(accuracy.matched >= 1);
    assert_true(ps_accuracy_precision(&accuracy) > 0.5);
    ps_result_done(&result);
    test_image_done(&source);
}

static void an_image_may_be_less_than_a_container(void **state)
{
    (void)state;
    struct test_image source = test_image_new(560, 560, 24, 4);
    struct ps_result result = picking_test_image(
        &source, SETTINGS("picker.particle_diameter", "24px", "picker.container_size", "0"));
    struct ps_accuracy accuracy = picking_measure(&source, &result);
    assert_true(accuracy.matched >= 5);
    assert_true(ps_accuracy_precision(&accuracy) > 0.7);
    ps_result_done(&result);
    test_image_done(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_that_are_none_are_replaced),
        cmocka_unit_test(dead_lines_are_interpolated),
        cmocka_unit_test(lines_of_nan_are_interpolated),
        cmocka_unit_test(a_hot_pixel_is_survived),
        cmocka_unit_test(images_without_content_are_rejected),
        cmocka_unit_test(noise_and_patterns_end),
        cmocka_unit_test(small_images_are_refused),
        cmocka_unit_test(large_images_are_refused),
        cmocka_unit_test(sizes_may_be_odd_or_prime),
        cmocka_unit_test(margins_say_where_nothing_is_looked_for),
        cmocka_unit_test(large_particles_are_found),
        cmocka_unit_test(an_image_may_be_less_than_a_container),
    };
    return cmocka_run_group_tests(tests, make_sample, drop_sample);
}
