/* How a file arrives in the microscope's directory: at its time, at once or piece by piece, and
 * under its final name from the first byte on or only when it is complete.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC and absolute, so that delays do not add up. Whatever is
 * left of a file that could not be written is removed if it was still under its temporary name,
 * ".NAME.tmp" in the same directory; rename makes it appear, complete, and replaces an older one.
 */
#ifndef PS_SYNTH_DELIVER_H
#define PS_SYNTH_DELIVER_H

#include "base/error.h"

#include <stdint.h>

struct ps_delivery {
    bool in_place;   /* under the final name from the beginning; otherwise by rename */
    int pieces;      /* at least 1 */
    int64_t start;   /* of the first piece, ns; in the past: now */
    int64_t spacing; /* between the beginnings of pieces, ns */
};

/* Writes a file so. PS_E_SYSTEM names the path. */
int ps_deliver(const char *path, const void *bytes, size_t length,
               const struct ps_delivery *delivery, struct ps_error *error);

/* Nanoseconds of CLOCK_MONOTONIC. */
int64_t ps_deliver_now(void);

#endif
