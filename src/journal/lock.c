#include "journal/lock.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opens DIRECTORY/lock; -1 with errno on failure. */
static int open_lock(const char *directory, int flags)
{
    char *path;
    if (asprintf(&path, "%s/lock", directory) < 0) {
        errno = ENOMEM;
        return -1;
    }
    int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0644);
    int code = errno;
    free(path);
    errno = code;
    return fd;
}

/* The process number in the file; -1 if none is written yet. */
static int read_number(int fd)
{
    char text[PS_NUMBER_TEXT];
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    if (length <= 0 || text[length - 1] != '\n')
        return -1;
    text[length - 1] = '\0';
    int64_t number;
    return ps_text_to_int(text, 1, INT_MAX, &number) ? (int)number : -1;
}

static bool write_number(int fd)
{
    char text[PS_NUMBER_TEXT];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length;
}

int ps_lock_take(const char *directory, int *ret_fd, struct ps_error *error)
{
    int fd = open_lock(directory, O_RDWR | O_CREAT);
    if (fd < 0)
        return ps_fail(error, PS_E_SYSTEM, "%s: cannot lock the state directory: %s", directory,
                       strerror(errno));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        if (write_number(fd)) {
            *ret_fd = fd;
            return 0;
        }
        ps_error_set(error, PS_E_SYSTEM, "%s: cannot write to the state directory: %s", directory,
                     strerror(errno));
    } else if (errno == EAGAIN || errno == EACCES) {
        int holder = read_number(fd);
        if (holder > 0)
            ps_error_set(error, PS_E_SYSTEM, "%s: in use by another pickstream, process %d",
                         directory, holder);
        else
            ps_error_set(error, PS_E_SYSTEM, "%s: in use by another pickstream", directory);
    } else {
        ps_error_set(error, PS_E_SYSTEM, "%s: cannot lock the state directory: %s", directory,
                     strerror(errno));
    }
    (void)close(fd);
    return PS_E_SYSTEM;
}

/* True if DIRECTORY/lock is the locked file, or that cannot be known now. */
static bool is_current(const char *directory, int fd)
{
    struct stat own, other;
    char *path;
    if (fstat(fd, &own) != 0 || asprintf(&path, "%s/lock", directory) < 0)
        return true;
    bool found = stat(path, &other) == 0;
    bool current =
        found ? own.st_dev == other.st_dev && own.st_ino == other.st_ino : errno != ENOENT;
    free(path);
    return current;
}

int ps_lock_keep(const char *directory, int *fd, struct ps_error *error)
{
    if (is_current(directory, *fd))
        return 0;
    int fresh;
    int status = ps_lock_take(directory, &fresh, error);
    if (status)
        return status;
    (void)close(*fd);
    *fd = fresh;
    return 0;
}

void ps_lock_release(int fd)
{
    if (fd < 0)
        return;
    (void)!ftruncate(fd, 0);
    (void)close(fd);
}

int ps_lock_holder(const char *directory)
{
    int fd = open_lock(directory, O_RDONLY);
    if (fd < 0)
        return 0;
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    int holder = 0;
    if (fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        holder = read_number(fd);
    (void)close(fd);
    return holder;
}
