/* Where the live view listens: ADDRESS:PORT, the address a number ("127.0.0.1", "[::1]"),
 * "localhost", or "*" for all of this machine. Anything that other machines reach is bound only
 * where the user said http.insecure_bind, as for the other sockets of the service (endpoint.h).
 */
#ifndef PS_HTTP_LISTEN_ADDRESS_H
#define PS_HTTP_LISTEN_ADDRESS_H

#include "pickstream.h"

enum { PS_HTTP_URL = 320 };

struct ps_http_address {
    int socket;            /* listening, non-blocking; the caller's */
    bool local;            /* only this machine reaches it */
    char url[PS_HTTP_URL]; /* "http://127.0.0.1:5592/", with the port that it got for 0 */
};

/* Binds `listen` and listens. PS_E_CONFIG: no such address, or one that other machines reach
 * without `insecure_bind`; PS_E_SYSTEM: in use, not permitted. Messages begin with the key. */
int ps_http_listen(const char *listen, bool insecure_bind, struct ps_http_address *ret_address,
                   struct ps_error *error);

/* Whether a Host header of a request names this machine itself (localhost, 127.x.y.z, [::1]), or is
 * missing: what a browser sends that really means the loopback. A page of another site that had its
 * own name point here (DNS rebinding) is refused by that. */
bool ps_http_host_is_local(const char *host);

#endif
