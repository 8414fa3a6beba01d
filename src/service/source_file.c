#include "service/source_file.h"

#include "image/checksum.h"
#include "service/shortage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_READS = 3 };

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
    return ps_source_is_mounted(job) && stat(job->path, &info) != 0 &&
           !ps_is_shortage_of_stat(errno);
}

int ps_source_identify(struct ps_job *job)
{
    struct stat info;
    if (stat(job->path, &info) != 0)
        return errno;
    job->identity = ps_identity_of(&info);
    return 0;
}

/* How the file compares with the job's; the same if it is gone. */
static enum ps_identity_match compare(const struct ps_job *job, struct ps_identity *ret_now)
{
    struct stat info;
    if (stat(job->path, &info) != 0)
        return PS_IDENTITY_THE_SAME;
    *ret_now = ps_identity_of(&info);
    return ps_identity_compare(&job->identity, ret_now);
}

int ps_source_read(struct ps_job *job, const struct ps_read_options *options,
                   struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    for (int reads = 1;; reads++) {
        struct ps_micrograph *micrograph = NULL;
        struct ps_identity now;
        const int status = ps_micrograph_read(job->path, options, &micrograph, error);
        job->checksum = ps_file_checksum(job->path);
        if (compare(job, &now) != PS_IDENTITY_UNSURE || reads == MAX_READS) {
            if (status == 0)
                *ret_micrograph = micrograph;
            return status;
        }
        job->identity = now;
        ps_micrograph_free(micrograph);
    }
}

bool ps_source_changed(struct ps_job *job)
{
    struct ps_identity now;
    switch (compare(job, &now)) {
    case PS_IDENTITY_OTHER:
        return true;
    case PS_IDENTITY_UNSURE:
        if (job->checksum && ps_file_checksum(job->path) != job->checksum)
            return true;
        job->identity = now;
        return false;
    case PS_IDENTITY_THE_SAME:
        break;
    }
    return false;
}
