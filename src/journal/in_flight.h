/* The file DIRECTORY/in-flight: which micrographs are being picked, so that the next process knows
 * during which this one died.
 *
 * A mark is written and erased in place, without waiting for the disk: it survives the death of the
 * process, which is all it is for, and costs two writes to the page cache for each micrograph. The
 * file is text: a line with the stream of the journal, then a line for each worker with row and
 * attempt of its micrograph, or blanks.
 */
#ifndef PS_JOURNAL_IN_FLIGHT_H
#define PS_JOURNAL_IN_FLIGHT_H

#include "pickstream.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ps_in_flight {
    int fd;
    _Atomic bool ended; /* the process ends on purpose: no further marks */
};

/* Opens or creates the file. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_in_flight_open(struct ps_in_flight *in_flight, const char *directory,
                      struct ps_error *error);
void ps_in_flight_close(struct ps_in_flight *in_flight); /* accepts an fd of -1 */

/* Passes the marks that an earlier process of this stream left to `take`; a negative return ends
 * the iteration and is returned. */
int ps_in_flight_each(const struct ps_in_flight *in_flight, const char *stream,
                      int (*take)(void *context, int64_t row, int attempt), void *context);

/* Erases all marks. PS_E_SYSTEM. */
int ps_in_flight_clear(const struct ps_in_flight *in_flight, const char *stream,
                       struct ps_error *error);

/* Sets or erases the mark of a worker. Failing to write is ignored: it is for the next process
 * only, and the disk can be full. Any thread, each with its own worker. */
void ps_in_flight_set(struct ps_in_flight *in_flight, size_t worker, int64_t row, int attempt);
void ps_in_flight_erase(const struct ps_in_flight *in_flight, size_t worker);

#endif
