/* Bounds the connections to the service's sockets, so that they leave descriptors for the work.
 *
 * ZeroMQ has no such limit: it accepts until the process has no descriptor left, and then tries
 * without a pause. So a thread follows what the socket monitors report. While a socket has its
 * number of connections, the kernel drops requests for more (a socket filter on the listening TCP
 * socket; clients try again by themselves), and one that is accepted nevertheless is shut down. The
 * log and the status say so.
 *
 * It also ends connections that send messages without an end (inflow.h).
 *
 * The monitors also report failed handshakes, which are passed to admission.h.
 */
#ifndef PS_PUBLISH_GATE_H
#define PS_PUBLISH_GATE_H

#include "base/log.h"
#include "base/metrics.h"
#include "pickstream.h"

struct ps_gate;

enum { PS_MAX_GATE_SOCKETS = 3 };

/* An empty gate. `log` and `metrics` are borrowed. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_gate_new(void *context, struct ps_log *log, struct ps_metrics *metrics,
                struct ps_gate **ret_gate, struct ps_error *error);

/* Adds a socket before it is bound, with the largest number of its connections. `name`: a constant,
 * for the log and the status. `curve`: count failed handshakes as refused clients. */
int ps_gate_add(struct ps_gate *gate, void *socket, const char *name, size_t max, bool curve,
                struct ps_error *error);

/* Starts the thread. */
int ps_gate_start(struct ps_gate *gate, struct ps_error *error);

/* Ends the thread and frees everything; call it before the sockets are closed. Accepts NULL. */
void ps_gate_free(struct ps_gate *gate);

/* A whole message from this connection was received (inflow.h). `fd`: ZMQ_SRCFD of the message; -1:
 * ZeroMQ made it. Any thread; accepts NULL. */
void ps_gate_heard(struct ps_gate *gate, int fd);

struct ps_gate_status {
    const char *name;
    size_t open; /* connections */
    size_t limit;
};

/* Returns the number of sockets. Any thread. */
size_t ps_gate_status(struct ps_gate *gate, struct ps_gate_status ret_items[PS_MAX_GATE_SOCKETS]);

#endif
