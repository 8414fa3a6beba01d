#include "service/shortage.h"

#include "base/descriptors.h"
#include "image/micrograph.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* True if the directory of the file can be entered. */
static bool is_reachable(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return true;
    (void)snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1, path);
    return faccessat(AT_FDCWD, directory, X_OK, AT_EACCESS) == 0;
}

static bool is_no_permission(const struct ps_error *error)
{
    const size_t length = strlen(error->message), end = strlen(PS_REASON_NO_PERMISSION);
    return length >= end && strcmp(error->message + length - end, PS_REASON_NO_PERMISSION) == 0;
}

/* True if the file cannot be read now either: a share refuses a moment after it was mounted, too.
 */
static bool is_forbidden(const char *path)
{
    return faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) != 0 &&
           (errno == EACCES || errno == EPERM) && is_reachable(path);
}

bool ps_is_shortage(int status, const struct ps_error *error, const char *path)
{
    if (status == PS_E_SYSTEM)
        return !is_no_permission(error) || !is_forbidden(path);
    return status == PS_E_NOMEM;
}

bool ps_is_shortage_of_stat(int number)
{
    return number != ENOENT && number != ENOTDIR && number != ELOOP && number != ENAMETOOLONG;
}

bool ps_no_descriptors(void)
{
    enum { FEW = 4 };
    return ps_descriptors_check(FEW, NULL) != 0;
}
