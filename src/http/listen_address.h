/* The address of the live view: ADDRESS:PORT, with a numeric address ("127.0.0.1", "[::1]"),
 * "localhost", or "*" for all addresses of this machine. An address that other machines can reach
 * needs http.insecure_bind, as for the other sockets of the service (endpoint.h).
 */
#ifndef PS_HTTP_LISTEN_ADDRESS_H
#define PS_HTTP_LISTEN_ADDRESS_H

#include "pickstream.h"

enum { PS_HTTP_URL = 320 };

struct ps_http_address {
    int socket;            /* listening, non-blocking; owned by the caller */
    bool local;            /* only this machine can reach it */
    char url[PS_HTTP_URL]; /* "http://127.0.0.1:5592/", with the actual port if it was 0 */
};

/* Binds `listen` and listens. PS_E_CONFIG: invalid, or other machines can reach it and
 * `insecure_bind` is false; PS_E_SYSTEM: in use, not permitted. Messages begin with the key. */
int ps_http_listen(const char *listen, bool insecure_bind, struct ps_http_address *ret_address,
                   struct ps_error *error);

/* True if the Host header of a request is missing or names the loopback (localhost, 127.x.y.z,
 * [::1]). Refusing any other host stops DNS rebinding: a page of another site whose name resolves
 * to this address. */
bool ps_http_host_is_local(const char *host);

#endif
