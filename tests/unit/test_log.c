/* Log lines as they arrive at the other end of stderr. */
#include "base/log.h"

#include "base/journald.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int real_stderr, pipe_read;

/* From here to released() stderr is a pipe. */
static void caught(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    assert_int_equal(close(ends[1]), 0);
    pipe_read = ends[0];
}

/* The text that was written since; the caller frees it. */
static char *released(void)
{
    assert_true(dup2(real_stderr, STDERR_FILENO) >= 0); /* the pipe's last writer is closed */
    assert_int_equal(close(real_stderr), 0);
    char *text = calloc(1, 1 << 21);
    size_t length = 0;
    ssize_t count;
    while ((count = read(pipe_read, text + length, (1 << 21) - 1 - length)) > 0)
        length += (size_t)count;
    assert_int_equal(close(pipe_read), 0);
    return text;
}

/* JOURNAL_STREAM as journald would set it for stderr. */
static void name_journal(int64_t off_by)
{
    struct stat status;
    char name[64];
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(name, sizeof name, "%ju:%jd", (uintmax_t)status.st_dev,
                   (intmax_t)status.st_ino + off_by);
    assert_int_equal(setenv("JOURNAL_STREAM", name, 1), 0);
}

static int forget_journal(void **state)
{
    (void)state;
    return unsetenv("JOURNAL_STREAM");
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static void lines_for_journald(void **state)
{
    (void)state;
    caught();
    name_journal(0);
    struct ps_log *log = ps_log_new(PS_LOG_DEBUG);
    char text[PS_LOG_TEXT];
    ps_log_event(log, PS_LOG_ERROR, "broken", "code=%d", -7);
    ps_log_event(log, PS_LOG_WARNING, "odd", "file=%s", ps_log_quote("/a b", text));
    ps_log_event(log, PS_LOG_INFO, "picked", "file=%s count=%d", ps_log_quote("/a", text), 3);
    ps_log_event(log, PS_LOG_DEBUG, "idle", "%s", "");
    ps_log_free(log);
    char *lines = released();
    assert_string_equal(lines, "<3>event=broken code=-7\n<4>event=odd file=\"/a b\"\n"
                               "<6>event=picked file=/a count=3\n<7>event=idle \n");
    free(lines);
}

/* A terminal, a file, and a JOURNAL_STREAM that a parent left behind. */
static void lines_for_people(void **state)
{
    (void)state;
    for (int inherited = 0; inherited < 2; inherited++) {
        caught();
        if (inherited)
            name_journal(1);
        struct ps_log *log = ps_log_new(PS_LOG_INFO);
        time_t before = time(NULL);
        ps_log_event(log, PS_LOG_WARNING, "odd", "x=1");
        time_t after = time(NULL);
        ps_log_free(log);
        char *lines = released();
        struct tm utc = {0};
        const char *rest = strptime(lines, "%Y-%m-%dT%H:%M:%S", &utc);
        assert_non_null(rest);
        time_t logged = timegm(&utc);
        assert_true(logged >= before && logged <= after);
        int ms, length = 0;
        assert_int_equal(sscanf(rest, ".%3dZ%n", &ms, &length), 1);
        assert_string_equal(rest + length, " warning event=odd x=1\n");
        free(lines);
    }
}

static void levels(void **state)
{
    (void)state;
    caught();
    name_journal(0);
    struct ps_log *log = ps_log_new(PS_LOG_WARNING);
    ps_log_event(log, PS_LOG_INFO, "a", "x=1");
    ps_log_event(log, PS_LOG_DEBUG, "b", "x=1");
    ps_log_event(log, PS_LOG_WARNING, "c", "x=1");
    ps_log_free(log);
    char *lines = released();
    assert_string_equal(lines, "<4>event=c x=1\n");
    free(lines);
}

static void quoting(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"/data/x.mrc", "/data/x.mrc"},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"a\\b", "\"a\\\\b\""},
        {"a=b", "\"a=b\""},
        {"a\nb\t\x7f", "\"a\\nb\\x09\\x7f\""},
        {"\xc3\xa4.mrc", "\xc3\xa4.mrc"},
        {"\xe4.mrc", "\"\\xe4.mrc\""},
        {"\xc3\xa4\xe4", "\"\xc3\xa4\\xe4\""},
        {"\xc2\x9b", "\"\\xc2\\x9b\""},          /* C1: starts a sequence, as ESC [ */
        {"\xe2\x80\xae", "\"\\xe2\\x80\\xae\""}, /* right-to-left override */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[PS_LOG_TEXT];
        assert_ptr_equal(ps_log_quote(cases[i].text, text), text);
        assert_string_equal(text, cases[i].expected);
    }
}

/* Names of every length around the limit, of characters of every width, stay in their buffer (the
 * address sanitizer looks) and UTF-8. */
static void long_names_are_cut(void **state)
{
    (void)state;
    static const char *const units[] = {"x",    "\xc3\xa4",    "\xe2\x84\xab", "\xf0\x9f\x94\xac",
                                        "\"",   "\n",          "\x01",         "\xff",
                                        "\x80", "\xe2\x80\xae"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        for (size_t length = 200; length < 1100; length++) {
            char *name = calloc(length + 1, strlen(units[i]));
            char *text = malloc(PS_LOG_TEXT);
            char *at = name;
            for (size_t k = 0; k < length; k++)
                at = stpcpy(at, units[i]);
            ps_log_quote(name, text);
            size_t got = strlen(text);
            assert_true(got < PS_LOG_TEXT);
            assert_true(ps_text_is_utf8(text, got));
            if (strlen(name) >= PS_LOG_TEXT) {
                assert_true(got > PS_LOG_TEXT - 16);
                assert_string_equal(text + got - 4, "...\"");
            }
            free(name);
            free(text);
        }
    }
}

/* Unquoted text cannot forge a line, and a long text does not take a second line. */
static void one_event_is_one_line(void **state)
{
    (void)state;
    char longest[10000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    caught();
    name_journal(0);
    struct ps_log *log = ps_log_new(PS_LOG_INFO);
    ps_log_event(log, PS_LOG_INFO, "forged", "reason=%s", "a\n<0>event=fire\r\x1b[2J");
    ps_log_event(log, PS_LOG_INFO, "bytes", "reason=%s", "\xff");
    ps_log_event(log, PS_LOG_INFO, "long", "reason=%s", longest);
    ps_log_free(log);
    char *lines = released();
    const char *rest = strstr(lines, "<6>event=long");
    static const char first[] = "<6>event=forged reason=a?<0>event=fire??[2J\n"
                                "<6>event=bytes reason=?\n";
    assert_memory_equal(lines, first, strlen(first));
    assert_int_equal(count_of(lines, "\n"), 3);
    assert_true(strlen(rest) <= 4096 && strlen(rest) > 4000);
    assert_string_equal(rest + strlen(rest) - 5, "x...\n");
    free(lines);
}

static void repeated_warnings_are_limited(void **state)
{
    (void)state;
    caught();
    name_journal(0);
    struct ps_log *log = ps_log_new(PS_LOG_INFO);
    for (int i = 0; i < 25; i++) {
        ps_log_event(log, PS_LOG_WARNING, "slow", "number=%d", i);
        ps_log_event(log, PS_LOG_INFO, "picked", "number=%d", i);
    }
    ps_log_event(log, PS_LOG_ERROR, "slow", "number=%d", 99); /* worse, and thus another event */
    char last[PS_LOG_TEXT];
    ps_log_event(log, PS_LOG_WARNING, "slow", "number=%d", 100);
    int64_t when = ps_log_last_error(log, last, sizeof last);
    assert_true(llabs(when / 1000000000 - (int64_t)time(NULL)) <= 1);
    assert_string_equal(last, "event=slow number=100"); /* left out, and yet the last */
    ps_log_free(log);
    char *lines = released();
    assert_int_equal(count_of(lines, "<4>event=slow"), PS_LOG_BURST);
    assert_int_equal(count_of(lines, "<6>event=picked"), 25);
    assert_int_equal(count_of(lines, "<3>event=slow number=99\n"), 1);
    char expected[100];
    (void)snprintf(expected, sizeof expected, "<4>event=left_out lines=%d of=slow seconds=%d\n",
                   26 - PS_LOG_BURST, PS_LOG_SECONDS);
    assert_int_equal(count_of(lines, expected), 1);
    free(lines);
}

/* More kinds of events than there are windows: all are written, none for ever forgotten. */
static void many_events(void **state)
{
    (void)state;
    caught();
    name_journal(0);
    struct ps_log *log = ps_log_new(PS_LOG_INFO);
    for (int i = 0; i < 200; i++) {
        char event[64];
        (void)snprintf(event, sizeof event, "event_with_quite_a_name_%03d_and_more", i);
        ps_log_event(log, PS_LOG_ERROR, event, "x=1");
    }
    ps_log_free(log);
    char *lines = released();
    assert_int_equal(count_of(lines, "\n"), 200);
    free(lines);
}

static void last_error(void **state)
{
    (void)state;
    char text[PS_LOG_TEXT] = "x", little[9];
    caught();
    struct ps_log *log = ps_log_new(PS_LOG_ERROR);
    assert_int_equal(ps_log_last_error(log, text, sizeof text), 0);
    assert_string_equal(text, "");
    ps_log_event(log, PS_LOG_INFO, "fine", "x=1");
    assert_int_equal(ps_log_last_error(log, text, sizeof text), 0);
    errno = ENOSPC;
    ps_log_event(log, PS_LOG_WARNING, "odd", "file=%s", "\xff.mrc");
    assert_int_equal(errno, ENOSPC);
    assert_true(ps_log_last_error(log, text, sizeof text) > 0);
    assert_string_equal(text, "event=odd file=?.mrc");
    assert_true(ps_log_last_error(log, little, sizeof little) > 0);
    assert_string_equal(little, "event=od");
    ps_log_free(log);
    char *lines = released();
    assert_string_equal(lines, "");
    free(lines);
}

enum { THREADS = 4, ROUNDS = 300 };

static void *write_lines(void *argument)
{
    for (int i = 0; i < ROUNDS; i++)
        ps_log_event(argument, PS_LOG_INFO, "picked", "file=/data/%0200d", i);
    ps_log_event(argument, PS_LOG_WARNING, "done", "x=1");
    return NULL;
}

static void lines_of_threads_do_not_mix(void **state)
{
    (void)state;
    caught();
    name_journal(0);
    struct ps_log *log = ps_log_new(PS_LOG_INFO);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, log), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    ps_log_free(log);
    char *lines = released();
    unsigned whole = 0;
    for (char *line = strtok(lines, "\n"); line; line = strtok(NULL, "\n")) {
        if (strcmp(line, "<4>event=done x=1") == 0)
            continue;
        assert_int_equal(strlen(line), strlen("<6>event=picked file=/data/") + 200);
        assert_memory_equal(line, "<6>event=picked file=/data/0", 28);
        whole++;
    }
    assert_int_equal(whole, THREADS * ROUNDS);
    free(lines);
}

/* The other end is as journald's: it reads what a stream is for, then lines. */
static void another_stream_to_journald(void **state)
{
    (void)state;
    static const char expected[] = "pickstream\n\n6\n1\n0\n0\n0\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[64] = "";
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/tmp/ps-journald-%d", (int)getpid());
    assert_int_equal(ps_journald_open(address.sun_path), -1);
    assert_int_equal(errno, ENOENT);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    int fd = ps_journald_open(address.sun_path);
    assert_true(fd >= 0);
    int reader = accept(listener, NULL, NULL);
    assert_int_equal(write(fd, "<6>x\n", 5), 5);
    assert_int_equal(close(fd), 0);
    ssize_t length = 0, count;
    while ((count = read(reader, text + length, sizeof text - 1 - (size_t)length)) > 0)
        length += count;
    assert_memory_equal(text, expected, sizeof expected - 1);
    assert_string_equal(text + sizeof expected - 1, "<6>x\n");
    assert_int_equal(close(reader) | close(listener) | unlink(address.sun_path), 0);
}

static void no_log(void **state)
{
    (void)state;
    char text[8] = "x";
    ps_log_event(NULL, PS_LOG_ERROR, "x", "y=1");
    assert_int_equal(ps_log_last_error(NULL, text, sizeof text), 0);
    assert_string_equal(text, "");
    ps_log_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(lines_for_journald, forget_journal),
        cmocka_unit_test_teardown(lines_for_people, forget_journal),
        cmocka_unit_test_teardown(levels, forget_journal),
        cmocka_unit_test(quoting),
        cmocka_unit_test(long_names_are_cut),
        cmocka_unit_test_teardown(one_event_is_one_line, forget_journal),
        cmocka_unit_test_teardown(repeated_warnings_are_limited, forget_journal),
        cmocka_unit_test_teardown(many_events, forget_journal),
        cmocka_unit_test(last_error),
        cmocka_unit_test_teardown(lines_of_threads_do_not_mix, forget_journal),
        cmocka_unit_test(another_stream_to_journald),
        cmocka_unit_test(no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
