#include "picks/remove.h"

#include "base/error.h"
#include "picks/format.h"
#include "picks/write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int remove_file(const char *stem, const char *suffix, struct ps_error *error)
{
    char *path = ps_picks_file(stem, suffix);
    int status = 0;
    if (!path)
        return ps_fail_memory(error, strlen(stem), "a path");
    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG)
        status = ps_fail(error, PS_E_SYSTEM, "%s: left by an earlier run, cannot be removed: %s",
                         path, strerror(errno));
    free(path);
    return status;
}

int ps_picks_remove_all(const struct ps_picks_place *place, const struct ps_list *formats,
                        const char *other, struct ps_error *error)
{
    char *stem = NULL;
    int status =
        ps_names_find(place->names, place->directory, place->name, place->path, &stem, error);
    for (size_t i = 0; stem && i < formats->count + (other != NULL); i++) {
        const char *suffix =
            i < formats->count ? ps_picks_format_find(formats->items[i])->suffix : other;
        int failed = remove_file(stem, suffix, status ? NULL : error);
        status = status ? status : failed;
    }
    free(stem);
    return status;
}
