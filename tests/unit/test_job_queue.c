/* The job queue: which job is taken next, which one is dropped when it is full, and closing it. */
#include "service/job_queue.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ps_job *job(const char *path, int64_t mtime_ns)
{
    struct ps_job *made = ps_job_new(path, path);
    assert_non_null(made);
    made->identity = (struct ps_identity){.device = 1, .inode = 2, .size = 3, .mtime_ns = mtime_ns};
    return made;
}

static void put(struct ps_job_queue *queue, const char *path, int64_t mtime_ns)
{
    assert_true(ps_job_queue_put(queue, job(path, mtime_ns)));
}

static void assert_taken(struct ps_job_queue *queue, const char *path, int64_t mtime_ns)
{
    struct ps_job *taken = ps_job_queue_take(queue);
    assert_non_null(taken);
    assert_string_equal(taken->path, path);
    assert_int_equal(taken->identity.mtime_ns, mtime_ns);
    ps_job_queue_finish(queue, taken);
}

static void assert_counts(struct ps_job_queue *queue, size_t waiting, size_t in_flight,
                          uint64_t overflowed)
{
    struct ps_job_queue_counts counts = ps_job_queue_counts(queue);
    assert_int_equal(counts.waiting, waiting);
    assert_int_equal(counts.in_flight, in_flight);
    assert_int_equal(counts.overflowed, overflowed);
}

static void the_oldest_is_taken_first(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put(queue, "c", 30);
    put(queue, "a", 10);
    put(queue, "z", 20);
    put(queue, "b", 20);
    assert_taken(queue, "a", 10);
    assert_taken(queue, "b", 20);
    assert_taken(queue, "z", 20);
    assert_taken(queue, "c", 30);
    assert_counts(queue, 0, 0, 0);
    ps_job_queue_free(queue);
}

static void metrics_follow(void **state)
{
    (void)state;
    struct ps_metrics *metrics = ps_metrics_new();
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, metrics);
    put(queue, "a", 10);
    put(queue, "b", 20);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_QUEUE_WAITING), 2);
    struct ps_job *taken = ps_job_queue_take(queue);
    put(queue, "a", 30);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_QUEUE_WAITING), 2);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_QUEUE_IN_FLIGHT), 1);
    ps_job_queue_finish(queue, taken);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_QUEUE_IN_FLIGHT), 0);
    ps_job_queue_close(queue);
    assert_int_equal(ps_metrics_gauge(metrics, PS_GAUGE_QUEUE_WAITING), 0);
    ps_job_queue_free(queue);
    ps_metrics_free(metrics);
}

static void the_newest_does_not_wait_behind_a_backlog(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(6000, PS_ORDER_NEWEST, NULL);
    for (int i = 0; i < 5000; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "old%04d", i);
        put(queue, path, i);
    }
    put(queue, "new", 1000000);
    assert_taken(queue, "new", 1000000);
    put(queue, "newer", 2000000);
    assert_taken(queue, "newer", 2000000);
    assert_taken(queue, "old4999", 4999);
    ps_job_queue_free(queue);
}

static void put_repick(struct ps_job_queue *queue, const char *path, int64_t mtime_ns)
{
    struct ps_job *made = job(path, mtime_ns);
    made->repick = true;
    assert_true(ps_job_queue_put(queue, made));
}

static void repicks_come_last_the_newest_first(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(4, PS_ORDER_OLDEST, NULL);
    put_repick(queue, "b", 20);
    put_repick(queue, "c", 30);
    put_repick(queue, "a", 10);
    put(queue, "z", 99);
    put(queue, "y", 98); /* the queue is full: the oldest of the repicks is dropped */
    assert_counts(queue, 4, 0, 1);
    assert_taken(queue, "y", 98);
    assert_taken(queue, "z", 99);
    assert_taken(queue, "c", 30);
    assert_taken(queue, "b", 20);
    ps_job_queue_free(queue);
}

/* Asked for between the commit of an outcome and the end of its job. */
static void a_repick_of_the_file_being_picked_waits(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(4, PS_ORDER_OLDEST, NULL);
    put(queue, "a", 10);
    struct ps_job *taken = ps_job_queue_take(queue);
    struct ps_job *again = job("a", 10);
    again->repick = true;
    again->row = 2;
    assert_true(ps_job_queue_put(queue, again));
    ps_job_queue_finish(queue, taken);
    assert_taken(queue, "a", 10);
    ps_job_queue_free(queue);
}

/* Against sorting: many jobs put and taken in turns, the queue never full. */
static void any_sequence_comes_out_in_order(void **state)
{
    (void)state;
    for (int order = PS_ORDER_OLDEST; order <= PS_ORDER_NEWEST; order++) {
        struct ps_job_queue *queue = ps_job_queue_new(1000, (enum ps_order)order, NULL);
        int64_t times[1000];
        size_t count = 0;
        uint32_t random = 1;
        for (int step = 0; step < 4000; step++) {
            random = random * 1664525U + 1013904223U;
            if (random >> 31 && count < 900) {
                char path[32];
                times[count] = (int64_t)(random >> 8 & 0xffff);
                (void)snprintf(path, sizeof path, "%05d", step);
                put(queue, path, times[count++]);
            } else if (count > 0) {
                size_t next = 0;
                for (size_t i = 1; i < count; i++)
                    if (order == PS_ORDER_OLDEST ? times[i] < times[next] : times[i] > times[next])
                        next = i;
                struct ps_job *taken = ps_job_queue_take(queue);
                assert_int_equal(taken->identity.mtime_ns, times[next]);
                ps_job_queue_finish(queue, taken);
                times[next] = times[--count];
            }
            assert_counts(queue, count, 0, 0);
        }
        ps_job_queue_free(queue);
    }
}

static void a_path_waits_once(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put(queue, "a", 10);
    put(queue, "b", 20);
    put(queue, "a", 30); /* rewritten before it was picked */
    assert_counts(queue, 2, 0, 0);
    assert_taken(queue, "b", 20);
    assert_taken(queue, "a", 30);
    assert_counts(queue, 0, 0, 0);
    ps_job_queue_free(queue);
}

static void a_path_is_picked_by_one_worker_at_a_time(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put(queue, "a", 10);
    struct ps_job *taken = ps_job_queue_take(queue);
    put(queue, "a", 20);
    put(queue, "a", 21);
    put(queue, "b", 30);
    assert_counts(queue, 2, 1, 0);
    struct ps_job *other = ps_job_queue_take(queue);
    assert_string_equal(other->path, "b");
    taken->identity.mtime_ns = 11; /* the worker updates the identity */
    ps_job_queue_finish(queue, taken);
    assert_counts(queue, 1, 1, 0);
    assert_taken(queue, "a", 21);
    ps_job_queue_finish(queue, other);
    assert_counts(queue, 0, 0, 0);
    ps_job_queue_free(queue);
}

static void the_file_being_picked_is_not_queued_again(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put(queue, "a", 10);
    struct ps_job *taken = ps_job_queue_take(queue);
    put(queue, "a", 10); /* a scan found it again */
    assert_counts(queue, 0, 1, 0);
    ps_job_queue_finish(queue, taken);
    put(queue, "a", 10); /* after the pick: the journal decides, not the queue */
    assert_taken(queue, "a", 10);
    ps_job_queue_free(queue);
}

/* P2: dropped jobs are counted, and a rescan is wanted when the queue has space. */
static void the_job_to_be_taken_last_is_dropped(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(4, PS_ORDER_OLDEST, NULL);
    for (int i = 0; i < 4; i++)
        put(queue, (const char *[]){"d", "c", "b", "a"}[i], 40 - 10 * i);
    assert_false(ps_job_queue_wants_rescan(queue));
    put(queue, "e", 50); /* would be taken last itself */
    put(queue, "aa", 5); /* "d" is dropped */
    assert_counts(queue, 4, 0, 2);
    assert_false(ps_job_queue_wants_rescan(queue));
    assert_taken(queue, "aa", 5);
    assert_taken(queue, "a", 10);
    assert_false(ps_job_queue_wants_rescan(queue)); /* half full */
    assert_taken(queue, "b", 20);
    assert_true(ps_job_queue_wants_rescan(queue));
    assert_false(ps_job_queue_wants_rescan(queue)); /* only once */
    assert_taken(queue, "c", 30);
    put(queue, "d", 40);
    assert_taken(queue, "d", 40);
    ps_job_queue_free(queue);
}

static void a_full_queue_of_newest_keeps_the_newest(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(2, PS_ORDER_NEWEST, NULL);
    put(queue, "a", 10);
    put(queue, "b", 20);
    put(queue, "c", 30);
    assert_taken(queue, "c", 30);
    assert_taken(queue, "b", 20);
    assert_counts(queue, 0, 0, 1);
    ps_job_queue_free(queue);
}

static void closing_ends_it(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put(queue, "a", 10);
    put(queue, "b", 20);
    struct ps_job *taken = ps_job_queue_take(queue);
    put(queue, "a", 11);
    ps_job_queue_close(queue);
    assert_null(ps_job_queue_take(queue));
    assert_false(ps_job_queue_put(queue, job("c", 30)));
    ps_job_queue_finish(queue, taken);
    assert_counts(queue, 0, 0, 0);
    assert_null(ps_job_queue_take(queue));
    ps_job_queue_free(queue);
}

/* ---- threads ----------------------------------------------------------------------------------
 */

enum { PATHS = 50, ROUNDS = 200, TAKERS = 3 };

struct crowd {
    struct ps_job_queue *queue;
    pthread_mutex_t lock;
    int flying[PATHS];
    int64_t last[PATHS];
    bool clashed;
};

static void *take_all(void *context)
{
    struct crowd *crowd = context;
    struct ps_job *taken;
    while ((taken = ps_job_queue_take(crowd->queue)) != NULL) {
        int path = atoi(taken->path);
        pthread_mutex_lock(&crowd->lock);
        crowd->clashed |= crowd->flying[path]++ > 0;
        crowd->clashed |= taken->identity.mtime_ns <= crowd->last[path];
        crowd->last[path] = taken->identity.mtime_ns;
        pthread_mutex_unlock(&crowd->lock);
        pthread_mutex_lock(&crowd->lock);
        crowd->flying[path]--;
        pthread_mutex_unlock(&crowd->lock);
        ps_job_queue_finish(crowd->queue, taken);
    }
    return NULL;
}

/* Many revisions of few paths with several workers: each path by one worker at a time, revisions
 * in their order, the last of each is picked. */
static void many_workers_share_it(void **state)
{
    (void)state;
    struct crowd crowd = {.queue = ps_job_queue_new(1000, PS_ORDER_OLDEST, NULL)};
    pthread_t takers[TAKERS];
    pthread_mutex_init(&crowd.lock, NULL);
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_create(&takers[i], NULL, take_all, &crowd), 0);
    for (int round = 1; round <= ROUNDS; round++) {
        for (int path = 0; path < PATHS; path++) {
            char name[32];
            (void)snprintf(name, sizeof name, "%d", path);
            put(crowd.queue, name, round);
        }
    }
    for (;;) {
        struct ps_job_queue_counts counts = ps_job_queue_counts(crowd.queue);
        if (counts.waiting + counts.in_flight == 0)
            break;
        (void)sched_yield();
    }
    ps_job_queue_close(crowd.queue);
    for (int i = 0; i < TAKERS; i++)
        assert_int_equal(pthread_join(takers[i], NULL), 0);
    assert_false(crowd.clashed);
    for (int path = 0; path < PATHS; path++)
        assert_int_equal(crowd.last[path], ROUNDS);
    ps_job_queue_free(crowd.queue);
    pthread_mutex_destroy(&crowd.lock);
}

static void *take_one(void *context)
{
    return ps_job_queue_take(context);
}

/* No worker gets a path while another thread has claimed it, and the other way round. */
static void a_claimed_path_is_not_picked(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    struct ps_job *claimed = job("a", 0), *refused = job("b", 0);
    put(queue, "a", 10);
    put(queue, "b", 20);
    assert_true(ps_job_queue_claim(queue, claimed));
    put(queue, "a", 11); /* replaces the one that waits */
    struct ps_job *taken = ps_job_queue_take(queue);
    assert_string_equal(taken->path, "b");
    assert_false(ps_job_queue_claim(queue, refused));
    ps_job_queue_finish(queue, taken);
    assert_counts(queue, 1, 1, 0);
    ps_job_queue_finish(queue, claimed);
    assert_taken(queue, "a", 11);
    assert_counts(queue, 0, 0, 0);
    ps_job_queue_close(queue);
    assert_false(ps_job_queue_claim(queue, refused));
    ps_job_free(refused);
    ps_job_queue_free(queue);
}

/* A waiting taker gets the job that is put, and NULL when the queue is closed. */
static void takers_wait(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    pthread_t taker;
    void *taken;
    assert_int_equal(pthread_create(&taker, NULL, take_one, queue), 0);
    put(queue, "a", 10);
    assert_int_equal(pthread_join(taker, &taken), 0);
    assert_string_equal(((struct ps_job *)taken)->path, "a");
    assert_int_equal(pthread_create(&taker, NULL, take_one, queue), 0);
    ps_job_queue_close(queue);
    ps_job_queue_finish(queue, taken);
    assert_int_equal(pthread_join(taker, &taken), 0);
    assert_null(taken);
    ps_job_queue_free(queue);
}

/* ---- suspects ---------------------------------------------------------------------------------
 */

static void put_deadly(struct ps_job_queue *queue, const char *path, int deaths)
{
    struct ps_job *made = job(path, 1);
    made->deaths = deaths;
    assert_true(ps_job_queue_put(queue, made));
}

static struct ps_job *take_path(struct ps_job_queue *queue, const char *path)
{
    struct ps_job *taken = ps_job_queue_take(queue);
    assert_non_null(taken);
    assert_string_equal(taken->path, path);
    return taken;
}

static void a_suspect_is_taken_last_and_alone(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(2, PS_ORDER_OLDEST, NULL);
    put_deadly(queue, "suspect", PS_SUSPECT_DEATHS);
    put_deadly(queue, "suspect", PS_SUSPECT_DEATHS);
    put(queue, "a", 10);
    assert_int_equal(ps_job_queue_counts(queue).suspects, 1);
    assert_counts(queue, 2, 0, 0);
    struct ps_job *first = take_path(queue, "a");
    pthread_t taker;
    void *taken;
    assert_int_equal(pthread_create(&taker, NULL, take_one, queue), 0); /* waits for "a" */
    ps_job_queue_finish(queue, first);
    assert_int_equal(pthread_join(taker, &taken), 0);
    assert_string_equal(((struct ps_job *)taken)->path, "suspect");
    put(queue, "b", 5);
    pthread_t takers[2];
    for (int i = 0; i < 2; i++) /* wait for the suspect */
        assert_int_equal(pthread_create(&takers[i], NULL, take_one, queue), 0);
    assert_counts(queue, 1, 1, 0);
    assert_int_equal(ps_job_queue_counts(queue).suspects, 1);
    ps_job_queue_finish(queue, taken);
    put(queue, "c", 6);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(takers[i], &taken), 0);
        assert_string_not_equal(((struct ps_job *)taken)->path, "suspect");
        ps_job_queue_finish(queue, taken);
    }
    assert_int_equal(ps_job_queue_counts(queue).suspects, 0);
    ps_job_queue_free(queue);
}

static void a_suspect_needs_no_room(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(1, PS_ORDER_OLDEST, NULL);
    put_deadly(queue, "suspect", PS_SUSPECT_DEATHS);
    put(queue, "a", 10);
    assert_counts(queue, 2, 0, 0);
    put(queue, "b", 20);
    assert_counts(queue, 2, 0, 1);
    assert_taken(queue, "a", 10);
    assert_taken(queue, "suspect", 1);
    ps_job_queue_free(queue);
}

static void only_suspects_wait(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put_deadly(queue, "innocent", PS_SUSPECT_DEATHS - 1);
    put_deadly(queue, "deadly", PS_MAX_DEATHS); /* will not be tried */
    struct ps_job *first = take_path(queue, "deadly");
    struct ps_job *second = take_path(queue, "innocent");
    ps_job_queue_finish(queue, first);
    ps_job_queue_finish(queue, second);
    put_deadly(queue, "suspect", PS_SUSPECT_DEATHS);
    put(queue, "suspect", 10); /* rewritten */
    put(queue, "z", 20);
    first = take_path(queue, "suspect");
    second = take_path(queue, "z");
    ps_job_queue_finish(queue, first);
    ps_job_queue_finish(queue, second);
    put_deadly(queue, "x", PS_SUSPECT_DEATHS);
    ps_job_queue_close(queue);
    assert_counts(queue, 0, 0, 0);
    ps_job_queue_free(queue);
}

/* The queue is never empty: it is taken in the end. */
static void a_suspect_does_not_starve(void **state)
{
    (void)state;
    struct ps_job_queue *queue = ps_job_queue_new(10, PS_ORDER_OLDEST, NULL);
    put_deadly(queue, "suspect", PS_SUSPECT_DEATHS);
    int overtakes = -1;
    bool found = false;
    for (; !found && overtakes <= PS_MAX_OVERTAKES; overtakes++) {
        put(queue, overtakes % 2 ? "a" : "b", overtakes + 2);
        struct ps_job *taken = ps_job_queue_take(queue);
        found = strcmp(taken->path, "suspect") == 0;
        ps_job_queue_finish(queue, taken);
    }
    assert_true(found);
    assert_int_equal(overtakes, PS_MAX_OVERTAKES);
    ps_job_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_is_taken_first),
        cmocka_unit_test(metrics_follow),
        cmocka_unit_test(the_newest_does_not_wait_behind_a_backlog),
        cmocka_unit_test(repicks_come_last_the_newest_first),
        cmocka_unit_test(a_repick_of_the_file_being_picked_waits),
        cmocka_unit_test(any_sequence_comes_out_in_order),
        cmocka_unit_test(a_path_waits_once),
        cmocka_unit_test(a_path_is_picked_by_one_worker_at_a_time),
        cmocka_unit_test(the_file_being_picked_is_not_queued_again),
        cmocka_unit_test(the_job_to_be_taken_last_is_dropped),
        cmocka_unit_test(a_full_queue_of_newest_keeps_the_newest),
        cmocka_unit_test(closing_ends_it),
        cmocka_unit_test(many_workers_share_it),
        cmocka_unit_test(a_claimed_path_is_not_picked),
        cmocka_unit_test(takers_wait),
        cmocka_unit_test(a_suspect_is_taken_last_and_alone),
        cmocka_unit_test(a_suspect_needs_no_room),
        cmocka_unit_test(only_suspects_wait),
        cmocka_unit_test(a_suspect_does_not_starve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
