/* pickstream watch: runs the service in the foreground. */
#include "base/descriptors.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "config/config.h"
#include "picker/scale.h"
#include "pickstream.h"
#include "service/service.h"

#include <errno.h>
#include <limits.h>
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
    struct ps_log *log;      /* of the configuration in force */
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

/* Returns PS_CLI_GO and a checked configuration, or the exit status after an error, which is in
 * `error`, or printed if that is NULL. */
static int load(const struct arguments *arguments, struct ps_config **ret_config,
                struct ps_error *ret_error)
{
    struct ps_cli here = cli;
    here.error = ret_error;
    const struct ps_error no_memory = {PS_E_NOMEM, "no memory"};
    struct ps_config *config = ps_config_new();
    if (!config)
        return ps_cli_refuse(&here, &no_memory);
    int operands;
    int status = ps_cli_parse(&here, arguments->count, arguments->values, NULL, config, &operands);
    struct ps_error error;
    int given = arguments->count - operands;
    if (status == PS_CLI_GO &&
        ((given > 0 && set_directories(config, arguments->values + operands, given, &error)) ||
         ps_config_check(config, &error)))
        status = ps_cli_refuse(&here, &error);
    else if (status == PS_CLI_GO && config->input.directories.count == 0)
        status = ps_cli_usage(&here, "no directory to watch: give one, or set input.directories");
    if (status == PS_CLI_GO)
        *ret_config = config;
    else
        ps_config_free(config);
    return status;
}

static bool reload(void *context)
{
    struct arguments *arguments = context;
    struct ps_error error;
    bool loaded = load(arguments, &arguments->fresh, &error) == PS_CLI_GO;
    if (loaded)
        ps_log_event(arguments->log, PS_LOG_INFO, "reload", "reason=SIGHUP");
    else
        ps_log_reason(arguments->log, PS_LOG_ERROR, "reload_refused", error.message);
    return loaded;
}

/* ---- the state directory --------------------------------------------------------------------- */

/* Creates a directory and its missing parents. */
static int make_directory(const char *path)
{
    enum { STATE_MODE = 0750 };
    char parent[PATH_MAX];
    if (snprintf(parent, sizeof parent, "%s", path) >= (int)sizeof parent)
        return ENAMETOOLONG;
    for (char *at = parent + 1; *parent && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(parent, 0777) != 0 && errno != EEXIST)
            return errno;
        *at = '/';
    }
    return mkdir(path, STATE_MODE) == 0 || errno == EEXIST ? 0 : errno;
}

/* Makes the state directory if it is missing, but not for the service manager: it makes the
 * directory itself, so one that is missing there is a disk that is not mounted. */
static int make_state_directory(const char *path, struct ps_log *log, struct ps_error *error)
{
    struct stat info;
    char quoted[PS_LOG_TEXT];
    const char *manager = getenv("NOTIFY_SOCKET");
    if ((manager && *manager) || stat(path, &info) == 0 || errno != ENOENT)
        return 0; /* what else is wrong, the journal reports */
    int code = make_directory(path);
    if (code)
        return ps_fail(error, PS_E_SYSTEM,
                       "%s: cannot make the state directory: %s; --set "
                       "service.state_directory=DIR names another one",
                       path, strerror(code));
    ps_log_event(log, PS_LOG_INFO, "state_directory_made", "path=%s", ps_log_quote(path, quoted));
    return 0;
}

/* ---- the service ------------------------------------------------------------------------------
 */

static int run_one(const struct ps_config *config, struct arguments *arguments, int signal_fd,
                   enum ps_service_end *ret_end)
{
    struct ps_log *log = ps_log_new(config->service.log_level);
    if (!log) {
        (void)fputs("pickstream watch: no memory\n", stderr);
        return PS_E_NOMEM;
    }
    struct ps_error error;
    char scale[PS_SCALE_TEXT], quoted[PS_LOG_TEXT];
    ps_log_event(log, PS_LOG_INFO, "scale", "is=%s",
                 ps_log_quote(ps_scale_text(config, PS_SCALE_NOT_READ, scale), quoted));
    arguments->log = log;
    int status = make_state_directory(config->service.state_directory, log, &error);
    if (status == 0)
        status = ps_service_run(config, log, signal_fd, reload, arguments, ret_end, &error);
    arguments->log = NULL;
    if (status)
        ps_log_reason(log, PS_LOG_ERROR, "ended", error.message);
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
    ps_descriptors_raise();
    int status = load(&arguments, &config, NULL);
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
