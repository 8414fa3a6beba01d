/* Precision and recall: the matching against every possible one, and the files of true centres. */
#include "cli/accuracy.h"
#include "synth/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- matching -------------------------------------------------------------------------------- */

static struct ps_accuracy measure(const struct ps_pick *picks, size_t count,
                                  const struct ps_points *truth, const struct ps_points *ignored,
                                  double tolerance, double ignore_radius)
{
    struct ps_error error;
    struct ps_accuracy accuracy;
    if (ps_accuracy_measure(picks, count, truth, ignored, tolerance, ignore_radius, &accuracy,
                            &error))
        fail_msg("%s", error.message);
    return accuracy;
}

/* The most pairs of picks [pick, count) with true centres not in `taken`, by trying all. */
static size_t most_pairs(const struct ps_pick *picks, size_t pick, size_t count,
                         const struct ps_points *truth, double tolerance, unsigned taken)
{
    if (pick == count)
        return 0;
    size_t best = most_pairs(picks, pick + 1, count, truth, tolerance, taken);
    for (size_t t = 0; t < truth->count; t++) {
        double distance =
            hypot((double)picks[pick].x - truth->xy[t][0], (double)picks[pick].y - truth->xy[t][1]);
        if (taken >> t & 1 || distance > tolerance)
            continue;
        size_t pairs = 1 + most_pairs(picks, pick + 1, count, truth, tolerance, taken | 1U << t);
        best = pairs > best ? pairs : best;
    }
    return best;
}

static void matches_as_many_as_possible(void **state)
{
    (void)state;
    struct ps_random random = ps_random_new(3, 0, 0);
    const struct ps_points none = {0};
    size_t matched = 0;
    for (int round = 0; round < 300; round++) {
        double xy[6][2];
        struct ps_pick picks[7] = {0};
        struct ps_points truth = {xy, ps_random_bits(&random) % 7};
        size_t count = ps_random_bits(&random) % 8;
        for (size_t t = 0; t < truth.count; t++)
            for (size_t axis = 0; axis < 2; axis++)
                xy[t][axis] = ps_random_uniform(&random, 0, 10);
        for (size_t i = 0; i < count; i++) {
            picks[i].x = (float)ps_random_uniform(&random, 0, 10);
            picks[i].y = (float)ps_random_uniform(&random, 0, 10);
        }
        struct ps_accuracy accuracy = measure(picks, count, &truth, &none, 3, 0);
        assert_int_equal(accuracy.matched, most_pairs(picks, 0, count, &truth, 3, 0));
        assert_int_equal(accuracy.picks, count);
        assert_int_equal(accuracy.truth, truth.count);
        matched += accuracy.matched;
    }
    assert_true(matched > 300);
}

/* Each pick prefers the true centre that the next pick alone can have. */
static void is_not_greedy(void **state)
{
    (void)state;
    enum { CHAIN = 200 };
    double xy[CHAIN][2];
    struct ps_pick picks[CHAIN] = {0};
    for (int i = 0; i < CHAIN; i++) {
        xy[i][0] = 10.0 * (CHAIN - 1 - i);
        xy[i][1] = 5;
        picks[i].x = 10.0F * (float)i + (i < CHAIN - 1 ? 6.0F : 0.0F);
        picks[i].y = 5;
    }
    const struct ps_points truth = {xy, CHAIN};
    const struct ps_points none = {0};
    assert_int_equal(measure(picks, CHAIN, &truth, &none, 6.5, 0).matched, CHAIN);
}

static void the_tolerance_is_inclusive(void **state)
{
    (void)state;
    double xy[1][2] = {{3, 4}};
    const struct ps_points truth = {xy, 1};
    const struct ps_points none = {0};
    const struct ps_pick pick = {0, 0, 1, 1};
    assert_int_equal(measure(&pick, 1, &truth, &none, 5, 0).matched, 1);
    assert_int_equal(measure(&pick, 1, &truth, &none, 4.999, 0).matched, 0);
}

static void ignored_centres_are_neither_right_nor_wrong(void **state)
{
    (void)state;
    double xy[2][2] = {{10, 10}, {50, 50}};
    double ignored_xy[2][2] = {{100, 100}, {12, 10}};
    const struct ps_points truth = {xy, 2};
    const struct ps_points ignored = {ignored_xy, 2};
    /* right; right though near one to ignore; ignored, twice; wrong */
    const struct ps_pick picks[] = {
        {.x = 51, .y = 50}, {.x = 11, .y = 10},   {.x = 100, .y = 103},
        {.x = 98, .y = 98}, {.x = 100, .y = 120},
    };
    struct ps_accuracy accuracy = measure(picks, 5, &truth, &ignored, 3, 5);
    assert_int_equal(accuracy.matched, 2);
    assert_int_equal(accuracy.picks, 3);
    assert_true(fabs(ps_accuracy_precision(&accuracy) - 2.0 / 3) < 1e-12);
    assert_true(ps_accuracy_recall(&accuracy) == 1);
    assert_true(fabs(ps_accuracy_f1(&accuracy) - 0.8) < 1e-12);
}

/* Two picks could have the only true centre, and one of them may be ignored. */
static void order_changes_nothing(void **state)
{
    (void)state;
    double xy[1][2] = {{10, 10}};
    double ignored_xy[1][2] = {{6, 10}};
    const struct ps_points truth = {xy, 1};
    const struct ps_points ignored = {ignored_xy, 1};
    const struct ps_pick picks[2][2] = {{{.x = 8, .y = 10}, {.x = 12, .y = 10}},
                                        {{.x = 12, .y = 10}, {.x = 8, .y = 10}}};
    for (int order = 0; order < 2; order++) {
        struct ps_accuracy accuracy = measure(picks[order], 2, &truth, &ignored, 3, 3);
        assert_int_equal(accuracy.matched, 1);
        assert_int_equal(accuracy.picks, 1);
    }
}

static void nothing_at_all_has_no_accuracy(void **state)
{
    (void)state;
    const struct ps_points none = {0};
    struct ps_accuracy accuracy = measure(NULL, 0, &none, &none, 10, 10);
    assert_true(ps_accuracy_precision(&accuracy) == 0);
    assert_true(ps_accuracy_recall(&accuracy) == 0);
    assert_true(ps_accuracy_f1(&accuracy) == 0);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char directory[] = "/tmp/pickstream-accuracy-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void write_file(const char *name, const char *text)
{
    char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void read_truth(const char *name, struct ps_points *ret_truth, struct ps_points *ret_ignored)
{
    struct ps_error error;
    if (ps_truth_read(directory, name, ret_truth, ret_ignored, &error))
        fail_msg("%s", error.message);
}

/* The message is `before`, the directory, and `after`. */
static void assert_refused(const char *name, const char *before, const char *after)
{
    struct ps_points truth = {NULL, 77};
    struct ps_points ignored = {NULL, 78};
    struct ps_error error;
    char message[600];
    assert_int_equal(ps_truth_read(directory, name, &truth, &ignored, &error), PS_E_INPUT);
    (void)snprintf(message, sizeof message, "%s%s%s", before, directory, after);
    assert_string_equal(error.message, message);
    assert_int_equal(truth.count, 77);
    assert_int_equal(ignored.count, 78);
}

static void reads_star_files(void **state)
{
    (void)state;
    write_file("a_truth.star", "\n# made by hand\ndata_particles\n\nloop_\n_rlnCoordinateX #1\n"
                               "_rlnCoordinateY #2\n_rlnDefocusU #3\n  10.25  20.5 1\n"
                               "-3\t4e1\n\n1000.125000 2000 7 8 9\n");
    write_file("a_truth.txt", "1 1\n"); /* the STAR file comes first */
    write_file("a_ignore.txt", "5 6\n");
    struct ps_points truth;
    struct ps_points ignored;
    read_truth("a.mrc", &truth, &ignored);
    assert_int_equal(truth.count, 3);
    const double expected[3][2] = {{10.25, 20.5}, {-3, 40}, {1000.125, 2000}};
    assert_memory_equal(truth.xy, expected, sizeof expected);
    assert_int_equal(ignored.count, 1);
    assert_true(ignored.xy[0][0] == 5 && ignored.xy[0][1] == 6);
    ps_points_done(&truth);
    ps_points_done(&ignored);
}

static void reads_text_files(void **state)
{
    (void)state;
    write_file("b_truth.txt", "# x y\r\n1 2\r\n3.5, 4.5\r\n5,6");
    struct ps_points truth;
    struct ps_points ignored;
    read_truth("b.tif", &truth, &ignored);
    assert_int_equal(truth.count, 3);
    const double expected[3][2] = {{1, 2}, {3.5, 4.5}, {5, 6}};
    assert_memory_equal(truth.xy, expected, sizeof expected);
    assert_int_equal(ignored.count, 0);
    ps_points_done(&truth);
}

static void reads_truth_without_particles(void **state)
{
    (void)state;
    write_file("empty_truth.star", "data_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n");
    struct ps_points truth;
    struct ps_points ignored;
    read_truth("empty.mrc", &truth, &ignored);
    assert_int_equal(truth.count, 0);
    ps_points_done(&truth);
}

/* Names are paths below the operands; their directories may have dots, their files none. */
static void names_may_have_directories_and_dots(void **state)
{
    (void)state;
    char path[200];
    (void)snprintf(path, sizeof path, "%s/v1.5", directory);
    assert_int_equal(mkdir(path, 0755), 0);
    write_file("v1.5/c.d_truth.txt", "1 2\n3 4\n");
    write_file("v1.5/c_truth.txt", "5 6\n");
    struct ps_points truth;
    struct ps_points ignored;
    read_truth("v1.5/c.d.mrc", &truth, &ignored);
    assert_int_equal(truth.count, 2);
    ps_points_done(&truth);
    read_truth("v1.5/c", &truth, &ignored);
    assert_int_equal(truth.count, 1);
    ps_points_done(&truth);
}

static void malformed_lines_are_named(void **state)
{
    (void)state;
    write_file("bad_truth.txt", "1 2\n3\n");
    assert_refused("bad.mrc", "", "/bad_truth.txt:2: x and y expected");
    write_file("words_truth.star", "data_\nloop_\n_rlnCoordinateX\n1 2\n\nx y\n");
    assert_refused("words.mrc", "", "/words_truth.star:6: x and y expected");
    write_file("nan_truth.txt", "1 nan\n");
    assert_refused("nan.mrc", "", "/nan_truth.txt:1: x and y expected");
    write_file("i_truth.txt", "1 2\n");
    write_file("i_ignore.star", "1 2x\n");
    assert_refused("i.mrc", "", "/i_ignore.star:1: x and y expected");
}

static void missing_truth_is_named(void **state)
{
    (void)state;
    assert_refused("gone.mrc", "no ", "/gone_truth.star or .txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_many_as_possible),
        cmocka_unit_test(is_not_greedy),
        cmocka_unit_test(the_tolerance_is_inclusive),
        cmocka_unit_test(ignored_centres_are_neither_right_nor_wrong),
        cmocka_unit_test(order_changes_nothing),
        cmocka_unit_test(nothing_at_all_has_no_accuracy),
        cmocka_unit_test(reads_star_files),
        cmocka_unit_test(reads_text_files),
        cmocka_unit_test(reads_truth_without_particles),
        cmocka_unit_test(names_may_have_directories_and_dots),
        cmocka_unit_test(malformed_lines_are_named),
        cmocka_unit_test(missing_truth_is_named),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
