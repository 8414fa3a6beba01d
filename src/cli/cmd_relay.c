/* pickstream relay: one address for several services. */
#include "base/descriptors.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/addresses.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "config/config.h"
#include "relay/relay.h"
#include "service/service.h"

#include <stdio.h>
#include <unistd.h>

static const struct ps_cli_option options_table[] = {
    PS_CLI_TEXTS(0, "connect", "URL", struct ps_address_options, connect,
                 "endpoint with the picks of a service; once for each service"),
    PS_CLI_TEXTS(0, "replay", "URL", struct ps_address_options, replay,
                 "its endpoint for missed ones; one for each --connect, in that order"),
    PS_CLI_KEY(0, "publish", "URL", "publish.endpoint", "endpoint to publish their messages"),
    PS_CLI_KEY(0, "publish-replay", "URL", "publish.replay_endpoint",
               "endpoint for requests of missed ones"),
    PS_CLI_TEXT(0, "curve-key", "FILE", struct ps_address_options, curve_key,
                "secret key of the relay, if the services need one"),
    PS_CLI_TEXTS(0, "curve-server", "FILE", struct ps_address_options, curve_server,
                 "public key of the services; one for all, or one for each"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "relay",
    .operands = "",
    .summary =
        "Serves the picks of several services from one address: publishes their messages, and\n"
        "forwards requests for missed ones to the service whose stream they name. SIGTERM and\n"
        "SIGINT end it. CURVE keys of the relay's endpoints come from the configuration.",
    .options = options_table,
};

static int run(const struct ps_config *config, const struct ps_address_options *options)
{
    struct ps_addresses addresses;
    struct ps_error error;
    if (ps_addresses_read(options, NULL, NULL, &addresses, &error) != 0)
        return ps_cli_refuse(&cli, &error);
    const struct ps_relay_options relay_options = {addresses.items, addresses.count,
                                                   addresses.secret};
    ps_descriptors_raise();
    struct ps_log *log = ps_log_new(config->service.log_level);
    int signal_fd = ps_service_signals();
    int status = log && signal_fd >= 0
                     ? ps_relay_run(config, &relay_options, log, signal_fd, &error)
                     : ps_fail(&error, PS_E_SYSTEM, "cannot wait for signals");
    if (status == PS_E_CONFIG)
        status = ps_cli_refuse(&cli, &error);
    else if (status != 0)
        status = (ps_say("pickstream relay: %s", error.message), PS_EXIT_FAILURE);
    ps_addresses_done(&addresses);
    ps_log_free(log);
    if (signal_fd >= 0)
        (void)close(signal_fd);
    return status;
}

int ps_cmd_relay(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream relay: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    struct ps_address_options options = {0};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO)
        status = run(config, &options);
    ps_config_free(config);
    return status;
}
