/* Counts are exact with any number of writers, quantiles as exact as their buckets. */
#include "base/metrics.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void counters_and_gauges(void **state)
{
    (void)state;
    struct ps_metrics *metrics = ps_metrics_new();
    assert_int_equal(ps_metrics_counter(metrics, PS_COUNTER_SEEN), 0);
    ps_metrics_add(metrics, PS_COUNTER_SEEN, 1);
    ps_metrics_add(metrics, PS_COUNTER_SEEN, 41);
    ps_metrics_set(metrics, PS_GAUGE_WATCHES, 7);
    ps_metrics_set(metrics, PS_GAUGE_WATCHES, -3);
    assert_int_equal(ps_metrics_counter(metrics, PS_COUNTER_SEEN), 42);
    assert_int_equal(ps_metrics_counter(metrics, PS_COUNTER_PICKED), 0);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_WATCHES), -3);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_SUBSCRIBERS), 0);
    ps_metrics_free(metrics);
}

static double quantile(const struct ps_metrics *metrics, double q)
{
    return ps_metrics_quantile(metrics, PS_HISTOGRAM_LATENCY, q);
}

/* 1 us to 1000 s, so much of each decade: the quantile q is 10^(9 q - 6) s. */
static void quantiles_of_a_known_distribution(void **state)
{
    (void)state;
    enum { COUNT = 9000 };
    struct ps_metrics *metrics = ps_metrics_new();
    for (int i = 0; i < COUNT; i++)
        ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, pow(10, 9 * (i + 0.5) / COUNT - 6));
    double before = 0;
    for (double q = 0.15; q < 1; q += 0.01) { /* below that, all is in the first bucket */
        double expected = pow(10, 9 * q - 6);
        double found = quantile(metrics, q);
        if (fabs(found / expected - 1) > 0.03)
            fail_msg("quantile %g is %g s, expected %g s", q, found, expected);
        assert_true(found >= before);
        before = found;
    }
    assert_true(quantile(metrics, 0.01) > 0 && quantile(metrics, 0.01) <= 1e-5);
    assert_true(quantile(metrics, 1) <= 1000 && quantile(metrics, 1) > 990);
    ps_metrics_free(metrics);
}

/* Whatever one value is, its quantile is off by the width of its bucket at most. */
static void quantile_of_one_value(void **state)
{
    (void)state;
    for (double value = 1.1e-5; value < 1200; value *= 1.01) {
        struct ps_metrics *metrics = ps_metrics_new();
        ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, value);
        for (int i = 0; i <= 4; i++) {
            double ratio = quantile(metrics, 0.25 * i) / value;
            assert_true(ratio <= 1 + 1e-4 && ratio > 1 / (sqrt(2) * 1.0001));
        }
        ps_metrics_free(metrics);
    }
}

static void unusual_observations(void **state)
{
    (void)state;
    struct ps_metrics *metrics = ps_metrics_new();
    assert_true(quantile(metrics, 0.5) == 0);
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, NAN);
    assert_true(quantile(metrics, 0.5) == 0);
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, -5);
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, 0);
    assert_true(quantile(metrics, 1) == 0);
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, 86400);
    assert_true(fabs(quantile(metrics, 1) - 86400) < 1e-6);
    assert_true(quantile(metrics, 0.5) <= 1e-5);
    ps_metrics_observe(metrics, PS_HISTOGRAM_LATENCY, INFINITY);
    assert_true(isfinite(quantile(metrics, 1)));
    ps_metrics_free(metrics);
}

static void as_text(void **state)
{
    (void)state;
    struct ps_metrics *metrics = ps_metrics_new();
    char *text = NULL;
    size_t size;
    ps_metrics_add(metrics, PS_COUNTER_PICKS, UINT64_C(12345678901));
    ps_metrics_set(metrics, PS_GAUGE_WATCHES, 3);
    ps_metrics_observe(metrics, PS_HISTOGRAM_COMMIT, 1.5e-5);
    ps_metrics_observe(metrics, PS_HISTOGRAM_COMMIT, 2500);
    FILE *stream = open_memstream(&text, &size);
    ps_metrics_text(metrics, stream);
    assert_int_equal(fclose(stream), 0);
    static const char *const parts[] = {
        "# HELP pickstream_picks_total particles picked\n"
        "# TYPE pickstream_picks_total counter\n"
        "pickstream_picks_total 12345678901\n",
        "# TYPE pickstream_watches gauge\npickstream_watches 3\n",
        "# TYPE pickstream_commit_seconds histogram\n"
        "pickstream_commit_seconds_bucket{le=\"1e-05\"} 0\n"
        "pickstream_commit_seconds_bucket{le=\"2e-05\"} 1\n"
        "pickstream_commit_seconds_bucket{le=\"4e-05\"} 1\n",
        "pickstream_commit_seconds_bucket{le=\"+Inf\"} 2\n"
        "pickstream_commit_seconds_sum 2500.000015\n"
        "pickstream_commit_seconds_count 2\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!strstr(text, parts[i]))
            fail_msg("not there: %s", parts[i]);
    }
    free(text);
    ps_metrics_free(metrics);
}

enum { THREADS = 4, ROUNDS = 5000 };

static void *write_all(void *argument)
{
    struct ps_metrics *metrics = argument;
    for (int i = 0; i < ROUNDS; i++) {
        ps_metrics_add(metrics, PS_COUNTER_PICKS, 3);
        ps_metrics_set(metrics, PS_GAUGE_WATCHES, 5);
        ps_metrics_observe(metrics, PS_HISTOGRAM_PICKING, 1e-3 * (i % 10 + 1));
    }
    return NULL;
}

static void many_writers_and_a_reader(void **state)
{
    (void)state;
    struct ps_metrics *metrics = ps_metrics_new();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, metrics), 0);
    for (int i = 0; i < 20; i++) {
        json_t *json = ps_metrics_json(metrics);
        assert_non_null(json);
        json_decref(json);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(ps_metrics_counter(metrics, PS_COUNTER_PICKS), 3 * THREADS * ROUNDS);
    json_t *json = ps_metrics_json(metrics);
    json_t *picking = json_object_get(json, "picking_seconds");
    assert_int_equal(json_integer_value(json_object_get(picking, "count")), THREADS * ROUNDS);
    double sum = json_number_value(json_object_get(picking, "sum"));
    assert_true(fabs(sum - THREADS * ROUNDS * 5.5e-3) < 1e-3);
    double p99 = json_number_value(json_object_get(picking, "p99"));
    assert_true(p99 > 9e-3 && p99 <= 10e-3 * 1.0001);
    json_decref(json);
    ps_metrics_free(metrics);
}

static void json_names_everything(void **state)
{
    (void)state;
    struct ps_metrics *metrics = ps_metrics_new();
    ps_metrics_add(metrics, PS_COUNTER_OVERFLOWS, 2);
    ps_metrics_set(metrics, PS_GAUGE_SUBSCRIBERS, 1);
    ps_metrics_observe(metrics, PS_HISTOGRAM_COMMIT, 0.25);
    json_t *json = ps_metrics_json(metrics);
    assert_int_equal(json_object_size(json),
                     PS_COUNTER_COUNT + PS_GAUGE_COUNT + PS_HISTOGRAM_COUNT);
    assert_int_equal(json_integer_value(json_object_get(json, "overflows")), 2);
    assert_int_equal(json_integer_value(json_object_get(json, "subscribers")), 1);
    assert_true(json_is_integer(json_object_get(json, "seen")));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(json, "commit_seconds"), key, value)
    {
        double expected = strcmp(key, "count") == 0 ? 1 : 0.25;
        /* The only value is the largest, the middle of its bucket is below. */
        double lowest = strcmp(key, "p50") == 0 ? expected / sqrt(2) : expected * 0.99;
        assert_true(json_number_value(value) <= expected + 1e-9);
        assert_true(json_number_value(value) > lowest);
    }
    assert_int_equal(json_object_size(json_object_get(json, "commit_seconds")), 4);
    json_decref(json);
    ps_metrics_free(metrics);
}

static void without_a_reader(void **state)
{
    (void)state;
    ps_metrics_add(NULL, PS_COUNTER_SEEN, 1);
    ps_metrics_set(NULL, PS_GAUGE_WATCHES, 1);
    ps_metrics_observe(NULL, PS_HISTOGRAM_COMMIT, 1);
    assert_int_equal(ps_metrics_counter(NULL, PS_COUNTER_SEEN), 0);
    assert_int_equal(ps_metrics_gauge(NULL, PS_GAUGE_WATCHES), 0);
    assert_true(ps_metrics_quantile(NULL, PS_HISTOGRAM_COMMIT, 0.5) == 0);
    ps_metrics_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges),
        cmocka_unit_test(quantiles_of_a_known_distribution),
        cmocka_unit_test(quantile_of_one_value),
        cmocka_unit_test(unusual_observations),
        cmocka_unit_test(as_text),
        cmocka_unit_test(many_writers_and_a_reader),
        cmocka_unit_test(json_names_everything),
        cmocka_unit_test(without_a_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
