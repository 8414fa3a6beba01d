/* Delivers a micrograph to the microscope's directory at a given time, at once or in pieces: under
 * its final name from the first byte, as many acquisition programs do, or under a temporary name
 * until it is complete (base/atomic_file.h), as copying programs do.
 *
 * Times are absolute nanoseconds of CLOCK_MONOTONIC, so that delays do not accumulate. */
#ifndef PS_SYNTH_DELIVER_H
#define PS_SYNTH_DELIVER_H

#include "base/error.h"

#include <stdint.h>

struct ps_delivery {
    bool in_place;   /* under the final name from the start; an incomplete file can remain */
    int pieces;      /* at least 1 */
    int64_t start;   /* of the first piece, ns; in the past: now */
    int64_t spacing; /* between the beginnings of pieces, ns */
};

/* Writes a file. PS_E_SYSTEM; the message begins with the path. */
int ps_deliver(const char *path, const void *bytes, size_t length,
               const struct ps_delivery *delivery, struct ps_error *error);

/* The time of CLOCK_MONOTONIC in ns. */
int64_t ps_deliver_now(void);

/* Sleeps until that time; returns at once if it has passed. */
void ps_deliver_wait(int64_t time);

#endif
