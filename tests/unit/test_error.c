/* Errors: code, message, and the place of a bug. */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void fail_with_message(void **state)
{
    (void)state;
    struct ps_error error = {0};
    assert_int_equal(ps_fail(&error, PS_E_INPUT, "%d frames", 3), PS_E_INPUT);
    assert_int_equal(error.code, PS_E_INPUT);
    assert_string_equal(error.message, "3 frames");
    assert_int_equal(ps_fail(NULL, PS_E_INPUT, "nobody reads this"), PS_E_INPUT);
}

static void prefix_keeps_code(void **state)
{
    (void)state;
    struct ps_error error = {0};
    (void)ps_fail(&error, PS_E_SYSTEM, "disk full");
    assert_int_equal(ps_fail_prefix(&error, "%s", "/data/x.mrc"), PS_E_SYSTEM);
    assert_string_equal(error.message, "/data/x.mrc: disk full");
}

static void bug_has_its_place(void **state)
{
    (void)state;
    struct ps_error error = {0};
    char expected[128];
    (void)snprintf(expected, sizeof expected, "7 lanes (%s:%d)", __FILE__, __LINE__ + 1);
    (void)ps_fail(&error, PS_E_BUG, "%d lanes", 7);
    assert_string_equal(error.message, expected);
    (void)ps_fail_prefix(&error, "x.mrc");
    assert_int_equal(error.code, PS_E_BUG);
    assert_memory_equal(error.message, "x.mrc: 7 lanes (", 16);
    assert_ptr_equal(strchr(error.message, '('), strrchr(error.message, '('));
}

static void place_of_long_message(void **state)
{
    (void)state;
    struct ps_error error = {0};
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)ps_fail(&error, PS_E_BUG, "%s", text);
    assert_int_equal(strlen(error.message), sizeof error.message - 1);
    assert_non_null(strstr(error.message, "test_error.c:"));
}

/* Status 2 of a command keeps systemd from starting it again. */
static void only_what_the_user_named_is_a_mistake(void **state)
{
    (void)state;
    assert_int_equal(ps_code_of_errno(ENOENT), PS_E_CONFIG);
    assert_int_equal(ps_code_of_errno(EACCES), PS_E_CONFIG);
    assert_int_equal(ps_code_of_errno(ENOMEM), PS_E_NOMEM);
    static const int machine[] = {EMFILE, ENFILE, EIO, ESTALE, ENOSPC, EAGAIN, ENOBUFS};
    for (size_t i = 0; i < sizeof machine / sizeof *machine; i++)
        assert_int_equal(ps_code_of_errno(machine[i]), PS_E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_with_message),
        cmocka_unit_test(prefix_keeps_code),
        cmocka_unit_test(bug_has_its_place),
        cmocka_unit_test(place_of_long_message),
        cmocka_unit_test(only_what_the_user_named_is_a_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
