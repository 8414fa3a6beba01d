/* Bounds what a client sends without ending a message.
 *
 * ZeroMQ limits the bytes of a frame (ZMQ_MAXMSGSIZE) and the number of whole messages that wait,
 * but not the frames of a message, which it keeps until the last one has come. A message without an
 * end would fill the memory, and no socket would show it. So the bytes that have arrived at a
 * connection, from the kernel's TCP_INFO, are compared with those at its last whole message. A
 * connection beyond PS_MAX_INFLOW_BYTES is ended; beyond PS_MAX_INFLOW_IN_ALL, that which has the
 * most.
 *
 * The kernel does not count the bytes of a socket in the file system: its clients, processes of
 * this machine, are not bounded.
 */
#ifndef PS_PUBLISH_INFLOW_H
#define PS_PUBLISH_INFLOW_H

#include "base/log.h"
#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* The largest requests that can wait, one that is arriving (sockets.c), and the kernel's
     * buffer. Frames of a byte take up to 30 times their bytes of memory. */
    PS_MAX_INFLOW_BYTES = 4 << 20,
    PS_MAX_INFLOW_IN_ALL = 32 << 20,
    PS_INFLOW_CHECK_MS = 100, /* in which a client of a fast network can exceed the limits */
};

struct ps_inflow;

/* `log` and `metrics` are borrowed. NULL without memory. */
struct ps_inflow *ps_inflow_new(struct ps_log *log, struct ps_metrics *metrics);
void ps_inflow_free(struct ps_inflow *inflow); /* accepts NULL */

/* A whole message from this connection was received. Any thread. */
void ps_inflow_heard(struct ps_inflow *inflow, int fd);

/* True if the descriptor is still the connection that it was when it was last checked. */
bool ps_inflow_knows(struct ps_inflow *inflow, int fd);

/* Adds a connection to a check, which begins with all zeros, and ends it if it is beyond its limit.
 */
struct ps_inflow_check {
    uint64_t bytes; /* of all connections */
    uint64_t most;
    int fd; /* that has the most */
};
void ps_inflow_check(struct ps_inflow *inflow, struct ps_inflow_check *check, int fd);

/* Ends the check, and a connection if all together have too much. */
void ps_inflow_check_all(struct ps_inflow *inflow, const struct ps_inflow_check *check);

#endif
