/* The picker as a program that links the library sees it: same pixels, same picks; what the
 * settings do, and the warnings about unusual ones. */
#include "image/micrograph.h"
#include "picker/picker.h"
#include "picking.h"
#include "image_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

/* ---- picks ----------------------------------------------------------------------------------- */

static void particles_are_found(void **state)
{
    (void)state;
    struct ps_result result = picking_test_image(&sample, NO_SETTINGS);
    struct ps_accuracy accuracy = picking_measure(&sample, &result);
    print_message("  %zu picks, %zu of %zu particles\n", result.count, accuracy.matched,
                  accuracy.truth);
    assert_true(accuracy.truth > 40);
    assert_true(ps_accuracy_recall(&accuracy) > 0.9);
    assert_true(ps_accuracy_precision(&accuracy) > 0.9);
    assert_inside_margins(&sample, &result);
    assert_int_equal(result.outcome, PS_PICKED);
    assert_string_equal(result.reason, "");
    assert_int_equal(result.warning_count, 0);
    assert_false(result.truncated);
    assert_true(result.diameter == 40);
    assert_memory_equal(result.device, "cpu ", 4);
    for (size_t i = 0; i < result.count; i++) {
        /* whole regions of windows, each a few px and no larger than a particle */
        assert_true(result.picks[i].area >= 4 && result.picks[i].area <= 80 * 80);
        assert_true(result.picks[i].x == rintf(result.picks[i].x));
    }
    ps_result_done(&result);
    assert_null(result.picks);
    assert_int_equal(result.count, 0);
    ps_result_done(&result);
}

/* P26 */
static void threads_change_nothing(void **state)
{
    (void)state;
    struct ps_result one = picking_test_image(&sample, SETTINGS("compute.threads", "1"));
    assert_true(one.count > 10);
    const char *const numbers[] = {"2", "3", "5"};
    for (size_t i = 0; i < 3; i++) {
        struct ps_result more =
            picking_test_image(&sample, SETTINGS("compute.threads", numbers[i]));
        assert_same_result(&one, &more);
        ps_result_done(&more);
    }
    ps_result_done(&one);
}

/* P25: larger, smaller, spoiled and refused micrographs in between leave no trace. */
static void the_past_changes_nothing(void **state)
{
    (void)state;
    struct test_image others[] = {test_image_new(1301, 1200, 40, 5),
                                  test_image_new(500, 700, 40, 6), test_image_flat(800, 800),
                                  test_image_noise(600, 600), test_image_flat(50, 50)};
    struct ps_picker *picker = picking_new(NO_SETTINGS);
    struct ps_image image = test_image_view(&sample);
    struct ps_result first = picking_run(picker, &image);
    *test_image_pixel(&others[1], 250, 250) = NAN;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct ps_image other = test_image_view(&others[i]);
        struct ps_result result = {0};
        struct ps_error error;
        assert_int_equal(ps_picker_pick(picker, &other, &result, &error),
                         others[i].width == 50 ? PS_E_INPUT : 0);
        ps_result_done(&result);
        struct ps_result again = picking_run(picker, &image);
        assert_same_result(&first, &again);
        ps_result_done(&again);
        test_image_done(&others[i]);
    }
    ps_picker_free(picker);
    struct ps_result fresh = picking_test_image(&sample, NO_SETTINGS);
    assert_true(fresh.count > 10);
    assert_same_result(&first, &fresh);
    ps_result_done(&fresh);
    ps_result_done(&first);
}

static void pixel_types_change_nothing(void **state)
{
    (void)state;
    struct ps_result expected = picking_test_image(&sample, NO_SETTINGS);
    for (int type = PS_PIXEL_I8; type <= PS_PIXEL_F32; type++) {
        void *pixels = test_image_pixels_as(&sample, (enum ps_pixel)type);
        struct ps_image image = test_image_view(&sample);
        image.pixels = pixels;
        image.type = (enum ps_pixel)type;
        struct ps_result result = picking_image(&image, NO_SETTINGS);
        assert_same_result(&expected, &result);
        ps_result_done(&result);
        free(pixels);
    }
    ps_result_done(&expected);
}

/* Dark particles or bright ones: the profile looks for neither. */
static void contrast_changes_little(void **state)
{
    (void)state;
    struct test_image inverted = test_image_copy(&sample);
    for (size_t i = 0; i < test_image_pixels(&inverted); i++)
        inverted.pixels[i] = 127 - inverted.pixels[i];
    struct ps_result dark = picking_test_image(&sample, NO_SETTINGS);
    struct ps_result bright = picking_test_image(&inverted, NO_SETTINGS);
    assert_true(picking_share_kept(&dark, &bright) > 0.9);
    assert_true(picking_share_kept(&bright, &dark) > 0.9);
    ps_result_done(&dark);
    ps_result_done(&bright);
    test_image_done(&inverted);
}

/* ---- the training's end ---------------------------------------------------------------------- */

static void count_training(void *context, const struct ps_stage_view *view)
{
    int *rounds = context;
    *rounds += view->stage == PS_STAGE_TRAIN;
}

/* One example of particle: naive Bayes then sees no other. More examples are taken until it does,
 * beyond tau2 too, where tiles are examples of both. */
static void training_goes_on_until_some_differ(void **state)
{
    (void)state;
    struct ps_picker *picker = picking_new(
        SETTINGS("picker.classifier", "naive_bayes", "picker.tau1", "1", "picker.tau2", "64"));
    struct ps_image image = test_image_view(&sample);
    struct ps_result result;
    struct ps_error error;
    int rounds = 0;
    if (ps_picker_pick_observed(picker, &image, count_training, &rounds, &result, &error))
        fail_msg("%s", error.message);
    assert_true(rounds > 1);
    assert_true(result.count > 0);
    ps_result_done(&result);
    ps_picker_free(picker);
}

static void training_ends_with_the_list(void **state)
{
    (void)state;
    struct test_image small = test_image_noise(330, 330);
    struct ps_result result =
        picking_test_image(&small, SETTINGS("picker.classifier", "naive_bayes", "picker.tau1", "1",
                                            "picker.tau2", "2"));
    assert_rejected(&result, "no contrast: every window is called background");
    test_image_done(&small);
    small = test_image_noise(247, 247);
    result = picking_test_image(&small, NO_SETTINGS);
    assert_rejected(&result, "no contrast: 0 windows to learn particle from, 2 background");
    test_image_done(&small);
}

/* ---- settings -------------------------------------------------------------------------------- */

static void the_best_scores_come_first(void **state)
{
    (void)state;
    struct ps_result result = picking_test_image(&sample, NO_SETTINGS);
    assert_true(result.count > 10);
    for (size_t i = 1; i < result.count; i++)
        assert_true(result.picks[i - 1].score >= result.picks[i].score);
    size_t half = result.count / 2;
    double median =
        result.count % 2
            ? (double)result.picks[half].score
            : ((double)result.picks[half - 1].score + (double)result.picks[half].score) / 2;
    assert_true(result.score_median == median);
    ps_result_done(&result);
}

/* P39: no limit by default, and a warning if a limit is reached */
static void max_picks_keeps_the_best(void **state)
{
    (void)state;
    struct ps_result all = picking_test_image(&sample, NO_SETTINGS);
    struct ps_result few = picking_test_image(&sample, SETTINGS("picker.max_picks", "7"));
    assert_int_equal(few.count, 7);
    assert_true(few.truncated);
    assert_memory_equal(few.picks, all.picks, 7 * sizeof *few.picks);
    assert_true(few.score_median == (double)all.picks[3].score);
    char number[20];
    (void)snprintf(number, sizeof number, "%zu", all.count);
    struct ps_result enough = picking_test_image(&sample, SETTINGS("picker.max_picks", number));
    assert_same_result(&all, &enough);
    assert_false(enough.truncated);
    ps_result_done(&all);
    ps_result_done(&few);
    ps_result_done(&enough);
}

static void min_score_leaves_out_the_rest(void **state)
{
    (void)state;
    struct ps_result all = picking_test_image(&sample, NO_SETTINGS);
    size_t kept = all.count / 2;
    char score[40];
    (void)snprintf(score, sizeof score, "%.9g", (double)all.picks[kept - 1].score);
    struct ps_result some = picking_test_image(&sample, SETTINGS("picker.min_score", score));
    assert_in_range(some.count, kept - 1, kept); /* nine digits may round it up */
    assert_memory_equal(some.picks, all.picks, some.count * sizeof *some.picks);
    assert_false(some.truncated);
    struct ps_result none = picking_test_image(&sample, SETTINGS("picker.min_score", "1e6"));
    assert_int_equal(none.outcome, PS_PICKED);
    assert_int_equal(none.count, 0);
    assert_true(none.score_median == 0);
    ps_result_done(&all);
    ps_result_done(&some);
    ps_result_done(&none);
}

static void a_diameter_in_angstrom_needs_a_pixel_size(void **state)
{
    (void)state;
    struct ps_image image = test_image_view(&sample);
    const char *const *angstrom = SETTINGS("picker.particle_diameter", "110");
    const char *const message = "no pixel size in the header, and the diameter is in A: set "
                                "picker.pixel_size, or give the diameter in px";
    assert_refused(&image, angstrom, message);
    image.pixel_size = NAN;
    assert_refused(&image, angstrom, message);
    image.pixel_size = -1;
    assert_refused(&image, angstrom, message);
    image.pixel_size = 2.75;
    struct ps_result expected = picking_test_image(&sample, NO_SETTINGS);
    struct ps_result result = picking_image(&image, angstrom);
    assert_same_result(&expected, &result);
    assert_true(result.diameter == 40);
    assert_true(result.pixel_size == 2.75);
    assert_true(expected.pixel_size == 0);
    ps_result_done(&expected);
    ps_result_done(&result);
}

/* P20 */
static void the_configured_pixel_size_wins(void **state)
{
    (void)state;
    struct ps_image image = test_image_view(&sample);
    const char *const *settings =
        SETTINGS("picker.particle_diameter", "110 A", "picker.pixel_size", "2.75");
    struct ps_result expected = picking_test_image(&sample, NO_SETTINGS);
    const struct {
        double header;
        size_t warnings;
    } cases[] = {{0, 0}, {2.75, 0}, {2.76, 0}, {1.0, 1}, {2.8, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        image.pixel_size = cases[i].header;
        struct ps_result result = picking_image(&image, settings);
        assert_int_equal(result.warning_count, cases[i].warnings);
        assert_true(result.pixel_size == 2.75);
        assert_memory_equal(result.picks, expected.picks, expected.count * sizeof *expected.picks);
        if (cases[i].header == 1.0)
            assert_string_equal(result.warnings[0],
                                "pixel size 2.75 A from the configuration, the header says 1 A");
        ps_result_done(&result);
    }
    ps_result_done(&expected);
}

static void absurd_diameters_are_refused(void **state)
{
    (void)state;
    struct ps_image image = test_image_view(&sample);
    assert_refused(&image, SETTINGS("picker.particle_diameter", "5px"),
                   "a particle diameter of 5 px leaves no window: at least 6 px expected");
    assert_refused(&image, SETTINGS("picker.particle_diameter", "1000px"),
                   "too small: 1024 x 1024 px, at least 1527 x 1527 expected for two windows at a "
                   "particle diameter of 1000 px");
    /* 110 A with the nonsensical pixel size of a header. */
    image.pixel_size = 1e-12;
    struct ps_picker *picker = picking_new(SETTINGS("picker.particle_diameter", "110"));
    struct ps_error error;
    struct ps_result result;
    assert_int_equal(ps_picker_pick(picker, &image, &result, &error), PS_E_INPUT);
    assert_non_null(strstr(error.message, "too small: 1024 x 1024 px"));
    assert_non_null(strstr(error.message, "particle diameter of 1.1e+14 px"));
    ps_picker_free(picker);
}

static void tau_beyond_the_list_is_refused(void **state)
{
    (void)state;
    struct ps_image image = test_image_view(&sample);
    assert_refused(&image, SETTINGS("picker.tau1", "100", "picker.tau2", "5000"),
                   "has 4489 windows to rank, fewer than tau1 = 100 or tau2 = 5000: leave them at "
                   "0 for 3 % and 30 %");
}

/* The extremes of the reference's own settings: few picks or none, but an end. */
static void settings_out_of_proportion_end(void **state)
{
    (void)state;
    static const char *const keys[] = {"picker.minimum_overlap_amount", "picker.max_particle_size",
                                       "picker.min_particle_size", "picker.container_size"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        static const char *const values[] = {"1", "100000"};
        for (size_t v = 0; v < 2; v++) {
            struct ps_result result = picking_test_image(&sample, SETTINGS(keys[i], values[v]));
            assert_inside_margins(&sample, &result);
            ps_result_done(&result);
        }
    }
    struct ps_image image = test_image_view(&sample);
    assert_refused(&image, SETTINGS("picker.query_image_size", "100000"),
                   "too small: 1024 x 1024 px, at least 200199 x 200199 expected for two windows "
                   "at a particle diameter of 40 px");
}

static void assert_no_device(const char *backend)
{
    struct ps_config *config = picking_config(SETTINGS("compute.backend", backend));
    struct ps_picker *picker = NULL;
    struct ps_error error;
    assert_int_equal(ps_picker_new(config, &picker, &error), PS_E_DEVICE);
    assert_int_equal(strncmp(error.message, backend, strlen(backend)), 0);
    assert_non_null(strstr(error.message, "; compute.backend = cpu needs no GPU"));
    assert_null(picker);
    ps_config_free(config);
}

static void a_gpu_that_is_not_there_is_said(void **state)
{
    (void)state;
    assert_no_device("cuda:63");
    if (ps_cuda_count() == 0)
        assert_no_device("cuda");
}

static void settings_must_be_whole(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    struct ps_picker *picker = NULL;
    struct ps_error error;
    assert_int_equal(ps_picker_new(config, &picker, &error), PS_E_CONFIG);
    assert_non_null(strstr(error.message, "picker.particle_diameter is not set"));
    assert_null(picker);
    ps_config_free(config);
    ps_picker_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(particles_are_found),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(the_past_changes_nothing),
        cmocka_unit_test(pixel_types_change_nothing),
        cmocka_unit_test(contrast_changes_little),
        cmocka_unit_test(training_goes_on_until_some_differ),
        cmocka_unit_test(training_ends_with_the_list),
        cmocka_unit_test(the_best_scores_come_first),
        cmocka_unit_test(max_picks_keeps_the_best),
        cmocka_unit_test(min_score_leaves_out_the_rest),
        cmocka_unit_test(a_diameter_in_angstrom_needs_a_pixel_size),
        cmocka_unit_test(the_configured_pixel_size_wins),
        cmocka_unit_test(absurd_diameters_are_refused),
        cmocka_unit_test(tau_beyond_the_list_is_refused),
        cmocka_unit_test(settings_out_of_proportion_end),
        cmocka_unit_test(a_gpu_that_is_not_there_is_said),
        cmocka_unit_test(settings_must_be_whole),
    };
    return cmocka_run_group_tests(tests, make_sample, drop_sample);
}
