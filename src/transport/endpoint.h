/* Which endpoints may be bound, and how.
 *
 * tcp://HOST:PORT and ipc://PATH, nothing else. What only this machine reaches (127.0.0.0/8, [::1],
 * localhost, ipc) may be bound as it is; anything else only with CURVE, or where the user said
 * publish.insecure_bind. The path of an ipc socket must fit into a socket address, and is locked
 * (PATH.lock) before it is bound, for ZeroMQ takes a bound path from whoever has it and says
 * nothing.
 */
#ifndef PS_TRANSPORT_ENDPOINT_H
#define PS_TRANSPORT_ENDPOINT_H

#include "pickstream.h"

enum {
    PS_ENDPOINT_TEXT = 512,
    PS_ENDPOINT_PATH = 107, /* bytes of a socket's path, at most (unix(7)) */
};

/* Whether only this machine reaches it. */
bool ps_endpoint_is_local(const char *endpoint);

/* PS_E_CONFIG: not an endpoint that a service can have; the message begins with `key`. */
int ps_endpoint_check(const char *key, const char *endpoint, struct ps_error *error);

/* Binds a ZeroMQ socket to a checked endpoint. `*ret_lock` is the descriptor of the lock, -1 where
 * there is none, to be closed after the socket; `ret_bound` is the endpoint as it is bound (port 0
 * and "*" stand for a free port). PS_E_SYSTEM: in use, no such directory or address, not
 * permitted; the message begins with `key`. */
int ps_endpoint_bind(const char *key, const char *endpoint, void *socket, int *ret_lock,
                     char ret_bound[PS_ENDPOINT_TEXT], struct ps_error *error);

#endif
