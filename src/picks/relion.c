#include "picks/relion.h"

#include "base/error.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A link in the project to a directory. */
struct link {
    char *name;
    struct stat info;
};

struct ps_relion {
    char *project;
    char *cwd;
    struct stat info; /* of the project; st_ino 0 if it does not exist here */
    struct link *links;
    size_t link_count;
};

/* ---- paths ------------------------------------------------------------------------------------
 */

/* Removes empty components and "." in place. */
static void clean(char *path)
{
    char *to = path;
    for (const char *from = path; *from;) {
        from += strspn(from, "/");
        size_t length = strcspn(from, "/");
        if (length > 0 && !(length == 1 && *from == '.')) {
            *to++ = '/';
            memmove(to, from, length);
            to += length;
        }
        from += length;
    }
    if (to == path)
        *to++ = '/';
    *to = '\0';
}

static bool has_parent_component(const char *path)
{
    for (const char *at = path; (at = strstr(at, "/..")); at += 3)
        if (at[3] == '/' || at[3] == '\0')
            return true;
    return false;
}

/* Follows the links of a path as far as it exists, for "..": what is missing is appended. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL), *joined = NULL, *parent = strdup(path);
    char *slash = parent ? strrchr(parent, '/') : NULL;
    if (!real && slash && slash != parent) {
        *slash = '\0';
        char *above = resolve(parent);
        if (above && asprintf(&joined, "%s/%s", above, slash + 1) < 0)
            joined = NULL;
        free(above);
    }
    free(parent);
    return real ? real : joined;
}

/* Makes a path absolute and clean. Links stay, unless ".." needs them followed. */
static char *absolute(const char *cwd, const char *path)
{
    char *full = NULL;
    if (asprintf(&full, "%s/%s", *path == '/' ? "" : cwd, path) < 0)
        return NULL;
    clean(full);
    if (has_parent_component(full)) {
        errno = 0;
        char *real = resolve(full);
        if (real || errno == ENOMEM) {
            free(full);
            full = real;
        }
    }
    return full;
}

/* Length of "jobNNN" at the beginning of a component, as RELION recognizes it; 0: something else.
 */
static size_t job_length(const char *component)
{
    bool job = strncmp(component, "job", 3) == 0 && isdigit((unsigned char)component[3]) &&
               isdigit((unsigned char)component[4]) && isdigit((unsigned char)component[5]);
    return job ? strcspn(component, "/") : 0;
}

const char *ps_relion_name(const char *path)
{
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t length = job_length(slash + 1);
        if (length > 0 && slash[1 + length])
            return slash + 1 + length + 1;
    }
    return path;
}

char *ps_relion_locate(const char *list, const char *name)
{
    if (*name == '/' || access(name, F_OK) == 0)
        return strdup(name);
    char *directory = realpath(list, NULL);
    for (char *slash; directory && (slash = strrchr(directory, '/'));) {
        char *candidate = NULL;
        *slash = '\0';
        if (asprintf(&candidate, "%s/%s", directory, name) < 0) {
            free(directory);
            return NULL;
        }
        if (access(candidate, F_OK) == 0) {
            free(directory);
            return candidate;
        }
        free(candidate);
    }
    free(directory);
    return strdup(name);
}

/* ---- the project ------------------------------------------------------------------------------
 */

static bool has_file(const char *directory, size_t length, const char *name)
{
    char path[PATH_MAX]; /* of a longer one there is no file */
    return (size_t)snprintf(path, sizeof path, "%.*s/%s", (int)length, directory, name) <
               sizeof path &&
           access(path, F_OK) == 0;
}

/* Length of the nearest directory at or above `path` that has RELION's files, or 0. The directory
 * of a job has copies of them, beside job_pipeline.star. */
static size_t find_files(const char *path)
{
    size_t length = strlen(path);
    while (length > 1) {
        if ((has_file(path, length, "default_pipeline.star") ||
             has_file(path, length, ".gui_projectdir")) &&
            !has_file(path, length, "job_pipeline.star"))
            return length;
        while (length > 0 && path[--length] != '/')
            ;
    }
    return 0;
}

/* Length of the directory above a job in `path`, or 0. */
static size_t find_job(const char *path)
{
    static const char *const pickers[] = {"AutoPick", "ManualPick"};
    size_t found = 0;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t length = strcspn(slash + 1, "/");
        const char *next = slash + 1 + length;
        bool job = *next && isupper((unsigned char)slash[1]) && job_length(next + 1) > 0;
        for (size_t i = 0; i < sizeof pickers / sizeof *pickers; i++)
            job |= strlen(pickers[i]) == length && strncmp(slash + 1, pickers[i], length) == 0;
        if (job)
            found = (size_t)(slash - path);
    }
    return found;
}

/* The project of an output directory, as it is written and where its links lead; to be freed. NULL,
 * and errno is not ENOMEM: there is none. */
static char *find_project(const char *cwd, const char *output)
{
    char *written = absolute(cwd, output);
    char *real = written ? resolve(written) : NULL;
    if (!written || (!real && errno == ENOMEM)) {
        free(written);
        return NULL;
    }
    const struct {
        const char *path;
        size_t length;
    } places[] = {
        {written, find_files(written)}, {real, real ? find_files(real) : 0},
        {written, find_job(written)},   {real, real ? find_job(real) : 0},
        {cwd, find_files(cwd)},
    };
    const size_t count = sizeof places / sizeof *places;
    size_t first = 0;
    while (first < count && places[first].length == 0)
        first++;
    errno = 0;
    char *project = first < count ? strndup(places[first].path, places[first].length) : NULL;
    free(written);
    free(real);
    return project;
}

static int add_link(struct ps_relion *relion, const char *name, const struct stat *info,
                    struct ps_error *error)
{
    struct link *grown = realloc(relion->links, (relion->link_count + 1) * sizeof *grown);
    if (!grown)
        return ps_fail_memory(error, sizeof *grown, "a link");
    relion->links = grown;
    grown[relion->link_count] = (struct link){strdup(name), *info};
    return grown[relion->link_count++].name ? 0 : ps_fail_memory(error, strlen(name), "a link");
}

static int find_links(struct ps_relion *relion, struct ps_error *error)
{
    DIR *directory = opendir(relion->project);
    int status = 0;
    if (!directory && ps_code_of_errno(errno) != PS_E_CONFIG)
        return ps_fail(error, PS_E_SYSTEM, "%s: %s", relion->project, strerror(errno));
    struct dirent *entry;
    while (directory && status == 0 && (entry = readdir(directory))) {
        struct stat info;
        if (fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISLNK(info.st_mode) && fstatat(dirfd(directory), entry->d_name, &info, 0) == 0 &&
            S_ISDIR(info.st_mode))
            status = add_link(relion, entry->d_name, &info, error);
    }
    if (directory)
        (void)closedir(directory);
    return status;
}

int ps_relion_find(const char *project, const char *output, struct ps_relion **ret_relion,
                   struct ps_error *error)
{
    struct ps_relion *relion = calloc(1, sizeof *relion);
    if (!relion)
        return ps_fail_memory(error, sizeof *relion, "a project");
    relion->cwd = getcwd(NULL, 0);
    if (!relion->cwd) {
        ps_relion_free(relion);
        return ps_fail(error, PS_E_SYSTEM, "the working directory: %s", strerror(errno));
    }
    errno = 0;
    relion->project =
        project && *project ? absolute(relion->cwd, project) : find_project(relion->cwd, output);
    if (!relion->project) {
        bool no_memory = errno == ENOMEM;
        ps_relion_free(relion);
        if (no_memory)
            return ps_fail_memory(error, strlen(output), "a project");
        *ret_relion = NULL;
        return 0;
    }
    if (stat(relion->project, &relion->info) != 0)
        relion->info.st_ino = 0;
    int status = find_links(relion, error);
    if (status)
        ps_relion_free(relion);
    else
        *ret_relion = relion;
    return status;
}

void ps_relion_free(struct ps_relion *relion)
{
    if (!relion)
        return;
    for (size_t i = 0; i < relion->link_count; i++)
        free(relion->links[i].name);
    free(relion->links);
    free(relion->project);
    free(relion->cwd);
    free(relion);
}

const char *ps_relion_project(const struct ps_relion *relion)
{
    return relion->project;
}

/* ---- paths from the project -------------------------------------------------------------------
 */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino && a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

/* The part of an absolute path behind a directory, or NULL. Changes the path in between. */
static char *behind(char *path, const struct stat *directory)
{
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        struct stat info;
        *slash = '\0';
        bool found = stat(path, &info) == 0 && same_file(&info, directory);
        *slash = '/';
        if (found)
            return slash + 1;
    }
    return NULL;
}

/* The part of an absolute path behind the project, or NULL. */
static char *behind_project(const struct ps_relion *relion, char *path)
{
    size_t length = strlen(relion->project);
    if (strncmp(path, relion->project, length) == 0 && path[length] == '/')
        return path + length + 1;
    return behind(path, &relion->info);
}

/* The path through a link in the project; NULL, and errno is not ENOMEM: there is none. */
static char *through_link(const struct ps_relion *relion, char *path)
{
    char *result;
    for (size_t i = 0; i < relion->link_count; i++) {
        const char *rest = behind(path, &relion->links[i].info);
        if (rest)
            return asprintf(&result, "%s/%s", relion->links[i].name, rest) < 0 ? NULL : result;
    }
    errno = 0;
    return NULL;
}

/* Replaces the alias of a job, a link TYPE/ALIAS to TYPE/jobNNN, by the job. NULL without memory.
 */
static char *without_alias(const struct ps_relion *relion, const char *path)
{
    const char *type = strchr(path, '/');
    const char *rest = type ? strchr(type + 1, '/') : NULL;
    char *alias = NULL, *result = NULL;
    char target[256];
    if (!rest || job_length(type + 1) > 0)
        return strdup(path);
    if (asprintf(&alias, "%s/%.*s", relion->project, (int)(rest - path), path) < 0)
        return NULL;
    ssize_t length = readlink(alias, target, sizeof target - 1);
    free(alias);
    while (length > 0 && target[length - 1] == '/')
        length--;
    if (length <= 0)
        return strdup(path);
    target[length] = '\0';
    const char *slash = strrchr(target, '/');
    const char *job = slash ? slash + 1 : target;
    if (job_length(job) == 0)
        return strdup(path);
    return asprintf(&result, "%.*s/%s%s", (int)(type - path), path, job, rest) < 0 ? NULL : result;
}

/* The same path with its directory's links followed. NULL if that does not exist. */
static char *with_real_directory(const char *path)
{
    char *directory = strdup(path), *result = NULL;
    char *slash = directory ? strrchr(directory, '/') : NULL;
    if (slash && slash != directory) {
        *slash = '\0';
        char *real = realpath(directory, NULL);
        if (real && asprintf(&result, "%s/%s", real, slash + 1) < 0)
            result = NULL;
        free(real);
    }
    free(directory);
    return result;
}

int ps_relion_path(const struct ps_relion *relion, const char *path, char **ret_path,
                   struct ps_error *error)
{
    *ret_path = NULL;
    if (!relion)
        return 0;
    char *full = absolute(relion->cwd, path);
    if (!full)
        return ps_fail_memory(error, strlen(path), "a path");
    errno = 0;
    char *real = with_real_directory(full);
    if (!real && errno == ENOMEM) {
        free(full);
        return ps_fail_memory(error, strlen(path), "a path");
    }
    const char *inside = has_parent_component(full) ? NULL : behind_project(relion, full);
    if (!inside && real)
        inside = behind_project(relion, real);
    char *linked = inside || !real ? NULL : through_link(relion, real);
    if (linked)
        inside = linked;
    int status =
        inside || !real || errno != ENOMEM ? 0 : ps_fail_memory(error, strlen(path), "a path");
    if (inside) {
        *ret_path = without_alias(relion, inside);
        status = *ret_path ? 0 : ps_fail_memory(error, strlen(path), "a path");
    }
    free(full);
    free(real);
    free(linked);
    return status;
}

int ps_relion_output(const struct ps_relion *relion, const char *path, char **ret_name,
                     struct ps_error *error)
{
    int status = ps_relion_path(relion, path, ret_name, error);
    if (status || !*ret_name)
        return status;
    const char *behind_job = ps_relion_name(*ret_name);
    memmove(*ret_name, behind_job, strlen(behind_job) + 1);
    return 0;
}
