/* Micrographs that are searched in parts and picked in tiles: the same picks as of the whole. */
#include "picker/picker.h"
#include "picking.h"
#include "image_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIDE = 1024, DIAMETER = 40 };

/* About nine parts, and seventeen tiles of a field of as many pixels as the image. */
static struct ps_adaptive_rules small_parts(void)
{
    struct ps_adaptive_rules rules = ps_adaptive_rules;
    rules.part = 75;
    rules.tile = 6e4;
    return rules;
}

static struct ps_result pick(const struct test_image *source, const struct ps_adaptive_rules *rules,
                             const char *threads)
{
    struct ps_picker *picker =
        picking_new(SETTINGS("picker.profile", "adaptive", "compute.threads", threads, NULL));
    picker->rules = rules;
    struct ps_image image = test_image_view(source);
    struct ps_result result = picking_run(picker, &image);
    ps_picker_free(picker);
    return result;
}

static double least_distance(const struct ps_result *result)
{
    double least = INFINITY;
    for (size_t i = 0; i < result->count; i++)
        for (size_t k = 0; k < i; k++)
            least = fmin(least, hypot((double)(result->picks[i].x - result->picks[k].x),
                                      (double)(result->picks[i].y - result->picks[k].y)));
    return least;
}

static void tiles_find_what_the_whole_has(void **state)
{
    (void)state;
    struct test_image source = test_image_new(SIDE, SIDE, DIAMETER, 1);
    struct ps_adaptive_rules rules = small_parts();
    struct ps_result whole = pick(&source, &ps_adaptive_rules, "2");
    struct ps_result tiles = pick(&source, &rules, "2");
    struct ps_accuracy accuracy = picking_measure(&source, &tiles);
    print_message("  %zu picks of the whole, %zu in tiles, least distance %.1f px\n", whole.count,
                  tiles.count, least_distance(&tiles));
    assert_true(ps_accuracy_recall(&accuracy) > 0.9);
    assert_true(ps_accuracy_precision(&accuracy) > 0.9);
    assert_true(picking_share_kept(&whole, &tiles) > 0.95);
    assert_true(picking_share_kept(&tiles, &whole) > 0.95);
    assert_true(least_distance(&tiles) > 0.3 * DIAMETER);
    assert_false(tiles.unreliable);
    ps_result_done(&whole);
    ps_result_done(&tiles);
    test_image_done(&source);
}

static void picks_of_tiles_do_not_depend_on_threads(void **state)
{
    (void)state;
    struct test_image source = test_image_new(SIDE, SIDE, DIAMETER, 2);
    struct ps_adaptive_rules rules = small_parts();
    struct ps_result one = pick(&source, &rules, "1");
    struct ps_result five = pick(&source, &rules, "5");
    assert_same_result(&one, &five);
    ps_result_done(&one);
    ps_result_done(&five);
    test_image_done(&source);
}

/* Two thirds of the parts, and some tiles, have nothing to look at. */
static void dead_parts_are_left_out(void **state)
{
    (void)state;
    const int live = 2 * SIDE / 3;
    struct test_image source = test_image_new(SIDE, SIDE, DIAMETER, 3);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < live; x++)
            *test_image_pixel(&source, x, y) = 60;
    struct ps_adaptive_rules rules = small_parts();
    struct ps_result result = pick(&source, &rules, "2");
    assert_int_equal(result.outcome, PS_PICKED);
    assert_false(result.unreliable);
    assert_true(result.count > 15);
    for (size_t i = 0; i < result.count; i++)
        assert_true(result.picks[i].x > (float)(live - DIAMETER));
    ps_result_done(&result);
    test_image_done(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_find_what_the_whole_has),
        cmocka_unit_test(picks_of_tiles_do_not_depend_on_threads),
        cmocka_unit_test(dead_parts_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
