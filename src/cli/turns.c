#include "cli/turns.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_IN_A_ROW = 4,   /* micrographs set aside one after the other before waiting */
    WAITS_FIRST = 4,    /* then: 1, 2, 4 and 8 s */
    WAITS_SET_ASIDE = 2 /* for one set aside, when its turn comes: 1 and 2 s */
};

/* The result of trying a micrograph. */
enum result { DONE, SHORTAGE, STOPPED, DEVICE };

struct batch {
    const struct ps_turns *turns;
    size_t *aside; /* numbers; NULL without memory */
    size_t aside_count;
    atomic_bool worked; /* one was picked */
    struct ps_error error;
};

static enum result try_in(struct batch *batch, int lane, size_t number, struct ps_error *error)
{
    const struct ps_turns *turns = batch->turns;
    if (turns->stopped(turns->context))
        return STOPPED;
    const int status = turns->pick(turns->context, lane, number, error);
    if (status && status != PS_E_DEVICE && turns->is_shortage(turns->context, lane, number, error))
        return SHORTAGE;
    if (status == 0)
        batch->worked = true;
    turns->done(turns->context, lane, number, status ? error : NULL);
    return status == PS_E_DEVICE ? DEVICE : DONE;
}

static enum result try(struct batch *batch, size_t number)
{
    return try_in(batch, 0, number, &batch->error);
}

/* Waits, at most so often, and tries again as long as there is a shortage. */
static enum result insist(struct batch *batch, size_t number, int waits)
{
    enum result result = SHORTAGE;
    for (int i = 0; i < waits && result == SHORTAGE; i++) {
        const struct timespec pause = {.tv_sec = 1 << i};
        (void)nanosleep(&pause, NULL); /* a signal ends it */
        result = try(batch, number);
    }
    return result;
}

/* ---- lanes ------------------------------------------------------------------------------------
 */

struct lane {
    struct side_by_side *all;
    int number;
    size_t micrograph; /* that it could not pick: `result` */
    enum result result;
    pthread_t thread;
};

struct side_by_side {
    struct batch *batch;
    size_t count;
    atomic_size_t next;
    atomic_bool over; /* the lanes take no more */
};

/* The next micrograph; false if there is none for a lane. */
static bool take_next(struct side_by_side *all, size_t *ret_number)
{
    const struct ps_turns *turns = all->batch->turns;
    size_t number = all->next;
    do {
        if (all->over || number >= all->count || !turns->fits(turns->context, number)) {
            all->over = true;
            return false;
        }
    } while (!atomic_compare_exchange_weak(&all->next, &number, number + 1));
    *ret_number = number;
    return true;
}

static void *run_lane(void *context)
{
    struct lane *lane = context;
    struct ps_error error;
    while (lane->result == DONE && take_next(lane->all, &lane->micrograph))
        lane->result = try_in(lane->all->batch, lane->number, lane->micrograph, &error);
    if (lane->result != DONE)
        lane->all->over = true;
    return NULL;
}

/* Picks micrographs from number `first` on side by side, until one that does not fit, or a failure
 * of the machine. Returns the number of the next one; those that are still to be tried, one of a
 * lane at most, go to `ret_again`. */
static size_t pick_side_by_side(struct batch *batch, size_t first, size_t count, int lane_count,
                                size_t *ret_again, size_t *ret_again_count, enum result *ret_result)
{
    struct side_by_side all = {.batch = batch, .count = count, .next = first};
    struct lane *lanes = calloc((size_t)lane_count, sizeof *lanes);
    int started = 0;
    for (; lanes && started < lane_count; started++) {
        lanes[started] = (struct lane){.all = &all, .number = started + 1, .result = DONE};
        if (ps_thread_start(&lanes[started].thread, "lane", "a lane", run_lane, &lanes[started],
                            NULL) != 0)
            break;
    }
    for (int i = 0; i < started; i++) {
        (void)pthread_join(lanes[i].thread, NULL);
        if (lanes[i].result == SHORTAGE)
            ret_again[(*ret_again_count)++] = lanes[i].micrograph;
        if (lanes[i].result == STOPPED || lanes[i].result == DEVICE)
            *ret_result = lanes[i].result;
    }
    free(lanes);
    return all.next;
}

/* ---- rounds -----------------------------------------------------------------------------------
 */

/* Tries one; `in_a_row` counts those set aside. */
static enum result take(struct batch *batch, size_t number, size_t *in_a_row)
{
    enum result result = try(batch, number);
    if (result == SHORTAGE && batch->aside && ++*in_a_row < MAX_IN_A_ROW) {
        batch->aside[batch->aside_count++] = number;
        return DONE;
    }
    if (result == SHORTAGE)
        result = insist(batch, number, WAITS_FIRST);
    *in_a_row = 0;
    return result;
}

/* Tries all. */
static enum result first_round(struct batch *batch, size_t count)
{
    const struct ps_turns *turns = batch->turns;
    size_t in_a_row = 0;
    size_t next = 0;
    enum result result = DONE;
    while (next < count && !batch->worked && result == DONE)
        result = take(batch, next++, &in_a_row);
    int lanes = next < count && result == DONE ? turns->lanes(turns->context) : 0;
    size_t *again = lanes ? calloc((size_t)lanes, sizeof *again) : NULL;
    size_t again_count = 0;
    if (again)
        next = pick_side_by_side(batch, next, count, lanes, again, &again_count, &result);
    for (size_t i = 0; i < again_count && result == DONE; i++)
        result = take(batch, again[i], &in_a_row);
    free(again);
    for (; next < count && result == DONE; next++)
        result = take(batch, next, &in_a_row);
    return result;
}

/* Tries those set aside. If others were picked, what still fails is at fault itself. */
static enum result second_round(struct batch *batch)
{
    const struct ps_turns *turns = batch->turns;
    for (size_t i = 0; i < batch->aside_count; i++) {
        enum result result = try(batch, batch->aside[i]);
        if (result == SHORTAGE)
            result = insist(batch, batch->aside[i], WAITS_SET_ASIDE);
        if (result == SHORTAGE && batch->worked)
            turns->done(turns->context, 0, batch->aside[i], &batch->error);
        else if (result != DONE)
            return result;
    }
    return DONE;
}

enum ps_turns_end ps_turns_take(const struct ps_turns *turns, size_t count,
                                struct ps_error *ret_error)
{
    struct batch batch = {.turns = turns, .aside = calloc(count + 1, sizeof(size_t))};
    enum result result = first_round(&batch, count);
    if (result == DONE)
        result = second_round(&batch);
    free(batch.aside);
    switch (result) {
    case DONE:
        return PS_TURNS_ALL;
    case STOPPED:
        return PS_TURNS_STOPPED;
    case DEVICE:
        return PS_TURNS_DEVICE;
    case SHORTAGE:
        break;
    }
    *ret_error = batch.error;
    return PS_TURNS_SHORT;
}
