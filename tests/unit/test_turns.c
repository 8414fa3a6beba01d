/* The order in which `pick` takes micrographs: lanes, what does not fit into them, shortages. */
#include "base/error.h"
#include "cli/turns.h"

#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <time.h>

enum { COUNT = 7, LANES = 2, NONE = COUNT };

struct batch {
    size_t unfit;    /* does not fit into a lane */
    size_t short_of; /* memory is, when it is tried first */
    bool meet;       /* the lanes wait for each other, once */
    pthread_mutex_t lock;
    pthread_cond_t met;
    int inside;
    int lanes[COUNT]; /* where each was picked */
    int tries[COUNT];
    int done[COUNT];
};

/* Waits until as many lanes are inside as there are: only lanes side by side get that far. */
static void meet(struct batch *batch)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 60;
    batch->inside++;
    (void)pthread_cond_broadcast(&batch->met);
    while (batch->inside < LANES)
        if (pthread_cond_timedwait(&batch->met, &batch->lock, &end) == ETIMEDOUT)
            break;
}

static int pick(void *context, int lane, size_t number, struct ps_error *error)
{
    struct batch *batch = context;
    (void)pthread_mutex_lock(&batch->lock);
    batch->lanes[number] = lane;
    bool fails = number == batch->short_of && batch->tries[number] == 0;
    batch->tries[number]++;
    if (lane > 0 && batch->meet && batch->inside < LANES)
        meet(batch);
    (void)pthread_mutex_unlock(&batch->lock);
    return fails ? ps_fail(error, PS_E_NOMEM, "short") : 0;
}

static bool is_shortage(void *context, int lane, size_t number, const struct ps_error *error)
{
    (void)context;
    (void)lane;
    (void)number;
    return error->code == PS_E_NOMEM;
}

static int lanes(void *context)
{
    const struct batch *batch = context;
    assert_int_equal(batch->done[0], 1);
    return LANES;
}

static bool fits(void *context, size_t number)
{
    return number != ((const struct batch *)context)->unfit;
}

static void done(void *context, int lane, size_t number, const struct ps_error *error)
{
    struct batch *batch = context;
    (void)pthread_mutex_lock(&batch->lock);
    assert_null(error);
    assert_int_equal(batch->lanes[number], lane);
    batch->done[number]++;
    (void)pthread_mutex_unlock(&batch->lock);
}

static bool stopped(void *context)
{
    (void)context;
    return false;
}

static struct batch take(size_t unfit, size_t short_of, bool meets)
{
    struct batch batch = {
        .unfit = unfit,
        .short_of = short_of,
        .meet = meets,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .met = PTHREAD_COND_INITIALIZER,
    };
    const struct ps_turns turns = {.pick = pick,
                                   .is_shortage = is_shortage,
                                   .lanes = lanes,
                                   .fits = fits,
                                   .done = done,
                                   .stopped = stopped,
                                   .context = &batch};
    struct ps_error error;
    assert_int_equal(ps_turns_take(&turns, COUNT, &error), PS_TURNS_ALL);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(batch.done[i], 1);
    return batch;
}

static void lanes_are_side_by_side(void **state)
{
    (void)state;
    struct batch batch = take(NONE, NONE, true);
    assert_int_equal(batch.inside, LANES);
    assert_int_equal(batch.lanes[0], 0);
    for (int i = 1; i < COUNT; i++)
        assert_true(batch.lanes[i] > 0);
}

static void from_what_does_not_fit_on_one_at_a_time(void **state)
{
    (void)state;
    struct batch batch = take(3, NONE, false);
    assert_true(batch.lanes[1] > 0 && batch.lanes[2] > 0);
    for (int i = 3; i < COUNT; i++)
        assert_int_equal(batch.lanes[i], 0);
}

static void what_a_lane_is_short_of_is_tried_again(void **state)
{
    (void)state;
    struct batch batch = take(NONE, 2, false);
    assert_int_equal(batch.tries[2], 2);
    assert_int_equal(batch.lanes[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_are_side_by_side),
        cmocka_unit_test(from_what_does_not_fit_on_one_at_a_time),
        cmocka_unit_test(what_a_lane_is_short_of_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
