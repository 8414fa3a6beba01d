/* A client's connection, by its descriptor. ZeroMQ owns it, and closes it at any time. */
#ifndef PS_PUBLISH_CONNECTION_H
#define PS_PUBLISH_CONNECTION_H

#include "base/log.h"
#include "base/metrics.h"

#include <stdint.h>

/* The kernel's number of a socket, unique since the machine started, because descriptors are used
 * again; 0: not a socket. */
uint64_t ps_connection_cookie(int fd);

/* Disconnects a client that exceeds a limit, logs it with its address and port, or for a local
 * socket its process (event=client_disconnected), and counts it. Only the log and the count if the
 * descriptor is not this connection any more. */
void ps_connection_end(int fd, uint64_t cookie, const char *reason, struct ps_log *log,
                       struct ps_metrics *metrics);

#endif
