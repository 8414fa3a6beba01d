/* The decision of the adaptive profile on lists of scores that are known: noise, and particles in
 * it. */
#include "picker/null_test.h"
#include "synth/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Scores of noise maxima, and of particles that lie `distance` higher; the best first. Windows have
 * a mean of -0.2 +- 0.02. */
static struct ps_peak *candidates(uint64_t seed, size_t noise, size_t particles, double distance)
{
    struct ps_random random = ps_random_new(seed, 0, 0);
    size_t count = noise + particles;
    struct ps_peak *drawn = calloc(count + 1, sizeof *drawn);
    struct ps_peak *peaks = calloc(count + 1, sizeof *peaks);
    assert_true(drawn && peaks);
    for (size_t i = 0; i < count; i++) {
        drawn[i].value =
            (float)(ps_random_normal(&random) * 0.7 + 1.5 + (i < noise ? 0 : distance));
        drawn[i].mean = (float)(ps_random_normal(&random) * 0.02 - 0.2);
    }
    for (size_t i = 0; i < count; i++) {
        size_t rank = 0;
        for (size_t k = 0; k < count; k++)
            rank += drawn[k].value > drawn[i].value || (drawn[k].value >= drawn[i].value && k < i);
        peaks[rank] = drawn[i];
    }
    free(drawn);
    return peaks;
}

static struct ps_null noise_null(uint64_t seed, size_t count)
{
    struct ps_null null = {.count = 0};
    for (int i = 0; i < 2; i++) {
        struct ps_peak *peaks = candidates(seed + (uint64_t)i, count, 0, 0);
        assert_int_equal(ps_null_add(&null, peaks, count), 0);
        free(peaks);
    }
    return null;
}

static void candidates_of_the_null_are_counted(void **state)
{
    (void)state;
    const struct ps_peak first[] = {{.value = 5}, {.value = 3}, {.value = 1}};
    const struct ps_peak second[] = {{.value = 4}, {.value = 3}};
    const struct ps_peak peaks[] = {{.value = 6}, {.value = 4}, {.value = 3}, {.value = 0}};
    struct ps_null null = {.count = 0};
    assert_int_equal(ps_null_add(&null, first, 3), 0);
    assert_int_equal(ps_null_add(&null, second, 2), 0);
    double expected[4];
    ps_null_expect(&null, peaks, 4, expected);
    const double counted[] = {0, 1, 2, 2.5};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(expected[i] - counted[i]) < 1e-12);
    ps_null_done(&null);
    ps_null_expect(&null, peaks, 4, expected);
    assert_true(expected[3] == 0);
}

static void noise_is_not_told_from_noise(void **state)
{
    (void)state;
    double largest = 0;
    for (uint64_t seed = 10; seed < 60; seed++) {
        struct ps_null null = noise_null(1000 * seed, 300);
        struct ps_peak *peaks = candidates(seed, 300, 0, 0);
        struct ps_null_test test;
        assert_int_equal(ps_null_judge(&null, peaks, 300, true, &test), 0);
        largest = fmax(largest, test.objective);
        free(peaks);
        ps_null_done(&null);
    }
    print_message("  largest objective of 50: %.2f\n", largest);
    assert_true(largest < 8);
}

static void particles_are_told_from_noise(void **state)
{
    (void)state;
    struct ps_null null = noise_null(7, 300);
    struct ps_peak *peaks = candidates(3, 250, 60, 5);
    struct ps_null_test test;
    assert_int_equal(ps_null_judge(&null, peaks, 310, true, &test), 0);
    assert_in_range(test.above, 58, 66);
    assert_true(test.expected < 3 && test.agreement > 0.95 && test.separation > 5);
    assert_true(test.objective > 30);
    struct ps_null_cut cut;
    assert_int_equal(ps_null_choose_cut(&null, peaks, 310, &cut), 0);
    assert_in_range(cut.above, 58, 62); /* the gap */
    assert_true(cut.expected_false < 3 && fabs(cut.threshold - 4) < 1.5);
    free(peaks);
    ps_null_done(&null);
}

/* Ten particles among little noise are enough. */
static void few_particles_are_found(void **state)
{
    (void)state;
    struct ps_null null = noise_null(8, 150);
    struct ps_peak *peaks = candidates(4, 140, 10, 7);
    struct ps_null_test test;
    struct ps_null_cut cut;
    assert_int_equal(ps_null_judge(&null, peaks, 150, true, &test), 0);
    assert_true(test.objective > 8);
    assert_int_equal(ps_null_choose_cut(&null, peaks, 150, &cut), 0);
    assert_int_equal(cut.above, 10);
    free(peaks);
    ps_null_done(&null);
}

/* The best scores belong to windows that are as different from one another as from the rest. */
static void strange_windows_count_against(void **state)
{
    (void)state;
    struct ps_null null = noise_null(9, 300);
    struct ps_peak *peaks = candidates(5, 280, 20, 5);
    struct ps_null_test fair;
    struct ps_null_test strange;
    struct ps_null_test ignored;
    assert_int_equal(ps_null_judge(&null, peaks, 300, true, &fair), 0);
    for (int i = 0; i < 20; i++)
        peaks[i].mean = -0.4F - 0.1F * (float)i;
    assert_int_equal(ps_null_judge(&null, peaks, 300, true, &strange), 0);
    assert_int_equal(ps_null_judge(&null, peaks, 300, false, &ignored), 0);
    assert_true(strange.objective < 0.2 * fair.objective);
    assert_true(ignored.objective > 0.9 * fair.objective);
    free(peaks);
    ps_null_done(&null);
}

/* Where particles are many and faint there is no gap; the cut lies where noise has become as
 * frequent as they are, not far above. */
static void crowded_fields_are_cut_in_the_crowd(void **state)
{
    (void)state;
    struct ps_null null = noise_null(11, 600);
    struct ps_peak *peaks = candidates(6, 300, 300, 1.5);
    struct ps_null_cut cut;
    assert_int_equal(ps_null_choose_cut(&null, peaks, 600, &cut), 0);
    assert_in_range(cut.above, 200, 400);
    assert_true(cut.share < 0.9 && cut.share >= 0.5);
    free(peaks);
    ps_null_done(&null);
}

static void local_rates_rise(void **state)
{
    (void)state;
    struct ps_null null = noise_null(12, 300);
    struct ps_peak *peaks = candidates(7, 240, 60, 4);
    double rates[300];
    assert_int_equal(ps_null_local_false(&null, peaks, 300, 1, rates), 0);
    for (int i = 1; i < 300; i++)
        assert_true(rates[i] >= rates[i - 1] && rates[i] <= 1);
    assert_true(rates[20] < 0.05 && rates[150] > 0.6);
    ps_null_done(&null);
    assert_int_equal(ps_null_local_false(&null, peaks, 300, 1, rates), 0);
    assert_true(rates[299] == 0);
    free(peaks);
}

static void nothing_is_nothing(void **state)
{
    (void)state;
    struct ps_null null = noise_null(13, 20);
    struct ps_null_test test;
    struct ps_null_cut cut;
    struct ps_peak none;
    assert_int_equal(ps_null_judge(&null, &none, 0, true, &test), 0);
    assert_true(test.objective == 0 && test.above == 0);
    assert_int_equal(ps_null_choose_cut(&null, &none, 0, &cut), 0);
    assert_int_equal(cut.above, 0);
    assert_int_equal(ps_null_local_false(&null, &none, 0, 1, NULL), 0);
    ps_null_done(&null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_of_the_null_are_counted),
        cmocka_unit_test(noise_is_not_told_from_noise),
        cmocka_unit_test(particles_are_told_from_noise),
        cmocka_unit_test(few_particles_are_found),
        cmocka_unit_test(strange_windows_count_against),
        cmocka_unit_test(crowded_fields_are_cut_in_the_crowd),
        cmocka_unit_test(local_rates_rise),
        cmocka_unit_test(nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
