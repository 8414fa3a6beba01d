/* Micrographs that the machine could not pick: how long they wait, and whose fault it is. */
#include "service/postponed.h"

#include "base/clock.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct ps_metrics *metrics;
    struct ps_job_queue *queue;
    struct ps_postponed *postponed;
    int event_fd;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->metrics = ps_metrics_new();
    fixture->queue = ps_job_queue_new(1000, PS_ORDER_OLDEST, fixture->metrics);
    fixture->event_fd = eventfd(0, EFD_NONBLOCK);
    fixture->postponed =
        ps_postponed_new(NULL, fixture->metrics, fixture->queue, fixture->event_fd);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    ps_postponed_free(fixture->postponed);
    ps_job_queue_free(fixture->queue);
    ps_metrics_free(fixture->metrics);
    (void)close(fixture->event_fd);
    free(fixture);
    return 0;
}

static struct ps_job *make_job(const char *path, int64_t mtime_ns)
{
    struct ps_job *job = ps_job_new(path, path);
    assert_non_null(job);
    job->identity.mtime_ns = mtime_ns;
    return job;
}

static struct ps_job *take(struct fixture *fixture, const char *path)
{
    assert_true(ps_job_queue_put(fixture->queue, make_job(path, 1)));
    return ps_job_queue_take(fixture->queue);
}

static bool fail_once(struct fixture *fixture, const char *path)
{
    struct ps_job *job = take(fixture, path);
    bool waits = ps_postponed_add(fixture->postponed, job, "no memory");
    if (!waits) {
        ps_postponed_end(fixture->postponed, job, false);
        ps_job_queue_finish(fixture->queue, job);
    }
    return waits;
}

static void pick(struct fixture *fixture, const char *path)
{
    struct ps_job *job = take(fixture, path);
    ps_postponed_end(fixture->postponed, job, true);
    ps_job_queue_finish(fixture->queue, job);
}

static double seconds_left(struct fixture *fixture)
{
    int64_t next = ps_postponed_release(fixture->postponed);
    return next == INT64_MAX ? -1 : (double)(next - ps_clock_mono_ns()) * 1e-9;
}

static void assert_status(struct fixture *fixture, size_t count, const char *reason)
{
    struct ps_postponed_status status;
    ps_postponed_status(fixture->postponed, &status);
    assert_int_equal(status.count, count);
    assert_string_equal(status.reason, reason);
    assert_int_equal(ps_metrics_gauge(fixture->metrics, PS_GAUGE_QUEUE_POSTPONED), count);
}

/* Without another one that can be picked it is never the micrograph's fault. */
static void waits_twice_as_long_each_time(void **state)
{
    struct fixture *fixture = *state;
    static const double seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    assert_true(seconds_left(fixture) < 0);
    for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
        assert_true(fail_once(fixture, "/a.mrc"));
        double left = seconds_left(fixture);
        assert_true(left > seconds[i] - 0.5 && left <= seconds[i]);
        assert_status(fixture, 1, "no memory");
    }
    eventfd_t woken = 0;
    assert_int_equal(eventfd_read(fixture->event_fd, &woken), 0);
    assert_int_equal(woken, 9);
}

static void a_fault_that_stays_while_others_are_picked_is_its_own(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 1; i < PS_POSTPONED_TRIES; i++) {
        assert_true(fail_once(fixture, "/bad.mrc"));
        assert_true(
            fail_once(fixture, "/bad.mrc")); /* nothing was picked in between: does not count */
        pick(fixture, "/good.mrc");
        pick(fixture, "/good.mrc");
    }
    assert_false(fail_once(fixture, "/bad.mrc"));
    assert_status(fixture, 0, "");
    assert_true(fail_once(fixture, "/bad.mrc")); /* another try is the first again */
}

static void success_of_the_same_one_ends_it(void **state)
{
    struct fixture *fixture = *state;
    assert_true(fail_once(fixture, "/a.mrc"));
    pick(fixture, "/a.mrc");
    assert_status(fixture, 0, "");
    assert_true(seconds_left(fixture) < 0);
}

static void a_job_is_queued_when_its_time_comes(void **state)
{
    struct fixture *fixture = *state;
    assert_true(fail_once(fixture, "/a.mrc"));
    assert_int_equal(ps_job_queue_counts(fixture->queue).waiting, 0);
    double left;
    while ((left = seconds_left(fixture)) > 0)
        (void)usleep((useconds_t)(left * 1e6) + 1000);
    assert_int_equal(ps_job_queue_counts(fixture->queue).waiting, 1);
    assert_status(fixture, 0, "no memory");
    struct ps_job *job = ps_job_queue_take(fixture->queue);
    assert_string_equal(job->path, "/a.mrc");
    ps_job_queue_finish(fixture->queue, job);
}

/* All that wait are tried at once when the machine is well again, and workers do not pause. */
static void recovery_queues_all(void **state)
{
    struct fixture *fixture = *state;
    char path[32];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(path, sizeof path, "/%d.mrc", i);
        assert_true(fail_once(fixture, path));
    }
    assert_status(fixture, 20, "no memory");
    int64_t begin = ps_clock_mono_ns();
    ps_postponed_pause(fixture->postponed);
    assert_true(ps_clock_mono_ns() - begin > 1000000000);
    pick(fixture, "/19.mrc");
    assert_true(seconds_left(fixture) < 0);
    assert_int_equal(ps_job_queue_counts(fixture->queue).waiting, 19);
    begin = ps_clock_mono_ns();
    ps_postponed_pause(fixture->postponed);
    assert_true(ps_clock_mono_ns() - begin < 1000000000);
}

static void one_bad_file_pauses_nothing(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 10; i++)
        assert_true(fail_once(fixture, "/bad.mrc"));
    int64_t begin = ps_clock_mono_ns();
    ps_postponed_pause(fixture->postponed);
    assert_true(ps_clock_mono_ns() - begin < 1000000000);
}

static void a_file_that_changed_waits_no_more(void **state)
{
    struct fixture *fixture = *state;
    assert_true(fail_once(fixture, "/a.mrc"));
    struct ps_job *same = make_job("/a.mrc", 1), *changed = make_job("/a.mrc", 2);
    assert_true(ps_postponed_has(fixture->postponed, same));
    assert_false(ps_postponed_has(fixture->postponed, changed));
    assert_false(ps_postponed_has(fixture->postponed, same));
    assert_status(fixture, 0, "");
    ps_job_free(same);
    ps_job_free(changed);
}

/* More than it can hold: these are left to a rescan. */
static void too_many_are_found_again(void **state)
{
    struct fixture *fixture = *state;
    char path[32];
    for (int i = 0; i < 300; i++) {
        (void)snprintf(path, sizeof path, "/%d.mrc", i);
        assert_true(fail_once(fixture, path));
    }
    assert_status(fixture, 256, "no memory");
    assert_int_equal(ps_job_queue_counts(fixture->queue).overflowed, 44);
    assert_int_equal(ps_job_queue_counts(fixture->queue).in_flight, 0);
    assert_true(ps_job_queue_wants_rescan(fixture->queue));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(waits_twice_as_long_each_time),
        TEST(a_fault_that_stays_while_others_are_picked_is_its_own),
        TEST(success_of_the_same_one_ends_it),
        TEST(a_job_is_queued_when_its_time_comes),
        TEST(recovery_queues_all),
        TEST(one_bad_file_pauses_nothing),
        TEST(a_file_that_changed_waits_no_more),
        TEST(too_many_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
