#include "base/temporary.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define PREFIX ".pickstream-"
#define SUFFIX ".tmp"

static const time_t MAX_AGE_SECONDS = 24 * 60 * 60; /* of a file whose process is not known */

/* ---- names ------------------------------------------------------------------------------------
 */

/* The numbers in a name. */
struct maker {
    uint32_t host;
    uint32_t pid;
    uint32_t process;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct maker this_process; /* without pid: a child has another one */

static uint32_t hash(uint32_t state, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        state = (state ^ at[i]) * 16777619u; /* FNV-1a */
    return state;
}

static void find_this_process(void)
{
    struct utsname system;
    struct stat namespace;
    uint32_t host = 2166136261u;
    if (uname(&system) == 0)
        host = hash(host, system.nodename, strlen(system.nodename));
    if (stat("/proc/self/ns/pid", &namespace) == 0)
        host = hash(host, &namespace.st_ino, sizeof namespace.st_ino);
    this_process.host = host;
    (void)!getrandom(&this_process.process, sizeof this_process.process, 0);
}

bool ps_temporary_name(char ret_name[PS_TEMPORARY_NAME])
{
    uint32_t number = 0;
    (void)pthread_once(&once, find_this_process);
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return false;
    (void)snprintf(ret_name, PS_TEMPORARY_NAME, PREFIX "%08x-%x-%08x-%08x" SUFFIX,
                   this_process.host, (unsigned)getpid(), this_process.process, number);
    return true;
}

/* ---- cleaning ---------------------------------------------------------------------------------
 */

/* False: a name of an earlier version. */
static bool read_name(const char *name, struct maker *ret)
{
    unsigned host, pid, process, number;
    int length = 0;
    if (sscanf(name, PREFIX "%8x-%8x-%8x-%8x" SUFFIX "%n", &host, &pid, &process, &number,
               &length) != 4 ||
        length == 0 || name[length])
        return false;
    *ret = (struct maker){host, pid, process};
    return true;
}

/* True if the process that made the file has ended, or is unknown and did not write for a day. */
static bool is_left_over(int directory, const char *name)
{
    struct maker maker;
    struct stat info;
    if (read_name(name, &maker) && maker.host == this_process.host) {
        if (maker.pid == (uint32_t)getpid())
            return maker.process != this_process.process;
        if (maker.pid > 0 && maker.pid <= INT32_MAX && kill((pid_t)maker.pid, 0) != 0 &&
            errno == ESRCH)
            return true;
    }
    return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
           time(NULL) - info.st_mtime > MAX_AGE_SECONDS;
}

static void remove_left_over(int parent)
{
    const int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (!stream) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        const char *name = entry->d_name;
        if (strncmp(name, PREFIX, strlen(PREFIX)) == 0 && ps_text_ends_with(name, SUFFIX) &&
            is_left_over(parent, name))
            (void)unlinkat(parent, name, 0);
    }
    (void)closedir(stream);
}

/* ---- once for each directory -------------------------------------------------------------------
 */

struct place {
    dev_t device;
    ino_t inode;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `cleaned` */
static void *cleaned;                                    /* of struct place */

static int by_place(const void *a, const void *b)
{
    const struct place *left = a, *right = b;
    if (left->device != right->device)
        return left->device < right->device ? -1 : 1;
    return (left->inode > right->inode) - (left->inode < right->inode);
}

/* True the first time. */
static bool enter(int directory)
{
    struct stat info;
    struct place *place = fstat(directory, &info) == 0 ? malloc(sizeof *place) : NULL;
    if (!place)
        return false;
    *place = (struct place){info.st_dev, info.st_ino};
    pthread_mutex_lock(&lock);
    struct place **found = tsearch(place, &cleaned, by_place);
    const bool first = found && *found == place;
    pthread_mutex_unlock(&lock);
    if (!first)
        free(place);
    return first;
}

void ps_temporary_clean(int directory)
{
    (void)pthread_once(&once, find_this_process);
    if (enter(directory))
        remove_left_over(directory);
}
