#include "service/source_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool ps_source_is_mounted(const struct ps_job *job)
{
    size_t watched = strlen(job->path) - strlen(job->name);
    char *path = strdup(job->path);
    bool mounted = false;
    for (char *slash; path && (slash = strrchr(path, '/')) != NULL;) {
        *slash = '\0';
        struct stat info;
        if (stat(*path ? path : "/", &info) == 0) {
            mounted = (uint64_t)info.st_dev == job->identity.device;
            break;
        }
        if ((errno != ENOENT && errno != ENOTDIR) || (size_t)(slash - path) < watched)
            break;
    }
    free(path);
    return mounted;
}

/* Calls stat() again after the check of the file system, which can have been mounted again in
 * between. */
bool ps_source_vanished(const struct ps_job *job)
{
    struct stat info;
    return ps_source_is_mounted(job) && stat(job->path, &info) != 0;
}

bool ps_source_unchanged(const struct ps_job *job, struct ps_identity *ret_identity, int *ret_errno)
{
    struct stat info;
    *ret_errno = stat(job->path, &info) == 0 ? 0 : errno;
    if (*ret_errno)
        return false;
    *ret_identity = ps_identity_of(&info);
    return ps_identity_equal(ret_identity, &job->identity);
}
