#include "base/atomic_file.h"

#include "base/error.h"
#include "base/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTEMPTS = 100 };

/* Like mkdir -p. Modifies `path` temporarily. */
static int make_directories(char *path, struct ps_error *error)
{
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at)
            continue;
        char end = *at;
        *at = '\0';
        /* An existing name that is not a directory is reported when the file is opened. */
        int failed = mkdir(path, 0777) != 0 && errno != EEXIST ? errno : 0;
        /* A parent without write permission, or on a read-only disk, can exist already. */
        struct stat status;
        if (failed && stat(path, &status) == 0)
            failed = 0;
        if (failed)
            return ps_fail(error, PS_E_SYSTEM, "cannot make directory %s: %s", path,
                           strerror(failed));
        *at = end;
        if (!end)
            return 0;
    }
}

/* Opens a new file with a unique name. mkostemp() would create it with mode 0600, and reading the
 * umask to correct that is not thread-safe. */
static int open_temporary(int directory, char ret_name[PS_TEMPORARY_NAME])
{
    for (int i = 0; i < ATTEMPTS; i++) {
        if (!ps_temporary_name(ret_name))
            return -1;
        int fd = openat(directory, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Calls the writer and syncs the file. Closes `fd`. */
static int write_stream(int fd, ps_file_writer *writer, const void *context, struct ps_error *error)
{
    FILE *stream = fdopen(fd, "w");
    if (!stream) {
        (void)close(fd);
        return ps_fail(error, PS_E_SYSTEM, "cannot write: %s", strerror(errno));
    }
    errno = 0;
    int code = writer(stream, context, error);
    if (code == 0 && (ferror(stream) || fflush(stream) != 0 || fsync(fd) != 0))
        code = ps_fail(error, PS_E_SYSTEM, "cannot write: %s",
                       errno ? strerror(errno) : "a write failed");
    if (fclose(stream) != 0 && code == 0)
        code = ps_fail(error, PS_E_SYSTEM, "cannot write: %s", strerror(errno));
    return code;
}

static int write_in(int directory, const char *name, ps_file_writer *writer, const void *context,
                    struct ps_error *error)
{
    char temporary[PS_TEMPORARY_NAME];
    ps_temporary_clean(directory);
    int fd = open_temporary(directory, temporary);
    if (fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot make a file in this directory: %s",
                       strerror(errno));
    int code = write_stream(fd, writer, context, error);
    if (code == 0 && renameat(directory, temporary, directory, name) != 0)
        code = ps_fail(error, PS_E_SYSTEM, "cannot rename a temporary file to this name: %s",
                       strerror(errno));
    if (code != 0) {
        (void)unlinkat(directory, temporary, 0);
        return code;
    }
    /* Some file systems cannot sync a directory and return EINVAL: ignored. */
    if (fsync(directory) != 0 && errno != EINVAL)
        return ps_fail(error, PS_E_SYSTEM, "cannot sync its directory: %s", strerror(errno));
    return 0;
}

static int write_file(char *path, ps_file_writer *writer, const void *context,
                      struct ps_error *error)
{
    char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *where = slash == path ? "/" : slash ? path : ".";
    if (!*name)
        return ps_fail(error, PS_E_SYSTEM, "the name of a file is missing");
    if (slash && slash != path) {
        *slash = '\0';
        int code = make_directories(path, error);
        if (code != 0)
            return code;
    }
    int directory = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return ps_fail(error, PS_E_SYSTEM, "cannot open directory %s: %s", where, strerror(errno));
    int code = write_in(directory, name, writer, context, error);
    (void)close(directory);
    return code;
}

int ps_file_write_atomically(const char *path, ps_file_writer *writer, const void *context,
                             struct ps_error *error)
{
    char *copy = strdup(path);
    if (!copy)
        return ps_fail_memory(error, strlen(path) + 1, "a path");
    int code = write_file(copy, writer, context, error);
    free(copy);
    if (code != 0 && error)
        (void)ps_fail_prefix(error, "%s", path);
    return code;
}

int ps_directory_make(const char *path, struct ps_error *error)
{
    char *copy = strdup(path);
    if (!copy)
        return ps_fail_memory(error, strlen(path), "a path");
    int code = *copy ? make_directories(copy, error) : 0;
    free(copy);
    return code;
}
