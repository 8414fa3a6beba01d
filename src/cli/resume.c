#include "cli/resume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

static const char attribute[] = "user.pickstream.micrograph";

enum { RECORD = 64 };

static int format_record(const struct stat *micrograph, char ret_text[RECORD])
{
    const int64_t mtime_ns =
        (int64_t)micrograph->st_mtim.tv_sec * 1000000000 + micrograph->st_mtim.tv_nsec;
    return snprintf(ret_text, RECORD, "%jd %" PRId64, (intmax_t)micrograph->st_size, mtime_ns);
}

void ps_resume_record(const char *output, const struct stat *micrograph)
{
    char text[RECORD];
    const int length = format_record(micrograph, text);
    (void)setxattr(output, attribute, text, (size_t)length, 0);
}

static bool is_older(const struct stat *a, const struct stat *b)
{
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
        return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

bool ps_resume_is_current(const char *output, const struct stat *micrograph)
{
    struct stat info;
    if (stat(output, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    char recorded[RECORD], expected[RECORD];
    const ssize_t length = getxattr(output, attribute, recorded, sizeof recorded);
    if (length < 0)
        return !is_older(&info, micrograph);
    return length == format_record(micrograph, expected) &&
           memcmp(recorded, expected, (size_t)length) == 0;
}
