/* Names of the picks of several micrographs of a project. */
#include "base/error.h"
#include "picks/relion.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *left, const void *right)
{
    const char *a = *(char *const *)left, *b = *(char *const *)right;
    int order = strcmp(ps_relion_name(a), ps_relion_name(b));
    return order ? order : strcmp(a, b);
}

/* True if RELION would look for the picks of two of the micrographs in one file. */
static bool collide(char **paths, size_t count)
{
    qsort(paths, count, sizeof *paths, by_name);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(ps_relion_name(paths[i - 1]), ps_relion_name(paths[i])) == 0 &&
            strcmp(paths[i - 1], paths[i]) != 0)
            return true;
    }
    return false;
}

int ps_relion_names(const struct ps_relion *relion, const char *const paths[], size_t count,
                    char *ret_names[], struct ps_error *error)
{
    char **sorted = calloc(count + 1, sizeof *sorted);
    size_t inside = 0;
    int status = sorted ? 0 : ps_fail_memory(error, count * sizeof *sorted, "paths");
    for (size_t i = 0; i < count; i++) {
        ret_names[i] = NULL;
        if (paths[i] && status == 0)
            status = ps_relion_path(relion, paths[i], &ret_names[i], error);
        if (ret_names[i])
            sorted[inside++] = ret_names[i];
    }
    bool whole = status == 0 && collide(sorted, inside);
    free(sorted);
    for (size_t i = 0; i < count; i++) {
        if (status) {
            free(ret_names[i]);
            ret_names[i] = NULL;
        } else if (ret_names[i] && !whole) {
            const char *name = ps_relion_name(ret_names[i]);
            memmove(ret_names[i], name, strlen(name) + 1);
        }
    }
    return status;
}
