/* Makes the N-th call of a system function fail (preload.h), with PS_FAULT_ERRNO. PS_FAULT_CALL
 * names the function; open64() and the like count as open(). PS_FAULT_CALL=list prints the names in
 * the order of the counters, and ends the process. */
#include "preload.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>

/* In the order of the counters, alphabetically. */
/* clang-format off */
#define CALLS(X) \
    X(accept) X(accept4) X(bind) X(connect) X(epoll_create1) X(epoll_ctl) X(eventfd) \
    X(fclose) X(fdatasync) X(fdopendir) X(fflush) X(flock) X(fopen) X(fstat) X(fstatat) \
    X(fsync) X(ftruncate) X(getrandom) X(inotify_add_watch) X(inotify_init1) X(listen) \
    X(lseek) X(lstat) X(mkdir) X(mmap) X(open) X(openat) X(opendir) X(pread) \
    X(pthread_create) X(pwrite) X(read) X(readdir) X(renameat) X(sendmsg) X(sendto) \
    X(setxattr) X(signalfd) X(socket) X(stat) X(statfs) X(timerfd_create) X(unlink) \
    X(unlinkat) X(write)
/* clang-format on */

enum call {
#define X(name) CALL_##name,
    CALLS(X)
#undef X
        CALL_COUNT
};
_Static_assert((int)CALL_COUNT <= (int)MAX_KINDS, "a counter for each");

static const char *const call_names[] = {
#define X(name) #name,
    CALLS(X)
#undef X
};

static int chosen = -1, fault_errno;

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("PS_FAULT_CALL");
    if (name && strcmp(name, "list") == 0) {
        for (int i = 0; i < CALL_COUNT; i++)
            puts(call_names[i]);
        (fflush)(stdout);
        _exit(0);
    }
    for (int i = 0; name && i < CALL_COUNT; i++)
        if (strcmp(name, call_names[i]) == 0)
            chosen = i;
    fault_errno = (int)number_of("PS_FAULT_ERRNO", EIO);
    preload_begin();
}

static bool fails(enum call call)
{
    if (!preload_fails(call, (int)call == chosen))
        return false;
    errno = fault_errno;
    return true;
}

/* A function `name` of the C library that counts as `call`. */
#define STAND_IN(type, failed, call, name, parameters, arguments)                                  \
    type name parameters                                                                           \
    {                                                                                              \
        static type(*real) parameters;                                                             \
        if (!real)                                                                                 \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                             \
        return fails(CALL_##call) ? (failed) : real arguments;                                     \
    }

/* open() and openat() have a mode only if they create. */
#define STAND_IN_OPEN(name)                                                                        \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        return fails(CALL_open) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);      \
    }

#define STAND_IN_OPENAT(name)                                                                      \
    int name(int directory, const char *path, int flags, ...)                                      \
    {                                                                                              \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                    \
        va_end(rest);                                                                              \
        return fails(CALL_openat) ? -1 : (int)syscall(SYS_openat, directory, path, flags, mode);   \
    }

/* clang-format off */
STAND_IN_OPEN(open)
STAND_IN_OPEN(open64)
STAND_IN_OPENAT(openat)
STAND_IN_OPENAT(openat64)
STAND_IN(FILE *, NULL, fopen, fopen, (const char *path, const char *mode), (path, mode))
STAND_IN(FILE *, NULL, fopen, fopen64, (const char *path, const char *mode), (path, mode))
STAND_IN(int, EOF, fflush, fflush, (FILE *stream), (stream))
STAND_IN(ssize_t, -1, read, read, (int fd, void *to, size_t size), (fd, to, size))
STAND_IN(ssize_t, -1, pread, pread, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
STAND_IN(ssize_t, -1, pread, pread64, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
STAND_IN(ssize_t, -1, write, write, (int fd, const void *from, size_t size), (fd, from, size))
STAND_IN(ssize_t, -1, pwrite, pwrite, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
STAND_IN(ssize_t, -1, pwrite, pwrite64, (int fd, const void *from, size_t size, off_t at), (fd, from, size, at))
STAND_IN(int, -1, fsync, fsync, (int fd), (fd))
STAND_IN(int, -1, fdatasync, fdatasync, (int fd), (fd))
STAND_IN(int, -1, ftruncate, ftruncate, (int fd, off_t length), (fd, length))
STAND_IN(int, -1, ftruncate, ftruncate64, (int fd, off_t length), (fd, length))
STAND_IN(off_t, -1, lseek, lseek, (int fd, off_t at, int whence), (fd, at, whence))
STAND_IN(int, -1, renameat, renameat, (int from, const char *old, int to, const char *name), (from, old, to, name))
STAND_IN(int, -1, unlink, unlink, (const char *path), (path))
STAND_IN(int, -1, unlinkat, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
STAND_IN(int, -1, mkdir, mkdir, (const char *path, mode_t mode), (path, mode))
STAND_IN(void *, MAP_FAILED, mmap, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset), (at, size, protection, flags, fd, offset))
STAND_IN(void *, MAP_FAILED, mmap, mmap64, (void *at, size_t size, int protection, int flags, int fd, off_t offset), (at, size, protection, flags, fd, offset))
STAND_IN(int, -1, stat, stat, (const char *path, struct stat *to), (path, to))
STAND_IN(int, -1, stat, stat64, (const char *path, struct stat64 *to), (path, to))
STAND_IN(int, -1, lstat, lstat, (const char *path, struct stat *to), (path, to))
STAND_IN(int, -1, lstat, lstat64, (const char *path, struct stat64 *to), (path, to))
STAND_IN(int, -1, fstat, fstat, (int fd, struct stat *to), (fd, to))
STAND_IN(int, -1, fstat, fstat64, (int fd, struct stat64 *to), (fd, to))
STAND_IN(int, -1, fstatat, fstatat, (int fd, const char *path, struct stat *to, int flags), (fd, path, to, flags))
STAND_IN(int, -1, statfs, statfs, (const char *path, struct statfs *to), (path, to))
STAND_IN(int, -1, setxattr, setxattr, (const char *path, const char *name, const void *value, size_t size, int flags), (path, name, value, size, flags))
STAND_IN(DIR *, NULL, opendir, opendir, (const char *path), (path))
STAND_IN(DIR *, NULL, fdopendir, fdopendir, (int fd), (fd))
STAND_IN(struct dirent *, NULL, readdir, readdir, (DIR *directory), (directory))
STAND_IN(int, -1, flock, flock, (int fd, int operation), (fd, operation))
STAND_IN(ssize_t, -1, getrandom, getrandom, (void *to, size_t size, unsigned flags), (to, size, flags))
STAND_IN(int, -1, accept, accept, (int fd, struct sockaddr *address, socklen_t *size), (fd, address, size))
STAND_IN(int, -1, accept4, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags))
STAND_IN(int, -1, bind, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
STAND_IN(int, -1, connect, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
STAND_IN(int, -1, listen, listen, (int fd, int backlog), (fd, backlog))
STAND_IN(int, -1, socket, socket, (int domain, int type, int protocol), (domain, type, protocol))
STAND_IN(ssize_t, -1, sendmsg, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
STAND_IN(ssize_t, -1, sendto, sendto, (int fd, const void *from, size_t size, int flags, const struct sockaddr *to, socklen_t length), (fd, from, size, flags, to, length))
STAND_IN(int, -1, epoll_create1, epoll_create1, (int flags), (flags))
STAND_IN(int, -1, epoll_ctl, epoll_ctl, (int set, int operation, int fd, struct epoll_event *event), (set, operation, fd, event))
STAND_IN(int, -1, eventfd, eventfd, (unsigned value, int flags), (value, flags))
STAND_IN(int, -1, signalfd, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
STAND_IN(int, -1, timerfd_create, timerfd_create, (int clock, int flags), (clock, flags))
STAND_IN(int, -1, inotify_init1, inotify_init1, (int flags), (flags))
STAND_IN(int, -1, inotify_add_watch, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
STAND_IN(int, fault_errno, pthread_create, pthread_create, (pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *argument), (thread, attributes, function, argument))
/* clang-format on */

/* The stream is gone even if its last write failed. */
int fclose(FILE *stream)
{
    static int (*real)(FILE *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fclose");
    bool failed = fails(CALL_fclose);
    int status = real(stream);
    if (failed)
        errno = fault_errno;
    return failed ? EOF : status;
}
