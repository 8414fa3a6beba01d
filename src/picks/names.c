#include "picks/names.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "picks/format.h"
#include "picks/names_record.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_SUFFIX = 15, /* bytes of the longest suffix: "_cryosparc.star" */
    MAX_TRIES = 100,
};

struct ps_names {
    enum ps_names_kind kind;
    char *cwd; /* PS_NAMES_LOCAL: the working directory */
    pthread_mutex_t lock;
    void *records; /* struct ps_names_record, by directory */
};

/* What a micrograph asks for. */
struct request {
    char *directory;  /* of its files, with a '/' at its end */
    const char *name; /* its file name, without a directory */
    char *owner;      /* its path, in the form in which it is recorded */
    size_t limit;     /* bytes of a stem */
};

/* ---- micrographs ------------------------------------------------------------------------------
 */

/* The path without "." and empty components; to be freed. */
static char *clean(const char *path)
{
    char *result = malloc(strlen(path) + 1);
    char *to = result;
    if (!result)
        return NULL;
    if (*path == '/')
        *to++ = '/';
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length > 0 && !(length == 1 && *path == '.')) {
            if (to != result && to[-1] != '/')
                *to++ = '/';
            to = mempcpy(to, path, length);
        }
        path += length + (path[length] == '/');
    }
    *to = '\0';
    return result;
}

static char *owner_of(const struct ps_names *names, const char *path)
{
    char *full = NULL;
    if (!names->cwd || *path == '/')
        return clean(path);
    char *owner = asprintf(&full, "%s/%s", names->cwd, path) < 0 ? NULL : clean(full);
    free(full);
    return owner;
}

/* True if `path` is absolute and ends with the components of `relative`. */
static bool ends_with_path(const char *path, const char *relative)
{
    size_t length = strlen(path), tail = strlen(relative);
    return *path == '/' && *relative != '/' && length > tail && path[length - tail - 1] == '/' &&
           strcmp(path + length - tail, relative) == 0;
}

/* Finds out what the directory of a file is. */
static bool stat_parent(const char *path, struct stat *ret)
{
    char *parent = strdup(path);
    bool found = parent && stat(dirname(parent), ret) == 0;
    free(parent);
    return found;
}

/* True if both have the same name in the same directory, which can have several paths. Compares no
 * inodes of files: two names can be links to one file. */
static bool same_place(const char *a, const char *b)
{
    struct stat left, right;
    const char *last[2] = {strrchr(a, '/'), strrchr(b, '/')};
    return last[0] && last[1] && strcmp(last[0], last[1]) == 0 && stat_parent(a, &left) &&
           stat_parent(b, &right) && left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

/* The part of a path that leads to it from a directory, after `*ret_up` steps upwards. */
static const char *from_directory(const char *path, const char *directory, size_t *ret_up)
{
    size_t common = 0;
    for (size_t i = 0; path[i] && path[i] == (directory[i] ? directory[i] : '/'); i++) {
        if (path[i] == '/')
            common = i + 1;
        if (!directory[i])
            break;
    }
    *ret_up = 0;
    for (const char *at = directory; *at; at++)
        *ret_up += at >= directory + common && *at != '/' && (at[1] == '/' || !at[1]);
    return path + common;
}

/* True if a micrograph and the record were moved together, as with the directory of a project. */
static bool moved_together(const struct ps_names_record *record, const struct ps_named *named,
                           const char *owner)
{
    size_t then = 0, now = 0;
    char *directory = named->directory ? realpath(record->directory, NULL) : NULL;
    bool moved = directory && strcmp(directory, named->directory) != 0 && *owner == '/' &&
                 *named->owner == '/' &&
                 strcmp(from_directory(named->owner, named->directory, &then),
                        from_directory(owner, directory, &now)) == 0 &&
                 then == now;
    free(directory);
    return moved;
}

static bool is_owner(const struct ps_names *names, const struct ps_names_record *record,
                     const struct ps_named *named, const char *owner)
{
    if (strcmp(named->owner, owner) == 0)
        return true;
    return names->kind != PS_NAMES_PRIVATE &&
           (ends_with_path(named->owner, owner) || ends_with_path(owner, named->owner) ||
            same_place(named->owner, owner) || moved_together(record, named, owner));
}

/* ---- stems ------------------------------------------------------------------------------------
 */

/* 64-bit FNV-1a. */
static uint64_t hash_of(const char *text)
{
    uint64_t hash = 14695981039346656037u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211u;
    return hash;
}

/* Cuts a stem that is too long, between two characters, and appends a hash of it. */
static char *shorten(char *stem, size_t limit)
{
    enum { HASH = 17 };
    size_t length = stem ? strlen(stem) : 0;
    if (length <= limit || limit <= HASH)
        return stem;
    uint64_t hash = hash_of(stem);
    size_t cut = limit - HASH;
    while (cut > 0 && ((unsigned char)stem[cut] & 0xc0) == 0x80)
        cut--;
    (void)snprintf(stem + cut, length + 1 - cut, "~%016llx", (unsigned long long)hash);
    return stem;
}

/* The stem to try at `index`; to be freed. */
static char *candidate(const struct request *request, int index)
{
    char *stem = NULL;
    size_t length = index == 0 ? ps_picks_stem(request->name) : strlen(request->name);
    if (index < 2)
        stem = strndup(request->name, length);
    else if (asprintf(&stem, "%s-%08x", request->name,
                      (unsigned)(hash_of(request->owner) + (unsigned)index - 2)) < 0)
        stem = NULL;
    return shorten(stem, request->limit);
}

/* True if a file of picks of this stem exists. */
static bool has_files(const struct request *request, const char *stem)
{
    bool found = false;
    for (const struct ps_picks_format *format = ps_picks_formats; format->name && !found;
         format++) {
        char *path = NULL;
        found = asprintf(&path, "%s%s%s", request->directory, stem, format->suffix) < 0 ||
                access(path, F_OK) == 0;
        free(path);
    }
    return found;
}

/* Finds the stem of a micrograph, in the order of the candidates: the one that it has, or else the
 * first one that is free. `index` is that of the result. */
static int choose(const struct ps_names *names, const struct ps_names_record *record, int fd,
                  const struct request *request, char **ret_stem, bool *ret_owned, int *ret_index,
                  struct ps_error *error)
{
    char *available = NULL;
    for (int i = 0; i < MAX_TRIES; i++) {
        char *stem = candidate(request, i);
        if (!stem) {
            free(available);
            return ps_fail_memory(error, strlen(request->name), "a name");
        }
        const struct ps_named *named = ps_names_record_find(record, stem);
        bool owned = named && is_owner(names, record, named, request->owner);
        /* In this order: its user writes the files before it ends. */
        bool lapsed = named && !owned && fd >= 0 && !ps_names_record_in_use(fd, named) &&
                      !has_files(request, stem);
        if (owned) {
            free(available);
            available = stem;
        } else if ((!named || lapsed) && !available) {
            available = stem;
            *ret_index = i;
        } else {
            free(stem);
        }
        if (owned)
            *ret_index = i;
        if (owned || (!named && available)) {
            *ret_owned = owned;
            *ret_stem = available;
            return 0;
        }
    }
    free(available);
    return ps_fail(error, PS_E_SYSTEM, "%.300s%.150s: no free name for its files of picks",
                   request->directory, request->name);
}

/* ---- requests ---------------------------------------------------------------------------------
 */

static int begin(const struct ps_names *names, struct request *ret, const char *directory,
                 const char *name, const char *path, struct ps_error *error)
{
    const char *slash = strrchr(name, '/');
    size_t length = strlen(directory);
    *ret = (struct request){.name = slash ? slash + 1 : name, .owner = owner_of(names, path)};
    /* Ends in '/', as what precedes the last one of a path does. */
    bool slashed = length == 0 || directory[length - 1] == '/';
    if (!ret->owner || asprintf(&ret->directory, "%s%s%.*s", directory, slashed ? "" : "/",
                                slash ? (int)(slash + 1 - name) : 0, name) < 0) {
        free(ret->owner);
        return ps_fail_memory(error, strlen(directory), "a path");
    }
    return 0;
}

/* The directory must exist, because its file system limits names. */
static void find_limit(struct request *request)
{
    long limit = pathconf(*request->directory ? request->directory : ".", _PC_NAME_MAX);
    request->limit = (size_t)(limit > MAX_SUFFIX ? limit : NAME_MAX) - MAX_SUFFIX;
}

static void end(struct request *request)
{
    free(request->directory);
    free(request->owner);
}

static int by_directory(const void *a, const void *b)
{
    return strcmp(((const struct ps_names_record *)a)->directory,
                  ((const struct ps_names_record *)b)->directory);
}

static struct ps_names_record *record_of(struct ps_names *names, const char *directory,
                                         struct ps_error *error)
{
    struct ps_names_record *record = ps_names_record_new(directory);
    struct ps_names_record **place = record ? tsearch(record, &names->records, by_directory) : NULL;
    if (!place || *place != record)
        ps_names_record_free(record);
    if (!place)
        (void)ps_fail_memory(error, sizeof *record, "the names of files of picks");
    return place ? *place : NULL;
}

static int claim(struct ps_names *names, const struct request *request, struct ps_claim *ret,
                 struct ps_error *error)
{
    struct ps_names_record *record = record_of(names, request->directory, error);
    char *stem = NULL;
    bool owned = false;
    int fd = -1, index = 0;
    if (!record)
        return PS_E_NOMEM;
    int status = names->kind != PS_NAMES_PRIVATE ? ps_names_record_lock(record, &fd, error) : 0;
    if (status == 0)
        status = choose(names, record, fd, request, &stem, &owned, &index, error);
    if (status == 0 && !owned)
        status = ps_names_record_add(record, fd, stem, request->owner, error);
    if (status == 0 && asprintf(&ret->stem, "%s%s", request->directory, stem) < 0)
        status = ps_fail_memory(error, strlen(stem), "a path");
    if (status == 0 && fd >= 0)
        ps_names_record_use(fd, ps_names_record_find(record, stem));
    else if (fd >= 0)
        (void)close(fd);
    free(stem);
    ret->fd = fd;
    ret->renamed = index > 0;
    return status;
}

int ps_names_claim(struct ps_names *names, const char *directory, const char *name,
                   const char *path, struct ps_claim *ret_claim, struct ps_error *error)
{
    struct request request;
    struct ps_claim result = {.fd = -1};
    int status = begin(names, &request, directory, name, path, error);
    if (status)
        return status;
    status = ps_directory_make(request.directory, error);
    find_limit(&request);
    if (status == 0) {
        pthread_mutex_lock(&names->lock);
        status = claim(names, &request, &result, error);
        pthread_mutex_unlock(&names->lock);
    }
    end(&request);
    if (status == 0)
        *ret_claim = result;
    return status;
}

void ps_claim_done(struct ps_claim *claim)
{
    free(claim->stem);
    if (claim->fd >= 0)
        (void)close(claim->fd);
    *claim = (struct ps_claim){.fd = -1};
}

int ps_names_find(struct ps_names *names, const char *directory, const char *name, const char *path,
                  char **ret_stem, struct ps_error *error)
{
    struct request request;
    char *stem = NULL, *result = NULL;
    bool owned = false;
    int index = 0;
    int status = begin(names, &request, directory, name, path, error);
    if (status)
        return status;
    find_limit(&request);
    pthread_mutex_lock(&names->lock);
    struct ps_names_record *record = record_of(names, request.directory, error);
    status = record ? 0 : PS_E_NOMEM;
    if (status == 0 && names->kind != PS_NAMES_PRIVATE)
        status = ps_names_record_read(record, error);
    if (status == 0)
        status = choose(names, record, -1, &request, &stem, &owned, &index, error);
    pthread_mutex_unlock(&names->lock);
    if (status == 0 && (owned || index == 0) &&
        asprintf(&result, "%s%s", request.directory, stem) < 0)
        status = ps_fail_memory(error, strlen(stem), "a path");
    free(stem);
    end(&request);
    if (status == 0)
        *ret_stem = result;
    return status;
}

int ps_names_new(enum ps_names_kind kind, struct ps_names **ret_names, struct ps_error *error)
{
    struct ps_names *names = calloc(1, sizeof *names);
    if (!names)
        return ps_fail_memory(error, sizeof *names, "the names of files of picks");
    names->kind = kind;
    if (kind == PS_NAMES_LOCAL && !(names->cwd = getcwd(NULL, 0))) {
        free(names);
        return ps_fail(error, PS_E_SYSTEM, "the working directory: %s", strerror(errno));
    }
    pthread_mutex_init(&names->lock, NULL);
    *ret_names = names;
    return 0;
}

static void free_record(void *record)
{
    ps_names_record_free(record);
}

void ps_names_free(struct ps_names *names)
{
    if (!names)
        return;
    tdestroy(names->records, free_record);
    pthread_mutex_destroy(&names->lock);
    free(names->cwd);
    free(names);
}
