/* The rate of completions in the status. */
#include "service/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t SECOND = 1000000000;

static void counts_from_the_oldest_completion(void **state)
{
    (void)state;
    struct ps_rate *rate = ps_rate_new();
    assert_non_null(rate);
    assert_float_equal(ps_rate_per_hour(rate, SECOND), 0, 0);
    ps_rate_count(rate, 100 * SECOND);
    assert_float_equal(ps_rate_per_hour(rate, 101 * SECOND), 0, 0);
    for (int64_t i = 1; i < 10; i++)
        ps_rate_count(rate, (100 + 4 * i) * SECOND);
    assert_float_equal(ps_rate_per_hour(rate, 140 * SECOND), 10 / 40.0 * 3600, 1e-6);
    ps_rate_free(rate);
}

static void forgets_what_is_older_than_ten_minutes(void **state)
{
    (void)state;
    struct ps_rate *rate = ps_rate_new();
    assert_non_null(rate);
    ps_rate_count(rate, 1 * SECOND);
    ps_rate_count(rate, 700 * SECOND);
    ps_rate_count(rate, 710 * SECOND);
    assert_float_equal(ps_rate_per_hour(rate, 720 * SECOND), 2 / 20.0 * 3600, 1e-6);
    assert_float_equal(ps_rate_per_hour(rate, 1400 * SECOND), 0, 0);
    ps_rate_free(rate);
}

/* A fast GPU completes more in ten minutes than are kept. */
static void keeps_the_newest(void **state)
{
    (void)state;
    struct ps_rate *rate = ps_rate_new();
    assert_non_null(rate);
    for (int64_t i = 0; i < 5000; i++)
        ps_rate_count(rate, i * SECOND / 10);
    assert_float_equal(ps_rate_per_hour(rate, 4999 * SECOND / 10), 36000, 50);
    ps_rate_free(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_from_the_oldest_completion),
        cmocka_unit_test(forgets_what_is_older_than_ten_minutes),
        cmocka_unit_test(keeps_the_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
