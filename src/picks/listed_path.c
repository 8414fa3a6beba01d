#include "picks/listed_path.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ps_listed_path(const struct ps_relion *relion, const char *path, char **ret_path,
                   struct ps_error *error)
{
    PS_TRY(ps_relion_path(relion, path, ret_path, error));
    if (*ret_path)
        return 0;
    bool relative = relion && *path != '/';
    char *cwd = relative ? getcwd(NULL, 0) : NULL;
    if (!cwd)
        *ret_path = relative ? NULL : strdup(path);
    else if (asprintf(ret_path, "%s/%s", cwd, path) < 0)
        *ret_path = NULL;
    free(cwd);
    return *ret_path ? 0 : ps_fail_memory(error, strlen(path), "a path");
}

int ps_listed_micrograph(const struct ps_relion *relion, const char *path, bool listed,
                         char **ret_path, struct ps_error *error)
{
    return ps_listed_path(listed ? NULL : relion, path, ret_path, error);
}
