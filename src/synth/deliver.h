/* How a micrograph arrives in the microscope's directory: at its time, at once or piece by piece,
 * and either under its final name from the first byte on, as many acquisition programs write, or
 * under a temporary name until it is complete (base/atomic_file.h), as copying programs do.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC and absolute, so that delays do not add up. */
#ifndef PS_SYNTH_DELIVER_H
#define PS_SYNTH_DELIVER_H

#include "base/error.h"

#include <stdint.h>

struct ps_delivery {
    bool in_place;   /* under the final name from the beginning; an incomplete file then stays */
    int pieces;      /* at least 1 */
    int64_t start;   /* of the first piece, ns; in the past: now */
    int64_t spacing; /* between the beginnings of pieces, ns */
};

/* Writes a file so. PS_E_SYSTEM; the message begins with the path. */
int ps_deliver(const char *path, const void *bytes, size_t length,
               const struct ps_delivery *delivery, struct ps_error *error);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t ps_deliver_now(void);

/* Sleeps until then; not at all where that is past. */
void ps_deliver_wait(int64_t time);

#endif
