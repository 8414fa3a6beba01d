/* Checks and binds the endpoints of a service.
 *
 * Accepts tcp://HOST:PORT and ipc://PATH. A local endpoint (127.0.0.0/8, [::1], localhost, ipc) can
 * be bound as it is; any other needs CURVE or publish.insecure_bind. The path of an ipc socket must
 * fit into a socket address, and is locked (PATH.lock) before it is bound: ZeroMQ silently takes a
 * path over that another process has bound.
 */
#ifndef PS_TRANSPORT_ENDPOINT_H
#define PS_TRANSPORT_ENDPOINT_H

#include "pickstream.h"

enum {
    PS_ENDPOINT_TEXT = 512,
    PS_ENDPOINT_PATH = 107, /* max. bytes of a socket's path (unix(7)) */
};

/* True if only this machine can reach the endpoint. */
bool ps_endpoint_is_local(const char *endpoint);

/* Checks the syntax of an endpoint. PS_E_CONFIG; the message begins with `key`. */
int ps_endpoint_check(const char *key, const char *endpoint, struct ps_error *error);

/* Binds a ZeroMQ socket to a checked endpoint. `*ret_lock` is the descriptor of the lock, to be
 * closed after the socket, or -1 without a lock; `ret_bound` is the endpoint with its actual port
 * (port 0 and "*" stand for a free one). PS_E_SYSTEM: in use, no such directory or address, not
 * permitted; the message begins with `key`. */
int ps_endpoint_bind(const char *key, const char *endpoint, void *socket, int *ret_lock,
                     char ret_bound[PS_ENDPOINT_TEXT], struct ps_error *error);

#endif
