#include "watch/job.h"

#include <stdlib.h>
#include <string.h>

struct ps_identity ps_identity_of(const struct stat *info)
{
    return (struct ps_identity){
        .device = (uint64_t)info->st_dev,
        .inode = (uint64_t)info->st_ino,
        .size = (uint64_t)info->st_size,
        .mtime_ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec,
        .ctime_ns = (int64_t)info->st_ctim.tv_sec * 1000000000 + info->st_ctim.tv_nsec,
    };
}

bool ps_identity_equal(const struct ps_identity *a, const struct ps_identity *b)
{
    return a->size == b->size && a->mtime_ns == b->mtime_ns;
}

enum ps_identity_match ps_identity_compare(const struct ps_identity *a, const struct ps_identity *b)
{
    if (!ps_identity_equal(a, b))
        return PS_IDENTITY_OTHER;
    if (a->ctime_ns && b->ctime_ns && a->ctime_ns != b->ctime_ns)
        return PS_IDENTITY_UNSURE;
    return PS_IDENTITY_THE_SAME;
}

struct ps_job *ps_job_new(const char *path, const char *name)
{
    struct ps_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->path = strdup(path);
    job->name = strdup(name);
    if (!job->path || !job->name) {
        ps_job_free(job);
        return NULL;
    }
    return job;
}

void ps_job_free(struct ps_job *job)
{
    if (!job)
        return;
    free(job->path);
    free(job->name);
    free(job);
}
