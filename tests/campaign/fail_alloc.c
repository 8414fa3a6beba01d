/* Makes the N-th allocation of a process fail (preload.h). strdup(), asprintf(), fopen() and all of
 * libstdc++ allocate through these functions too. */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

/* Exported by glibc for those that stand in for malloc(): no dlsym(), which allocates. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

/* Before main() run the dynamic linker and constructors: CUDA's runtime, which a build with nvcc
 * has in it, does not check its allocations there. */
static bool ready;
static int (*program)(int argc, char **argv, char **environment);

static int begin(int argc, char **argv, char **environment)
{
    preload_begin();
    ready = true;
    return program(argc, argv, environment);
}

/* Stands in for glibc's, which calls main(). */
int __libc_start_main(int (*entry)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end);
int __libc_start_main(int (*entry)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end)
{
    __typeof__(&__libc_start_main) start =
        (__typeof__(&__libc_start_main))dlsym(RTLD_NEXT, "__libc_start_main");
    program = entry;
    return start(begin, argc, argv, init, fini, rtld_fini, stack_end);
}

static bool fails(void)
{
    if (!ready || !preload_fails(0, true))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return size && fails() ? NULL : __libc_realloc(old, size);
}

void *reallocarray(void *old, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

void *memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    if (fails())
        return ENOMEM;
    void *memory = __libc_memalign(alignment, size);
    if (!memory)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}
