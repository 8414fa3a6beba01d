/* pickstream keygen: a pair of keys for encrypted connections (CURVE).
 *
 * The service (publish.curve_secret_key) and each client need a pair: keep curve.key secret, and
 * give curve.pub to the other side. Existing files are not overwritten, because a lost key also
 * makes the copies of its other half useless. */
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "transport/curve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

static const struct ps_cli_option options[] = {
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "keygen",
    .operands = "DIR",
    .summary =
        "Writes a new pair of keys into a directory, which is created if it is missing:\n"
        "curve.key, the secret one, which only you can read, and curve.pub, the public one.\n"
        "Existing files are not overwritten.",
    .options = options,
};

/* Writes a new file. PS_E_SYSTEM: also if it exists. */
static int write_key(const char *path, mode_t mode, const char *comment, const char *key,
                     struct ps_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "%s: %s", path,
                       errno == EEXIST ? "is there already; nothing was written" : strerror(errno));
    bool written = dprintf(fd, "# %s\n%s\n", comment, key) > 0 && fsync(fd) == 0;
    int code = errno;
    if (close(fd) != 0 && written) {
        written = false;
        code = errno;
    }
    if (written)
        return 0;
    (void)unlink(path);
    return ps_fail(error, PS_E_SYSTEM, "%s: %s", path, strerror(code));
}

/* Writes both files or none. */
static int write_pair(const char *directory, const char *public_key, const char *secret_key,
                      struct ps_error *error)
{
    char secret_path[PATH_MAX], public_path[PATH_MAX];
    struct stat info;
    int length = snprintf(secret_path, sizeof secret_path, "%s/curve.key", directory);
    (void)snprintf(public_path, sizeof public_path, "%s/curve.pub", directory);
    if (length < 0 || length >= PATH_MAX)
        return ps_fail(error, PS_E_SYSTEM, "%.200s: %s", directory, strerror(ENAMETOOLONG));
    if (mkdir(directory, 0755) != 0 && errno != EEXIST)
        return ps_fail(error, PS_E_SYSTEM, "%.200s: %s", directory, strerror(errno));
    if (lstat(public_path, &info) == 0)
        return ps_fail(error, PS_E_SYSTEM, "%s: is there already; nothing was written",
                       public_path);
    int status = write_key(secret_path, 0600, "pickstream: a secret key. Keep it secret.",
                           secret_key, error);
    if (status)
        return status;
    status = write_key(public_path, 0644, "pickstream: the public key of the curve.key beside it",
                       public_key, error);
    if (status) {
        (void)unlink(secret_path);
        return status;
    }
    ps_print(stdout, "%s: the secret key; keep it", secret_path);
    ps_print(stdout, "%s: the public key; give it to the other side", public_path);
    return 0;
}

int ps_cmd_keygen(int argc, char **argv)
{
    char unused = 0;
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &unused, NULL, &operands);
    if (status != PS_CLI_GO)
        return status;
    if (argc - operands != 1)
        return ps_cli_usage(&cli, "one directory expected");
    char public_key[PS_CURVE_TEXT], secret_key[PS_CURVE_TEXT];
    struct ps_error error;
    if (zmq_curve_keypair(public_key, secret_key) != 0)
        status = ps_fail(&error, PS_E_SYSTEM, "this ZeroMQ cannot make keys: %s",
                         zmq_strerror(zmq_errno()));
    else
        status = write_pair(argv[operands], public_key, secret_key, &error);
    explicit_bzero(secret_key, sizeof secret_key);
    if (status == 0)
        return PS_EXIT_OK;
    ps_say("pickstream keygen: %s", error.message);
    return PS_EXIT_FAILURE;
}
