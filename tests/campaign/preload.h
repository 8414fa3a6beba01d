/* What the libraries for LD_PRELOAD share: a page of counters that the campaign reads even from a
 * process that crashed, and the decision which call fails.
 *
 *     PS_FAULT_PAGE    file of the counters; without it nothing fails
 *     PS_FAULT_NUMBER  the first call that fails, from 1; 0: none, they are only counted
 *     PS_FAULT_COUNT   how many fail from there on (default 1)
 *     PS_FAULT_TRACE   file for the stack of the first one that fails
 */
#ifndef PS_CAMPAIGN_PRELOAD_H
#define PS_CAMPAIGN_PRELOAD_H

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_KINDS = 64, MAX_FRAMES = 40 };

/* Native byte order. */
struct fault_page {
    _Atomic uint64_t calls[MAX_KINDS]; /* of each kind */
    _Atomic uint64_t failed;           /* that were made to fail */
};

static struct fault_page *page;
static uint64_t fault_number, fault_count = 1;
static const char *fault_trace;

static uint64_t number_of(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

/* By system calls, because the library can stand in for their functions. The first backtrace()
 * loads a library, which must not happen within a call that fails. */
static void preload_begin(void)
{
    void *frames[MAX_FRAMES];
    (void)backtrace(frames, MAX_FRAMES);
    const char *path = getenv("PS_FAULT_PAGE");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    if (fd < 0)
        return;
    fault_number = number_of("PS_FAULT_NUMBER", 0);
    fault_count = number_of("PS_FAULT_COUNT", 1);
    fault_trace = getenv("PS_FAULT_TRACE");
    void *at =
        (void *)syscall(SYS_mmap, NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (at != MAP_FAILED)
        page = at;
}

/* Libraries that end the process by design, or crash, where memory or descriptors are short within
 * them, and a function of glibc that crashes then. */
static const char *const spared[] = {"libzmq", "libfftw3", "libsvm"};
static const char spared_function[] = "fts64_open";

static bool within_spared(void *const *frames, int count)
{
    for (int i = 0; i < count; i++) {
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname)
            continue;
        if (info.dli_sname && strcmp(info.dli_sname, spared_function) == 0)
            return true;
        for (size_t k = 0; k < sizeof spared / sizeof *spared; k++)
            if (strstr(info.dli_fname, spared[k]))
                return true;
    }
    return false;
}

static void write_trace(void *const *frames, int count)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, fault_trace, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    backtrace_symbols_fd(frames, count, fd); /* without malloc() */
    syscall(SYS_close, fd);
}

/* Counts a call of a kind, and returns whether it is to fail. */
static bool preload_fails(int kind, bool chosen)
{
    static _Thread_local bool busy;
    if (!page || busy)
        return false;
    uint64_t call = 1 + atomic_fetch_add(&page->calls[kind], 1);
    if (!chosen || fault_number == 0 || call < fault_number)
        return false;
    if (atomic_load(&page->failed) >= fault_count)
        return false;
    busy = true;
    void *frames[MAX_FRAMES];
    int count = backtrace(frames, MAX_FRAMES);
    bool fails = !within_spared(frames, count) && atomic_fetch_add(&page->failed, 1) < fault_count;
    if (fails && fault_trace && atomic_load(&page->failed) == 1)
        write_trace(frames, count);
    busy = false;
    return fails;
}

#endif
