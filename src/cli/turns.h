/* The order in which a batch takes its micrographs: one alone, then several at a time, in lanes, as
 * long as nothing is short. One that could not be read or picked for want of memory,
 * descriptors or the like is set aside and tried again after the others. If nothing can be picked
 * any more, the batch waits a little, and then ends: the machine is at fault, not the micrographs.
 */
#ifndef PS_CLI_TURNS_H
#define PS_CLI_TURNS_H

#include "pickstream.h"

#include <stdbool.h>
#include <stddef.h>

/* Functions with a `lane` are called in its thread; lane 0 is that of the caller. */
struct ps_turns {
    /* Tries a micrograph. 0 or a code, with the error. */
    int (*pick)(void *context, int lane, size_t number, struct ps_error *error);
    /* True if this failure of pick() can be the machine's fault. Called next after it. */
    bool (*is_shortage)(void *context, int lane, size_t number, const struct ps_error *error);
    /* How many lanes there are beside lane 0: numbers 1 and up. Called when a micrograph was picked
     * for the first time, if there are more. */
    int (*lanes)(void *context);
    /* True if the micrograph can be picked beside others. */
    bool (*fits)(void *context, size_t number);
    /* A micrograph is done: it was picked (`error` NULL), or it has failed. */
    void (*done)(void *context, int lane, size_t number, const struct ps_error *error);
    /* True: take no more. */
    bool (*stopped)(void *context);
    void *context;
};

enum ps_turns_end {
    PS_TURNS_ALL,     /* every one is done */
    PS_TURNS_STOPPED, /* stopped() */
    PS_TURNS_DEVICE,  /* the last one done has failed with PS_E_DEVICE */
    PS_TURNS_SHORT,   /* the machine is short of something: `ret_error` */
};

/* Takes micrographs 0 to count - 1. Without memory for those set aside, they have failed. */
enum ps_turns_end ps_turns_take(const struct ps_turns *turns, size_t count,
                                struct ps_error *ret_error);

#endif
