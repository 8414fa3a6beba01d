#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emu
{

/* Kernels keep little on the stack; sanitizers make frames several times as large. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || !defined __OPTIMIZE__
static const size_t STACK_BYTES = 256 << 10;
#else
static const size_t STACK_BYTES = 64 << 10;
#endif

/* The fiber that is left and the one that is begun, for the first lines of the latter. */
static __thread Fiber *leaving;
static __thread Fiber *arriving;

static void arrived()
{
#ifdef __SANITIZE_ADDRESS__
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(arriving->sanitizer, &bottom, &bytes);
    if (!leaving->entry) {
        leaving->stack = const_cast<void *>(bottom);
        leaving->stack_bytes = bytes;
    }
#endif
}

static void begin()
{
    arrived();
    arriving->entry(arriving->argument);
    abort();
}

#ifdef __x86_64__
/* Saves what a call must preserve on the stack and the stack's pointer in *save. */
extern "C" void emu_stack_switch(void **save, void *load);
asm(R"(
    .text
    .type emu_stack_switch, @function
emu_stack_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size emu_stack_switch, .-emu_stack_switch
)");
#endif

Fiber::Fiber(void (*fiber_entry)(void *), void *fiber_argument)
    : entry(fiber_entry), argument(fiber_argument), stack_bytes(STACK_BYTES)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    mapping = mmap(nullptr, page + stack_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, page, PROT_NONE)) {
        perror("emulation: no stack for a thread of a block");
        abort();
    }
    stack = static_cast<char *>(mapping) + page;
    restart();
}

Fiber::~Fiber()
{
    if (mapping) {
#ifdef __SANITIZE_ADDRESS__
        __asan_unpoison_memory_region(stack, stack_bytes);
#endif
        (void)munmap(mapping, (size_t)sysconf(_SC_PAGESIZE) + stack_bytes);
    }
}

void Fiber::restart()
{
    sanitizer = nullptr;
#ifdef __SANITIZE_ADDRESS__
    /* What was left there had its frames' gaps poisoned. */
    __asan_unpoison_memory_region(stack, stack_bytes);
#endif
#ifdef __x86_64__
    /* Six registers, where to go, and nowhere to return to: as a call would have left it. */
    void **top = reinterpret_cast<void **>(static_cast<char *>(stack) + stack_bytes);
    top[-1] = nullptr;
    top[-2] = reinterpret_cast<void *>(begin);
    memset(top - 8, 0, 6 * sizeof *top);
    pointer = top - 8;
#else
    (void)getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = stack_bytes;
    context.uc_link = nullptr;
    makecontext(&context, begin, 0);
#endif
}

void fiber_switch(Fiber &from, Fiber &to)
{
    leaving = &from;
    arriving = &to;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from.sanitizer, to.stack, to.stack_bytes);
#endif
#ifdef __x86_64__
    emu_stack_switch(&from.pointer, to.pointer);
#else
    (void)swapcontext(&from.context, &to.context);
#endif
    arrived();
}

} // namespace emu
