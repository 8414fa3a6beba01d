/* The aspire profile against the results of the reference implementation, stage by stage.
 *
 * Each stage gets the output of the stages before it, not golden input. Limits and their reasons:
 *   preprocessed  1e-6 of the largest value: float32 sums here, double there
 *   references    the same ones chosen; 1e-6 as above
 *   score         equal
 *   training      the same windows chosen; 1e-6 of the feature's range
 *   support       equal numbers of support vectors per class; offset within 1e-3, the solver's
 *                 tolerance
 *   segmentation  at most 1 window in 100,000 classified differently: features and decision are
 *                 float32 here
 *   morphology    at most 1 in 10,000: the effect of those windows
 *   centres       equal as sets
 */
#include "golden.h"

#include "picker/picker.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void report_error(const struct golden_case *golden, const char *stage, double error)
{
    print_message("  %-8s %-13s largest error %.3g\n", golden->name, stage, error);
}

/* Largest difference of `count` floats, plus `offset`, from a golden file, relative to its largest
 * value. */
static double relative_error(const struct golden_case *golden, const char *file,
                             const float *values, size_t count, double offset)
{
    struct golden_array expected = golden_load(golden, file);
    assert_int_equal(expected.count, count);
    double error = 0;
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        error = fmax(error, fabs((double)values[i] + offset - expected.values[i]));
        largest = fmax(largest, fabs(expected.values[i]));
    }
    free(expected.values);
    return error / largest;
}

static void *fetch(const struct ps_stage_view *view, enum ps_buffer buffer, size_t bytes)
{
    struct ps_error error;
    void *data = malloc(bytes);
    if (view->slot->backend->ops->fetch(view->slot, buffer, data, bytes, &error))
        fail_msg("%s", error.message);
    return data;
}

static void compare_image(const struct golden_case *golden, const struct ps_stage_view *view,
                          enum ps_buffer buffer, size_t count, const char *file)
{
    float *values = fetch(view, buffer, count * sizeof *values);
    double error = relative_error(golden, file, values, count, view->slot->grey_offset);
    report_error(golden, file, error);
    assert_true(error < 1e-6);
    free(values);
}

static void compare_score(const struct golden_case *golden, const struct ps_stage_view *view)
{
    size_t count = (size_t)view->parameters->queries * (size_t)view->parameters->queries;
    int32_t *score = fetch(view, PS_BUFFER_SCORE, count * sizeof *score);
    struct golden_array expected = golden_load(golden, "score.npy");
    assert_int_equal(expected.count, count);
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        different += (double)score[i] != expected.values[i];
    report_error(golden, "score", (double)different);
    assert_int_equal(different, 0);
    free(expected.values);
    free(score);
}

static void compare_training(const struct golden_case *golden, const struct ps_stage_view *view)
{
    struct golden_array x = golden_load(golden, "training_x.npy");
    struct golden_array y = golden_load(golden, "training_y.npy");
    assert_int_equal(y.count, view->training_count);
    assert_int_equal(x.count, 2 * view->training_count);
    double error = 0;
    double largest[2] = {0, 0};
    for (size_t i = 0; i < y.count; i++) {
        assert_int_equal((int)y.values[i], i < view->positives);
        largest[0] = fmax(largest[0], fabs(x.values[2 * i]));
        largest[1] = fmax(largest[1], fabs(x.values[2 * i + 1]));
    }
    for (size_t i = 0; i < y.count; i++) {
        error = fmax(error, fabs(view->training[i].mean - x.values[2 * i]) / largest[0]);
        error = fmax(error, fabs(view->training[i].deviation - x.values[2 * i + 1]) / largest[1]);
    }
    report_error(golden, "training", error);
    assert_true(error < 1e-6);
    free(x.values);
    free(y.values);
    int support[2] = {0, 0};
    for (size_t i = 0; i < view->model->support_count; i++)
        support[view->model->support[3 * i + 2] > 0]++;
    assert_int_equal(support[0], golden->support[0]);
    assert_int_equal(support[1], golden->support[1]);
    report_error(golden, "svm offset", fabs(view->model->offset + golden->intercept));
    assert_true(fabs(view->model->offset + golden->intercept) < 1e-3);
}

static void compare_mask(const struct golden_case *golden, const struct ps_stage_view *view,
                         const char *file, double limit)
{
    size_t count = (size_t)golden->segmentation_side * (size_t)golden->segmentation_side;
    uint8_t *mask = fetch(view, PS_BUFFER_MASK, count);
    uint8_t *expected = golden_load_mask(golden, file);
    size_t different = 0;
    for (size_t i = 0; i < count; i++)
        different += mask[i] != expected[i];
    print_message("  %-8s %-13s %zu of %zu differ\n", golden->name, file, different, count);
    assert_true((double)different <= limit * (double)count);
    free(expected);
    free(mask);
}

static void compare_stage(void *context, const struct ps_stage_view *view)
{
    const struct golden_case *golden = context;
    size_t side = (size_t)view->slot->side;
    size_t query = (size_t)view->slot->query;
    switch (view->stage) {
    case PS_STAGE_PREPROCESS:
        compare_image(golden, view, PS_BUFFER_PREPROCESSED, side * side, "preprocessed.npy");
        break;
    case PS_STAGE_REFERENCES:
        compare_image(golden, view, PS_BUFFER_REFERENCES,
                      (size_t)view->slot->references * query * query, "references_f4.npy");
        break;
    case PS_STAGE_SCORE:
        compare_score(golden, view);
        break;
    case PS_STAGE_TRAIN:
        compare_training(golden, view);
        break;
    case PS_STAGE_CLASSIFY:
        compare_mask(golden, view, "segmentation.npy", 1e-5);
        break;
    case PS_STAGE_CLEAN:
        compare_mask(golden, view, "morphology.npy", 1e-4);
        break;
    default:
        break;
    }
}

static int by_position(const void *left, const void *right)
{
    const int *a = left;
    const int *b = right;
    return a[1] != b[1] ? a[1] - b[1] : a[0] - b[0];
}

static const char *backend = "cpu";

static void check_case(const char *name, ps_stage_observer *observer)
{
    if (!golden_directory()) {
        print_message("golden files not found: set PICKSTREAM_DATA\n");
        skip();
    }
    struct golden_case golden = golden_open(name);
    struct ps_error error;
    struct ps_picker *picker = NULL;
    struct ps_result result;
    if (ps_config_set(golden.config, "compute.backend", backend, &error) ||
        ps_picker_new(golden.config, &picker, &error) ||
        ps_picker_pick_observed(picker, &golden.micrograph->image, observer, &golden, &result,
                                &error))
        fail_msg("%s", error.message);
    assert_int_equal(result.count, golden.picks);
    int(*centres)[2] = calloc(result.count + 1, sizeof *centres);
    for (size_t i = 0; i < result.count; i++) {
        centres[i][0] = (int)result.picks[i].x;
        centres[i][1] = (int)result.picks[i].y;
    }
    qsort(centres, result.count, sizeof *centres, by_position);
    qsort(golden.centres, golden.picks, sizeof *golden.centres, by_position);
    for (size_t i = 0; i < result.count; i++) {
        assert_int_equal(centres[i][0], golden.centres[i][0]);
        assert_int_equal(centres[i][1], golden.centres[i][1]);
    }
    free(centres);
    ps_result_done(&result);
    ps_picker_free(picker);
    golden_close(&golden);
}

static void test_apo_p48(void **state)
{
    (void)state;
    check_case("apo_p48", compare_stage);
}

static void test_apo_p64(void **state)
{
    (void)state;
    check_case("apo_p64", compare_stage);
}

static void test_noise(void **state)
{
    (void)state;
    check_case("noise", compare_stage);
}

static void test_sim2k(void **state)
{
    (void)state;
    check_case("sim2k", compare_stage);
}

static void test_sim4k_centres(void **state)
{
    (void)state;
    check_case("sim4k", NULL);
}

/* test_golden [BACKEND [TEST]] */
int main(int count, char **arguments)
{
    if (count > 1)
        backend = arguments[1];
    if (count > 2)
        cmocka_set_test_filter(arguments[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apo_p48),       cmocka_unit_test(test_apo_p64),
        cmocka_unit_test(test_noise),         cmocka_unit_test(test_sim2k),
        cmocka_unit_test(test_sim4k_centres),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
