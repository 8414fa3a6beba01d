#include "picks/names_record.h"

#include "base/error.h"
#include "base/percent.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_REOPENED = 100 };

/* ---- memory -----------------------------------------------------------------------------------
 */

static int by_stem(const void *a, const void *b)
{
    return strcmp(((const struct ps_named *)a)->stem, ((const struct ps_named *)b)->stem);
}

static void named_free(void *entry)
{
    struct ps_named *named = entry;
    free(named->stem);
    free(named->owner);
    free(named->directory);
    free(named);
}

struct ps_names_record *ps_names_record_new(const char *directory)
{
    struct ps_names_record *record = calloc(1, sizeof *record);
    if (record && !(record->directory = strdup(directory))) {
        free(record);
        return NULL;
    }
    return record;
}

static void forget(struct ps_names_record *record)
{
    tdestroy(record->stems, named_free);
    record->stems = NULL;
    record->size = 0;
}

void ps_names_record_free(struct ps_names_record *record)
{
    if (!record)
        return;
    forget(record);
    free(record->directory);
    free(record);
}

const struct ps_named *ps_names_record_find(const struct ps_names_record *record, const char *stem)
{
    const struct ps_named key = {.stem = (char *)stem};
    struct ps_named *const *found = tfind(&key, &record->stems, by_stem);
    return found ? *found : NULL;
}

static char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

/* Enters a stem, or changes its owner. `directory` can be NULL. */
static int enter(struct ps_names_record *record, const char *stem, const char *owner,
                 const char *directory, off_t start, struct ps_error *error)
{
    struct ps_named *named = malloc(sizeof *named);
    struct ps_named **place = NULL;
    if (named) {
        *named = (struct ps_named){strdup(stem), strdup(owner), copy(directory), start};
        if (named->stem && named->owner && (named->directory || !directory))
            place = tsearch(named, &record->stems, by_stem);
    }
    if (place && *place == named)
        return 0;
    if (place) {
        struct ps_named before = **place;
        **place = (struct ps_named){before.stem, named->owner, named->directory, start};
        named->owner = before.owner;
        named->directory = before.directory;
    }
    if (named)
        named_free(named);
    return place ? 0 : ps_fail_memory(error, sizeof *named, "the names of files of picks");
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static int fail(const struct ps_names_record *record, const char *what, struct ps_error *error)
{
    return ps_fail(error, PS_E_SYSTEM, "%.300s" PS_NAMES_RECORD ": cannot %s: %s",
                   record->directory, what, strerror(errno));
}

static int take_line(struct ps_names_record *record, char *line, off_t start,
                     struct ps_error *error)
{
    char *rest = line;
    char *stem = strsep(&rest, "\t"), *owner = strsep(&rest, "\t"),
         *directory = strsep(&rest, "\t");
    if (!owner || !*stem || !ps_percent_decode(stem) || !ps_percent_decode(owner) ||
        (directory && !ps_percent_decode(directory)))
        return 0;
    return enter(record, stem, owner, directory, start, error);
}

/* Takes the complete lines of the text, which begins at record->size. */
static int take_lines(struct ps_names_record *record, char *text, struct ps_error *error)
{
    int status = 0;
    for (char *end; status == 0 && (end = strchr(text, '\n')); text = end + 1) {
        *end = '\0';
        off_t start = record->size;
        record->size += end + 1 - text;
        status = take_line(record, text, start, error);
    }
    return status;
}

static int read_new(struct ps_names_record *record, int fd, const struct stat *info,
                    struct ps_error *error)
{
    if (info->st_dev != record->device || info->st_ino != record->inode ||
        info->st_size < record->size)
        forget(record);
    record->device = info->st_dev;
    record->inode = info->st_ino;
    if (info->st_size == record->size)
        return 0;
    size_t wanted = (size_t)(info->st_size - record->size), have = 0;
    char *text = malloc(wanted + 1);
    if (!text)
        return ps_fail_memory(error, wanted, "the names of files of picks");
    int status = 0;
    while (have < wanted) {
        ssize_t count = pread(fd, text + have, wanted - have, record->size + (off_t)have);
        if (count < 0 && errno != EINTR) {
            status = fail(record, "read it", error);
            break;
        }
        if (count == 0)
            break;
        have += count > 0 ? (size_t)count : 0;
    }
    text[have] = '\0';
    if (status == 0)
        status = take_lines(record, text, error);
    free(text);
    return status;
}

/* Opens the file for reading, or with `write` for both. A new file can be written by everybody who
 * can write the directory: they share it. Opens without O_CREAT first, because Linux can refuse
 * that for a file of another user in a directory with the sticky bit. */
static int open_record(const struct ps_names_record *record, bool write)
{
    char *path = NULL;
    struct stat info;
    if (asprintf(&path, "%s" PS_NAMES_RECORD, record->directory) < 0) {
        errno = ENOMEM;
        return -1;
    }
    int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && write) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd >= 0 && stat(*record->directory ? record->directory : ".", &info) == 0)
            (void)fchmod(fd, 0600 | (info.st_mode & 0066));
    }
    int code = errno;
    free(path);
    errno = code;
    return fd;
}

static bool set_lock(int fd, short type, off_t at, bool wait)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int result;
    while ((result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock)) != 0 && errno == EINTR)
        ;
    return result == 0;
}

int ps_names_record_lock(struct ps_names_record *record, int *ret_fd, struct ps_error *error)
{
    int length = (int)strlen(record->directory) - 1; /* without the slash */
    for (int i = 0; i < MAX_REOPENED; i++) {
        struct stat info;
        int fd = open_record(record, true);
        if (fd < 0)
            return ps_fail(error, PS_E_SYSTEM, "%.*s: cannot write in this directory: %s", length,
                           record->directory, strerror(errno));
        (void)set_lock(fd, F_WRLCK, 0, true);
        if (fstat(fd, &info) == 0 && info.st_nlink > 0) {
            int status = read_new(record, fd, &info, error);
            if (status)
                (void)close(fd);
            else
                *ret_fd = fd;
            return status;
        }
        (void)close(fd); /* removed before it was locked */
    }
    errno = ENOENT;
    return fail(record, "lock it", error);
}

int ps_names_record_read(struct ps_names_record *record, struct ps_error *error)
{
    int fd = open_record(record, false);
    struct stat info;
    if (fd < 0) {
        forget(record);
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(record, "open it", error);
    }
    int status =
        fstat(fd, &info) == 0 ? read_new(record, fd, &info, error) : fail(record, "read it", error);
    (void)close(fd);
    return status;
}

bool ps_names_record_in_use(int fd, const struct ps_named *named)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = named->start + 1, .l_len = 1};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Appends a line. Overwrites what is left of a line of a process that was killed. */
static int append(struct ps_names_record *record, int fd, const char *stem, const char *owner,
                  const char *directory, struct ps_error *error)
{
    char *words[3] = {ps_percent_encode(stem), ps_percent_encode(owner),
                      ps_percent_encode(directory)};
    char *line = NULL;
    int length = words[0] && words[1] && words[2]
                     ? asprintf(&line, "%s\t%s\t%s\n", words[0], words[1], words[2])
                     : -1;
    for (int i = 0; i < 3; i++)
        free(words[i]);
    if (length < 0)
        return ps_fail_memory(error, strlen(owner), "a path");
    errno = EIO; /* of a write that is too short */
    bool written = ftruncate(fd, record->size) == 0 &&
                   pwrite(fd, line, (size_t)length, record->size) == length && fdatasync(fd) == 0;
    free(line);
    if (!written) {
        int status = fail(record, "write it", error);
        (void)!ftruncate(fd, record->size);
        return status;
    }
    record->size += length;
    return 0;
}

int ps_names_record_add(struct ps_names_record *record, int fd, const char *stem, const char *owner,
                        struct ps_error *error)
{
    off_t start = record->size;
    if (fd < 0)
        return enter(record, stem, owner, NULL, start, error);
    char *directory = realpath(record->directory, NULL);
    int status = directory ? append(record, fd, stem, owner, directory, error)
                           : fail(record, "find it", error);
    if (status == 0)
        status = enter(record, stem, owner, directory, start, error);
    free(directory);
    return status;
}

void ps_names_record_use(int fd, const struct ps_named *named)
{
    (void)set_lock(fd, F_RDLCK, named->start + 1, false);
    (void)set_lock(fd, F_UNLCK, 0, false);
}
