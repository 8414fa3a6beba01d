#include "cli/turns.h"

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
    bool worked; /* one was picked */
    struct ps_error error;
};

static enum result try(struct batch *batch, size_t number)
{
    const struct ps_turns *turns = batch->turns;
    if (turns->stopped(turns->context))
        return STOPPED;
    const int status = turns->pick(turns->context, number, &batch->error);
    if (status && status != PS_E_DEVICE &&
        turns->is_shortage(turns->context, number, &batch->error))
        return SHORTAGE;
    batch->worked |= status == 0;
    turns->done(turns->context, number, status ? &batch->error : NULL);
    return status == PS_E_DEVICE ? DEVICE : DONE;
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

/* Tries all. */
static enum result first_round(struct batch *batch, size_t count)
{
    size_t in_a_row = 0;
    for (size_t i = 0; i < count; i++) {
        enum result result = try(batch, i);
        if (result == SHORTAGE && batch->aside && ++in_a_row < MAX_IN_A_ROW) {
            batch->aside[batch->aside_count++] = i;
            continue;
        }
        if (result == SHORTAGE)
            result = insist(batch, i, WAITS_FIRST);
        if (result != DONE)
            return result;
        in_a_row = 0;
    }
    return DONE;
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
            turns->done(turns->context, batch->aside[i], &batch->error);
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
