/* The rule for complete files. The tests set the clock: every "second" is a parameter. */
#include "watch/settle.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEADER = 1024, SIDE = 64, WHOLE = HEADER + SIDE * SIDE * 2 };
static const double settle_seconds = 5;

static char path[] = "/tmp/pickstream-settle-XXXXXX";
static unsigned char content[WHOLE];

static int make_path(void **state)
{
    (void)state;
    const int32_t words[] = {SIDE, SIDE, 1, 1};
    memset(content + HEADER, 0x11, WHOLE - HEADER);
    memcpy(content, words, sizeof words);
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

/* The file becomes the first `length` bytes of the content, and `zeros` more; `second` is its time
 * of modification, as a clock says that has nothing to do with ours. */
static void write_file(size_t length, size_t zeros, int64_t second)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, length), (ssize_t)length);
    assert_int_equal(ftruncate(fd, (off_t)(length + zeros)), 0);
    const struct timespec times[2] = {{.tv_sec = second}, {.tv_sec = second}};
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(close(fd), 0);
}

static enum ps_settle_state look(struct ps_settle *settle, bool announced, double seconds)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const struct ps_identity identity = ps_identity_of(&info);
    return ps_settle_check(settle, path, &identity, announced, (int64_t)(seconds * 1e9),
                           settle_seconds);
}

static void assert_due(const struct ps_settle *settle, double seconds)
{
    assert_int_equal(ps_settle_due(settle, settle_seconds), (int64_t)(seconds * 1e9));
}

static void closed_and_whole_is_complete_at_once(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(WHOLE, 0, 1000);
    assert_int_equal(look(&settle, true, 100), PS_SETTLE_COMPLETE);
}

static void closed_but_short_waits_for_the_rest(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(5000, 0, 1000);
    assert_int_equal(look(&settle, true, 100), PS_SETTLE_WAITING);
    write_file(WHOLE, 0, 1001); /* reopened and appended, not closed yet */
    assert_int_equal(look(&settle, false, 101), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, true, 102), PS_SETTLE_COMPLETE);
}

/* P5: a scan finds a file with an mtime of a year ago: the local clock decides. */
static void what_a_scan_finds_must_be_quiet(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(WHOLE, 0, 1000);
    assert_int_equal(look(&settle, false, 100), PS_SETTLE_WAITING);
    assert_due(&settle, 105);
    assert_int_equal(look(&settle, false, 104.9), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, false, 105), PS_SETTLE_COMPLETE);
}

/* P5: an mtime in the future does not keep it waiting either. */
static void a_writer_with_a_fast_clock(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(WHOLE, 0, 4000000000);
    assert_int_equal(look(&settle, false, 100), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, false, 105), PS_SETTLE_COMPLETE);
}

/* P6: a file that grows for much longer than it must be quiet. */
static void growth_is_no_quiet(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    double now = 100;
    for (size_t length = 2000; length < WHOLE; length += 1000, now += 4) {
        write_file(length, 0, 1000);
        assert_int_equal(look(&settle, false, now), PS_SETTLE_WAITING);
        assert_due(&settle, now + 5);
    }
    write_file(WHOLE, 0, 1000);
    assert_int_equal(look(&settle, false, now), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, false, now + 5), PS_SETTLE_COMPLETE);
}

/* P7: full length from the first byte on; only the time of modification moves. */
static void preallocated_files_wait(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(0, WHOLE, 1000);
    assert_int_equal(look(&settle, true, 100), PS_SETTLE_WAITING); /* reserved, closed, empty */
    assert_int_equal(look(&settle, false, 105), PS_SETTLE_WAITING);
    for (int i = 1; i <= 5; i++) {
        write_file(HEADER, WHOLE - HEADER, 1000 + i);
        assert_int_equal(look(&settle, i == 1, 105 + 3 * i), PS_SETTLE_WAITING);
        assert_due(&settle, 110 + 3 * i);
    }
    write_file(WHOLE, 0, 1010);
    assert_int_equal(look(&settle, true, 130), PS_SETTLE_COMPLETE);
}

/* Zeros that stay: the micrograph is black at its end. */
static void zeros_at_the_end_need_quiet(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(WHOLE - 5000, 5000, 1000);
    assert_int_equal(look(&settle, true, 100), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, true, 104), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, false, 105), PS_SETTLE_COMPLETE);
}

/* A writer that crashed: the reader reports it after the timeout. */
static void what_stays_short_is_given_up(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(5000, 0, 1000);
    assert_int_equal(look(&settle, false, 100), PS_SETTLE_WAITING);
    assert_int_equal(look(&settle, false, 105), PS_SETTLE_WAITING);
    assert_due(&settle, 160);
    assert_int_equal(look(&settle, true, 159), PS_SETTLE_WAITING);
    assert_due(&settle, 160);
    assert_int_equal(look(&settle, false, 160), PS_SETTLE_COMPLETE);
    write_file(6000, 0, 1000); /* writing continues: another identity, another timeout */
    assert_int_equal(look(&settle, false, 161), PS_SETTLE_WAITING);
    assert_due(&settle, 166);
}

static void what_is_damaged_need_not_wait(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    unsigned char saved[HEADER];
    memcpy(saved, content, HEADER);
    memset(content, 'x', HEADER);
    write_file(WHOLE, 0, 1000);
    memcpy(content, saved, HEADER);
    assert_int_equal(look(&settle, true, 100), PS_SETTLE_COMPLETE);
}

static void a_replaced_file_starts_again(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    write_file(WHOLE, 0, 1000);
    assert_int_equal(look(&settle, false, 100), PS_SETTLE_WAITING);
    settle.identity.mtime_ns++; /* another file */
    assert_int_equal(look(&settle, false, 105), PS_SETTLE_WAITING);
    assert_due(&settle, 110);
}

static void what_vanished_is_said(void **state)
{
    (void)state;
    struct ps_settle settle = {0};
    const struct ps_identity identity = {.size = 1};
    assert_int_equal(ps_settle_check(&settle, "/no/such.mrc", &identity, true, 1, settle_seconds),
                     PS_SETTLE_VANISHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_and_whole_is_complete_at_once),
        cmocka_unit_test(closed_but_short_waits_for_the_rest),
        cmocka_unit_test(what_a_scan_finds_must_be_quiet),
        cmocka_unit_test(a_writer_with_a_fast_clock),
        cmocka_unit_test(growth_is_no_quiet),
        cmocka_unit_test(preallocated_files_wait),
        cmocka_unit_test(zeros_at_the_end_need_quiet),
        cmocka_unit_test(what_stays_short_is_given_up),
        cmocka_unit_test(what_is_damaged_need_not_wait),
        cmocka_unit_test(a_replaced_file_starts_again),
        cmocka_unit_test(what_vanished_is_said),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
