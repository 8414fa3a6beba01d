#include "picks/autopick.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "picks/listed_path.h"
#include "picks/relion.h"
#include "picks/star.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct listed {
    char *micrograph;
    char *coordinates;
};

struct ps_autopick {
    char *directory;
    char *path;
    struct ps_relion *relion; /* the project; or NULL */
    struct listed **entries;
    size_t count;
    void *tree;                /* the same entries, by micrograph (tsearch()) */
    struct ps_error *left_out; /* one for each entry that was left out */
    size_t left_out_count;
    bool unsaved;
    bool check; /* coordinate files were removed, nothing else has changed */
};

/* ---- names ------------------------------------------------------------------------------------
 */

static int by_micrograph(const void *a, const void *b)
{
    return strcmp(((const struct listed *)a)->micrograph, ((const struct listed *)b)->micrograph);
}

static int by_entry(const void *a, const void *b)
{
    return by_micrograph(*(struct listed *const *)a, *(struct listed *const *)b);
}

/* ---- lifecycle --------------------------------------------------------------------------------
 */

int ps_autopick_new(const char *directory, const char *project, struct ps_autopick **ret_list,
                    struct ps_error *error)
{
    struct ps_autopick *list = calloc(1, sizeof *list);
    if (!list)
        return ps_fail_memory(error, sizeof *list, "a list of micrographs");
    int status = ps_relion_find(project, directory, &list->relion, error);
    list->directory = strdup(directory);
    if (status == 0 &&
        (!list->directory || asprintf(&list->path, "%s/autopick.star", directory) < 0))
        status = ps_fail_memory(error, strlen(directory), "a path");
    if (status)
        ps_autopick_free(list);
    else
        *ret_list = list;
    return status;
}

static void keep(void *entry)
{
    (void)entry;
}

void ps_autopick_free(struct ps_autopick *list)
{
    if (!list)
        return;
    tdestroy(list->tree, keep);
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i]->micrograph);
        free(list->entries[i]->coordinates);
        free(list->entries[i]);
    }
    free(list->entries);
    free(list->left_out);
    free(list->directory);
    free(list->path);
    ps_relion_free(list->relion);
    free(list);
}

/* ---- entries ----------------------------------------------------------------------------------
 */

/* Ensures capacity for one more entry; doubles it at each power of two. */
static bool reserve(struct ps_autopick *list)
{
    if ((list->count & (list->count - 1)) != 0)
        return true;
    size_t capacity = list->count ? 2 * list->count : 1;
    void *grown = realloc(list->entries, capacity * sizeof *list->entries);
    if (grown)
        list->entries = grown;
    return grown;
}

/* Adds an entry; takes ownership of both names. A micrograph that is listed keeps its position;
 * `replace` replaces its coordinates. */
static int insert(struct ps_autopick *list, char *micrograph, char *coordinates, bool replace,
                  struct ps_error *error)
{
    struct listed *entry = malloc(sizeof *entry);
    if (entry && micrograph && coordinates && reserve(list)) {
        *entry = (struct listed){micrograph, coordinates};
        struct listed **place = tsearch(entry, &list->tree, by_micrograph);
        if (place && *place == entry) {
            list->entries[list->count++] = entry;
            return 0;
        }
        if (place) {
            if (replace) {
                free((*place)->coordinates);
                (*place)->coordinates = coordinates;
                coordinates = NULL;
            }
            free(entry);
            free(micrograph);
            free(coordinates);
            return 0;
        }
    }
    free(entry);
    free(micrograph);
    free(coordinates);
    return ps_fail_memory(error, sizeof *entry, "a list of micrographs");
}

static int leave_out(struct ps_autopick *list, struct ps_error *reason, struct ps_error *error)
{
    (void)ps_fail_prefix(reason, "%.200s", list->path);
    void *grown = realloc(list->left_out, (list->left_out_count + 1) * sizeof *list->left_out);
    if (!grown)
        return ps_fail_memory(error, sizeof *list->left_out, "a list of micrographs");
    list->left_out = grown;
    list->left_out[list->left_out_count++] = *reason;
    return 0;
}

int ps_autopick_add(struct ps_autopick *list, const char *micrograph, bool listed,
                    const char *coordinates, struct ps_error *error)
{
    char *paths[2] = {NULL, NULL};
    struct ps_error reason;
    int status = ps_listed_micrograph(list->relion, micrograph, listed, &paths[0], error);
    if (status == 0)
        status = ps_listed_path(list->relion, coordinates, &paths[1], error);
    if (status) {
        free(paths[0]);
        return status;
    }
    for (int i = 0; i < 2; i++) {
        if (ps_star_check_word(paths[i], &reason) == 0)
            continue;
        free(paths[0]);
        free(paths[1]);
        return leave_out(list, &reason, error);
    }
    list->unsaved = true;
    return insert(list, paths[0], paths[1], true, error);
}

int ps_autopick_rename(const struct ps_autopick *list, const char *path, char **name,
                       bool *ret_replaced, struct ps_error *error)
{
    char *own = NULL;
    int status = ps_relion_output(list->relion, path, &own, error);
    *ret_replaced = own;
    if (own) {
        free(*name);
        *name = own;
    }
    return status;
}

const struct ps_relion *ps_autopick_relion(const struct ps_autopick *list)
{
    return list->relion;
}

bool ps_autopick_left_out(struct ps_autopick *list, struct ps_error *ret_error)
{
    if (list->left_out_count == 0)
        return false;
    *ret_error = list->left_out[0];
    list->left_out_count--;
    memmove(list->left_out, list->left_out + 1, list->left_out_count * sizeof *list->left_out);
    return true;
}

void ps_autopick_check(struct ps_autopick *list)
{
    list->check = true;
}

/* A removed coordinate file changes an existing list, but does not create one. */
bool ps_autopick_unsaved(const struct ps_autopick *list)
{
    return list->unsaved || (list->check && access(list->path, F_OK) == 0);
}

/* ---- the file ---------------------------------------------------------------------------------
 */

/* True if a listed coordinate file exists, relative to the project or the working directory; also
 * if that cannot be told now. */
static bool exists(const struct ps_autopick *list, const char *path)
{
    char below[PATH_MAX];
    const bool inside = *path != '/' && list->relion;
    const int length =
        snprintf(below, sizeof below, "%s%s%s", inside ? ps_relion_project(list->relion) : "",
                 inside ? "/" : "", path);
    if (length < 0 || (size_t)length >= sizeof below)
        return false; /* no file has so long a path */
    return access(below, F_OK) == 0 ||
           (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != ELOOP);
}

static int take_events(struct ps_autopick *list, struct ps_star *star, struct ps_error *error)
{
    int name = -1, coordinates = -1, event;
    bool found = false;
    while ((event = ps_star_next(star, error)) > 0) {
        if (event == PS_STAR_TABLE) {
            name = ps_star_column(star, "_rlnMicrographName");
            coordinates = ps_star_column(star, "_rlnMicrographCoordinates");
            found |= name >= 0 && coordinates >= 0;
        } else if (name >= 0 && coordinates >= 0) {
            int status = insert(list, strdup(star->words[name]), strdup(star->words[coordinates]),
                                false, error);
            if (status)
                return status;
        }
    }
    if (event == 0 && !found)
        return ps_fail(error, PS_E_INPUT,
                       "%s: expected a list of _rlnMicrographName and _rlnMicrographCoordinates; "
                       "not overwritten",
                       list->path);
    return event;
}

/* Adds the entries of the existing file, if there is one. */
static int merge(struct ps_autopick *list, struct ps_error *error)
{
    FILE *stream = fopen(list->path, "re");
    if (!stream)
        return errno == ENOENT ? 0
                               : ps_fail(error, PS_E_SYSTEM, "%s: %s", list->path, strerror(errno));
    struct ps_star *star = calloc(1, sizeof *star);
    int status = 0;
    if (star) {
        star->lines.stream = stream;
        star->lines.path = list->path;
        status = take_events(list, star, error);
    } else {
        status = ps_fail_memory(error, sizeof *star, "a STAR file");
    }
    free(star);
    (void)fclose(stream);
    return status;
}

static int write_list(FILE *stream, const void *context, struct ps_error *error)
{
    const struct ps_autopick *list = context;
    (void)fputs("# version 30001\n\ndata_coordinate_files\n\nloop_\n_rlnMicrographName #1\n"
                "_rlnMicrographCoordinates #2\n",
                stream);
    int status = 0;
    for (size_t i = 0; i < list->count && status == 0; i++) {
        if (!exists(list, list->entries[i]->coordinates))
            continue;
        status = ps_star_write_word(stream, list->entries[i]->micrograph, error);
        (void)fputc(' ', stream);
        if (status == 0)
            status = ps_star_write_word(stream, list->entries[i]->coordinates, error);
        (void)fputc('\n', stream);
    }
    (void)fputc('\n', stream);
    return status;
}

int ps_autopick_save(struct ps_autopick *list, struct ps_error *error)
{
    if (!ps_autopick_unsaved(list))
        return 0;
    /* The lock covers reading and writing: each process writes the entries it has read, too. */
    int directory = open(list->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || flock(directory, LOCK_EX) != 0) {
        int code = errno;
        if (directory >= 0)
            (void)close(directory);
        return ps_fail(error, PS_E_SYSTEM, "%s: cannot lock it: %s", list->directory,
                       strerror(code));
    }
    int status = merge(list, error);
    if (status == 0 && list->count) /* whatever order they were picked in */
        qsort(list->entries, list->count, sizeof *list->entries, by_entry);
    if (status == 0)
        status = ps_file_write_atomically(list->path, write_list, list, error);
    (void)close(directory);
    list->unsaved = list->check = status != 0;
    return status;
}
