#include "picks/remove.h"

#include "base/error.h"
#include "picks/format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ps_picks_remove(const char *directory, const char *name, const char *suffix,
                    struct ps_error *error)
{
    char *path = ps_picks_path(directory, name, suffix);
    if (!path)
        return ps_fail_memory(error, strlen(name), "a path");
    int status = 0;
    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
        status = ps_fail(error, PS_E_SYSTEM, "%s: left by an earlier run, cannot be removed: %s",
                         path, strerror(errno));
    free(path);
    return status;
}

int ps_picks_remove_all(const char *directory, const struct ps_list *formats, const char *name,
                        struct ps_error *error)
{
    int status = 0;
    for (size_t i = 0; i < formats->count; i++) {
        const struct ps_picks_format *format = ps_picks_format_find(formats->items[i]);
        int failed = ps_picks_remove(directory, name, format->suffix, status ? NULL : error);
        status = status ? status : failed;
    }
    return status;
}
