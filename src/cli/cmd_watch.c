/* pickstream watch: runs the service in the foreground. */
#include "base/error.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "pickstream.h"
#include "service/service.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes; larger blocks are mapped separately and go back to the system when they are freed. This is
 * glibc's default, but unless it is set explicitly, glibc raises it to the size of the largest
 * block freed so far. Then pixels are in the heap too, and a small block behind them would keep the
 * memory of a whole micrograph from being returned. */
enum { LARGE_BLOCK = 128 << 10 };

static const struct ps_cli_option options_table[] = {
    PS_CLI_KEY('o', "output", "DIR", "output.directory", "write files of picks below DIR"),
    PS_CLI_KEY(0, "format", "LIST", "output.formats", "formats of these files (default star)"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "watch",
    .picks = true,
    .operands = "[DIR...]",
    .summary =
        "Watches directories, picks every micrograph that appears in them and publishes the\n"
        "picks. SIGTERM and SIGINT end it after the micrographs in progress, a second one at\n"
        "once; SIGHUP reads the configuration again.",
    .options = options_table,
};

/* The arguments, kept to make the configuration again. */
struct arguments {
    int count;
    char **values;
    struct ps_config *fresh; /* the valid configuration after SIGHUP, or NULL */
};

/* Directories on the command line replace the configured ones. */
static int set_directories(struct ps_config *config, char *const *directories, int count,
                           struct ps_error *error)
{
    int status = ps_config_set(config, "input.directories", "", error);
    for (int i = 0; i < count && status == 0; i++)
        status = ps_config_add(config, "input.directories", directories[i], error);
    return status;
}

/* Returns PS_CLI_GO and a checked configuration, or the exit status after an error, which has been
 * printed. */
static int load(const struct arguments *arguments, struct ps_config **ret_config)
{
    struct ps_config *config = ps_config_new();
    if (!config) {
        (void)fputs("pickstream watch: no memory\n", stderr);
        return PS_EXIT_FAILURE;
    }
    int operands;
    int status = ps_cli_parse(&cli, arguments->count, arguments->values, NULL, config, &operands);
    struct ps_error error;
    int given = arguments->count - operands;
    if (status == PS_CLI_GO &&
        ((given > 0 && set_directories(config, arguments->values + operands, given, &error)) ||
         ps_config_check(config, &error)))
        status = ps_cli_usage(&cli, "%s", error.message);
    else if (status == PS_CLI_GO && config->input.directories.count == 0)
        status = ps_cli_usage(&cli, "no directory to watch: give one, or set input.directories");
    if (status == PS_CLI_GO)
        *ret_config = config;
    else
        ps_config_free(config);
    return status;
}

static bool reload(void *context)
{
    struct arguments *arguments = context;
    return load(arguments, &arguments->fresh) == PS_CLI_GO;
}

static int run_one(const struct ps_config *config, struct arguments *arguments, int signal_fd,
                   enum ps_service_end *ret_end)
{
    struct ps_log *log = ps_log_new(config->service.log_level);
    if (!log) {
        (void)fputs("pickstream watch: no memory\n", stderr);
        return PS_E_NOMEM;
    }
    struct ps_error error;
    int status = ps_service_run(config, log, signal_fd, reload, arguments, ret_end, &error);
    if (status) {
        char quoted[PS_LOG_TEXT];
        ps_log_event(log, PS_LOG_ERROR, "ended", "reason=%s", ps_log_quote(error.message, quoted));
    }
    ps_log_free(log);
    return status;
}

/* Runs one configuration after the other. If the service cannot start with the configuration after
 * SIGHUP (for example, an endpoint is in use), it runs with the previous one again. */
static int serve(struct arguments *arguments, struct ps_config *config, int signal_fd)
{
    struct ps_config *before = NULL;
    int status;
    for (;;) {
        enum ps_service_end end = PS_SERVICE_NOT_STARTED;
        status = run_one(config, arguments, signal_fd, &end);
        if (end == PS_SERVICE_RELOAD) {
            ps_config_free(before);
            before = config;
            config = arguments->fresh;
        } else if (end == PS_SERVICE_NOT_STARTED && before) {
            ps_config_free(config);
            config = before;
            before = NULL;
        } else {
            break;
        }
    }
    ps_config_free(before);
    ps_config_free(config);
    return status == 0 ? PS_EXIT_OK : status == PS_E_CONFIG ? PS_EXIT_USAGE : PS_EXIT_FAILURE;
}

int ps_cmd_watch(int argc, char **argv)
{
    struct arguments arguments = {.count = argc, .values = argv};
    struct ps_config *config = NULL;
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
    int status = load(&arguments, &config);
    if (status != PS_CLI_GO)
        return status;
    int signal_fd = ps_service_signals();
    if (signal_fd < 0) {
        ps_config_free(config);
        (void)fputs("pickstream watch: no signalfd\n", stderr);
        return PS_EXIT_FAILURE;
    }
    status = serve(&arguments, config, signal_fd);
    (void)close(signal_fd);
    return status;
}
