/* The services that a command connects to: --connect, --replay and --curve-server, once for each
 * service in the same order, and the command's secret key. */
#ifndef PS_CLI_ADDRESSES_H
#define PS_CLI_ADDRESSES_H

#include "cli/arguments.h"
#include "subscribe/subscriber.h"
#include "transport/curve.h"

struct ps_address_options {
    struct ps_cli_texts connect;
    struct ps_cli_texts replay;
    struct ps_cli_texts curve_server; /* files; one, or one for each service */
    const char *curve_key;            /* file */
};

struct ps_addresses {
    struct ps_service_address items[PS_CLI_TEXTS_MAX];
    size_t count;
    const char *secret; /* NULL without CURVE */
    char key[PS_CURVE_TEXT];
    char servers[PS_CLI_TEXTS_MAX][PS_CURVE_TEXT];
};

/* Combines the options; `endpoint` and `replay_endpoint` are the defaults (NULL: required). The
 * result contains pointers to itself: do not copy it. PS_E_CONFIG: the numbers differ, or a key is
 * unreadable. */
int ps_addresses_read(const struct ps_address_options *options, const char *endpoint,
                      const char *replay_endpoint, struct ps_addresses *ret,
                      struct ps_error *error);

/* Erases the key. */
void ps_addresses_done(struct ps_addresses *addresses);

#endif
