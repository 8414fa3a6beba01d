#include "cli/addresses.h"

#include "base/error.h"

#include <string.h>

static int read_keys(const struct ps_address_options *options, struct ps_addresses *addresses,
                     struct ps_error *error)
{
    size_t servers = options->curve_server.count;
    if (!options->curve_key != !servers)
        return ps_fail(error, PS_E_CONFIG, "--curve-key and --curve-server belong together");
    if (servers > 1 && servers != addresses->count)
        return ps_fail(error, PS_E_CONFIG,
                       "expected one --curve-server, or as many as there are services (%zu)",
                       addresses->count);
    int status =
        options->curve_key ? ps_curve_read_key(options->curve_key, addresses->key, error) : 0;
    for (size_t i = 0; i < servers && status == 0; i++)
        status = ps_curve_read_key(options->curve_server.items[i], addresses->servers[i], error);
    if (options->curve_key)
        addresses->secret = addresses->key;
    for (size_t i = 0; i < addresses->count && servers > 0; i++)
        addresses->items[i].curve_server = addresses->servers[servers > 1 ? i : 0];
    return status;
}

int ps_addresses_read(const struct ps_address_options *options, const char *endpoint,
                      const char *replay_endpoint, struct ps_addresses *ret, struct ps_error *error)
{
    size_t given = options->connect.count, replays = options->replay.count;
    *ret = (struct ps_addresses){.count = given ? given : 1};
    if (!given && !endpoint)
        return ps_fail(error, PS_E_CONFIG, "no service given: --connect URL --replay URL");
    if (replays != given && (given > 1 || replays > 1 || !endpoint))
        return ps_fail(error, PS_E_CONFIG,
                       "expected as many --replay as --connect, in the same order: %zu, not %zu",
                       given, replays);
    for (size_t i = 0; i < ret->count; i++)
        ret->items[i] = (struct ps_service_address){
            .endpoint = given ? options->connect.items[i] : endpoint,
            .replay_endpoint = replays ? options->replay.items[i] : replay_endpoint,
        };
    return read_keys(options, ret, error);
}

void ps_addresses_done(struct ps_addresses *addresses)
{
    explicit_bzero(addresses->key, sizeof addresses->key);
}
