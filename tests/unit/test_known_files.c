/* The set of known files: how long a file is remembered, and how much memory the set needs. */
#include "watch/known_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LIMITED = 6 };

static struct ps_identity identity_of(size_t number)
{
    return (struct ps_identity){
        .device = 1, .inode = number, .size = 1 << 20, .mtime_ns = 1700000000000000000};
}

static void add(struct ps_known_files *files, size_t number, unsigned scans)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/data/GridSquare_1/%06zu.mrc", number);
    const struct ps_identity identity = identity_of(number);
    ps_known_files_add(files, path, &identity, scans);
}

static bool has(struct ps_known_files *files, size_t number)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/data/GridSquare_1/%06zu.mrc", number);
    const struct ps_identity identity = identity_of(number);
    return ps_known_files_has(files, path, &identity);
}

/* ---- how long ---------------------------------------------------------------------------------
 */

static void a_file_is_known_by_path_and_identity(void **state)
{
    (void)state;
    struct ps_known_files files = {0};
    const struct ps_identity identity = identity_of(1);
    assert_false(ps_known_files_has(&files, "/a.mrc", &identity));
    ps_known_files_add(&files, "/a.mrc", &identity, PS_KNOWN_WHILE_SEEN);
    assert_true(ps_known_files_has(&files, "/a.mrc", &identity));
    assert_false(ps_known_files_has(&files, "/b.mrc", &identity));
    struct ps_identity copied = identity; /* with its times */
    copied.device++;
    copied.inode++;
    assert_true(ps_known_files_has(&files, "/a.mrc", &copied));
    struct ps_identity others[] = {identity, identity};
    others[0].size++;
    others[1].mtime_ns++;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(ps_known_files_has(&files, "/a.mrc", &others[i]));
    ps_known_files_clear(&files);
    assert_false(ps_known_files_has(&files, "/a.mrc", &identity));
}

static void a_file_that_no_scan_finds_is_forgotten_after_two(void **state)
{
    (void)state;
    struct ps_known_files files = {0};
    add(&files, 1, PS_KNOWN_WHILE_SEEN);
    add(&files, 2, PS_KNOWN_WHILE_SEEN);
    for (int i = 0; i < 50; i++) {
        ps_known_files_begin_scan(&files);
        assert_true(has(&files, 1));
    }
    ps_known_files_begin_scan(&files);
    assert_false(has(&files, 2));
    assert_int_equal(files.count, 1);
    ps_known_files_begin_scan(&files);
    assert_int_equal(files.count, 0);
    ps_known_files_clear(&files);
}

static void a_limited_file_is_forgotten_after_its_scans_even_if_looked_up(void **state)
{
    (void)state;
    struct ps_known_files files = {0};
    for (unsigned scans = 1; scans <= PS_MAX_KNOWN_SCANS; scans++)
        add(&files, scans, scans);
    for (unsigned scan = 0; scan <= PS_MAX_KNOWN_SCANS; scan++) {
        for (unsigned scans = 1; scans <= PS_MAX_KNOWN_SCANS; scans++)
            assert_int_equal(has(&files, scans), scans > scan);
        ps_known_files_begin_scan(&files);
    }
    ps_known_files_clear(&files);
}

static void a_limited_file_can_be_kept(void **state)
{
    (void)state;
    struct ps_known_files files = {0};
    add(&files, 1, LIMITED);
    add(&files, 1, PS_KNOWN_WHILE_SEEN);
    assert_int_equal(files.count, 1);
    for (int i = 0; i < 3 * LIMITED; i++) {
        ps_known_files_begin_scan(&files);
        assert_true(has(&files, 1));
    }
    ps_known_files_clear(&files);
}

/* ---- many -------------------------------------------------------------------------------------
 */

/* Compares with an array of the scans that are left for each file. In every scan files are added,
 * looked up and dropped at random, so that gaps open everywhere in the table. */
static void many_come_and_go(void **state)
{
    (void)state;
    enum { FILES = 20000, SCANS = 40 };
    static unsigned left[FILES];
    static bool kept[FILES];
    struct ps_known_files files = {0};
    srand(1);
    for (int scan = 0; scan < SCANS; scan++) {
        size_t count = 0;
        for (size_t i = 0; i < FILES; i++) {
            const int chance = rand() % 8;
            if (chance < 2 && scan < SCANS / 2) {
                kept[i] = chance == 0;
                left[i] = kept[i] ? 2 : LIMITED;
                add(&files, i, kept[i] ? PS_KNOWN_WHILE_SEEN : LIMITED);
            } else if (chance < 6) {
                assert_int_equal(has(&files, i), left[i] > 0);
                if (kept[i] && left[i])
                    left[i] = 2;
            }
            count += left[i] > 0;
        }
        assert_int_equal(files.count, count);
        ps_known_files_begin_scan(&files);
        for (size_t i = 0; i < FILES; i++)
            left[i] -= left[i] > 0;
    }
    ps_known_files_clear(&files);
}

static size_t bytes_of(const struct ps_known_files *files)
{
    return files->capacity * sizeof *files->cells;
}

static void a_file_costs_9_to_18_bytes(void **state)
{
    (void)state;
    struct ps_known_files files = {0};
    for (size_t i = 0; i < 100000; i++) {
        add(&files, i, PS_KNOWN_WHILE_SEEN);
        assert_int_equal(files.count, i + 1);
        assert_true(i < 1000 || bytes_of(&files) < 19 * files.count);
    }
    assert_int_equal(bytes_of(&files), 1 << 20);
    for (size_t i = 0; i < 100000; i++)
        assert_true(has(&files, i));
    assert_false(has(&files, 100000));
    ps_known_files_clear(&files);
}

static void unused_memory_is_released(void **state)
{
    (void)state;
    struct ps_known_files files = {0};
    for (size_t i = 0; i < 100000; i++)
        add(&files, i, PS_KNOWN_WHILE_SEEN);
    for (int scan = 0; scan < 2; scan++) {
        ps_known_files_begin_scan(&files);
        for (size_t i = 0; i < 1000; i++)
            assert_true(has(&files, i));
    }
    ps_known_files_begin_scan(&files);
    assert_int_equal(files.count, 1000);
    assert_true(bytes_of(&files) <= 64 * files.count);
    for (size_t i = 0; i < 1000; i++)
        assert_true(has(&files, i));
    ps_known_files_clear(&files);
    assert_int_equal(bytes_of(&files), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_known_by_path_and_identity),
        cmocka_unit_test(a_file_that_no_scan_finds_is_forgotten_after_two),
        cmocka_unit_test(a_limited_file_is_forgotten_after_its_scans_even_if_looked_up),
        cmocka_unit_test(a_limited_file_can_be_kept),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(a_file_costs_9_to_18_bytes),
        cmocka_unit_test(unused_memory_is_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
