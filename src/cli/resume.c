#include "cli/resume.h"

#include "image/checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

static const char micrograph_attribute[] = "user.pickstream.micrograph";
static const char content_attribute[] = "user.pickstream.content";

enum { RECORD = 64 };

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int format_record(const struct stat *micrograph, char ret_text[RECORD])
{
    return snprintf(ret_text, RECORD, "%jd %" PRId64, (intmax_t)micrograph->st_size,
                    nanoseconds(micrograph->st_mtim));
}

void ps_resume_read(struct ps_resume_source *source)
{
    struct stat now;
    const int64_t checksum = ps_file_checksum(source->path);
    const bool same = stat(source->path, &now) == 0 &&
                      nanoseconds(now.st_ctim) == nanoseconds(source->state.st_ctim);
    source->checksum = same ? checksum : 0;
}

void ps_resume_record(const char *output, const struct ps_resume_source *source)
{
    char text[RECORD];
    int length = format_record(&source->state, text);
    (void)setxattr(output, micrograph_attribute, text, (size_t)length, 0);
    if (!source->checksum)
        return;
    length = snprintf(text, sizeof text, "%" PRId64 " %" PRId64, nanoseconds(source->state.st_ctim),
                      source->checksum);
    (void)setxattr(output, content_attribute, text, (size_t)length, 0);
}

static bool is_older(const struct stat *a, const struct stat *b)
{
    return nanoseconds(a->st_mtim) < nanoseconds(b->st_mtim);
}

/* True unless the inode changed, and with it the content. */
static bool has_content(const char *output, const struct ps_resume_source *source)
{
    char recorded[RECORD];
    int64_t ctime_ns, checksum;
    const ssize_t length = getxattr(output, content_attribute, recorded, sizeof recorded - 1);
    if (length < 0)
        return true;
    recorded[length] = '\0';
    if (sscanf(recorded, "%" SCNd64 " %" SCNd64, &ctime_ns, &checksum) != 2)
        return true;
    return ctime_ns == nanoseconds(source->state.st_ctim) ||
           checksum == ps_file_checksum(source->path);
}

bool ps_resume_is_current(const char *output, const struct ps_resume_source *source)
{
    struct stat info;
    if (stat(output, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    char recorded[RECORD], expected[RECORD];
    const ssize_t length = getxattr(output, micrograph_attribute, recorded, sizeof recorded);
    if (length < 0)
        return !is_older(&info, &source->state);
    return length == format_record(&source->state, expected) &&
           memcmp(recorded, expected, (size_t)length) == 0 && has_content(output, source);
}
