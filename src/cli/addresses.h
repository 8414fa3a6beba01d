/* Which services a command connects to: --connect, --replay and --curve-server, each as often as
 * there are services, in the same order, and the one key of ours. */
#ifndef PS_CLI_ADDRESSES_H
#define PS_CLI_ADDRESSES_H

#include "cli/arguments.h"
#include "subscribe/subscriber.h"
#include "transport/curve.h"

struct ps_address_options {
    struct ps_cli_texts connect;
    struct ps_cli_texts replay;
    struct ps_cli_texts curve_server; /* files; one for all is enough */
    const char *curve_key;            /* file */
};

struct ps_addresses {
    struct ps_service_address items[PS_CLI_TEXTS_MAX];
    size_t count;
    const char *secret; /* NULL without CURVE */
    char key[PS_CURVE_TEXT];
    char servers[PS_CLI_TEXTS_MAX][PS_CURVE_TEXT];
};

/* Puts them together; `endpoint` and `replay_endpoint` are taken where none is given (NULL: one
 * must be). The result points into itself. PS_E_CONFIG: they do not match, or a key is unreadable.
 */
int ps_addresses_read(const struct ps_address_options *options, const char *endpoint,
                      const char *replay_endpoint, struct ps_addresses *ret,
                      struct ps_error *error);

/* Forgets the key. */
void ps_addresses_done(struct ps_addresses *addresses);

#endif
