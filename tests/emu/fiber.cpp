#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EMU_WEAK extern "C" __attribute__((weak))
EMU_WEAK void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t bytes);
EMU_WEAK void __sanitizer_finish_switch_fiber(void *saved, const void **bottom, size_t *bytes);
EMU_WEAK void __asan_unpoison_memory_region(const volatile void *begin, size_t bytes);
EMU_WEAK void *__tsan_get_current_fiber(void);
EMU_WEAK void *__tsan_create_fiber(unsigned flags);
EMU_WEAK void __tsan_destroy_fiber(void *fiber);
EMU_WEAK void __tsan_switch_to_fiber(void *fiber, unsigned flags);

namespace emu
{

/* Kernels use little stack; sanitizers multiply it. All stacks together must stay below 64 MiB,
 * AddressSanitizer's limit for one stack. */
const size_t Stacks::bytes = 52 << 10;
enum { MAX_FIBERS = 1024 + 8, PAGE = 4 << 10 };

Stacks::Stacks() : arena_bytes(MAX_FIBERS * (bytes + PAGE))
{
    arena = mmap(nullptr, arena_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (arena == MAP_FAILED) {
        perror("emulation: no stacks for the threads of a block");
        abort();
    }
}

Stacks::~Stacks()
{
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region(arena, arena_bytes);
    (void)munmap(arena, arena_bytes);
}

void *Stacks::take()
{
    char *guard = static_cast<char *>(arena) + taken++ * (bytes + PAGE);
    if (taken > MAX_FIBERS || mprotect(guard, PAGE, PROT_NONE))
        abort();
    return guard + PAGE;
}

/* The fibers of the current switch, for the first lines of the one that starts. */
static __thread Fiber *leaving;
static __thread Fiber *arriving;

/* Only for switches between the OS thread's stack and fibers. */
static void arrived()
{
    if (!__sanitizer_finish_switch_fiber || __tsan_switch_to_fiber ||
        !leaving->entry == !arriving->entry)
        return;
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(arriving->entry ? nullptr : arriving->sanitizer, &bottom,
                                    &bytes);
    if (!leaving->entry) {
        leaving->bottom = bottom;
        leaving->bottom_bytes = bytes;
    }
}

static void leave(Fiber &from, Fiber &to)
{
    if (__tsan_switch_to_fiber) {
        if (!from.sanitizer)
            from.sanitizer = __tsan_get_current_fiber();
        if (!to.sanitizer)
            to.sanitizer = __tsan_create_fiber(0);
        __tsan_switch_to_fiber(to.sanitizer, 0);
    } else if (__sanitizer_start_switch_fiber && !from.entry != !to.entry) {
        if (to.entry)
            __sanitizer_start_switch_fiber(&from.sanitizer, to.stacks->arena,
                                           to.stacks->arena_bytes);
        else
            __sanitizer_start_switch_fiber(nullptr, to.bottom, to.bottom_bytes);
    }
}

static void begin()
{
    arrived();
    arriving->entry(arriving->argument);
    abort();
}

#ifdef __x86_64__
/* Saves the callee-saved registers on the stack, its pointer in *save, and switches to `load`. */
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

Fiber::Fiber(Stacks &own_stacks, void (*fiber_entry)(void *), void *fiber_argument)
    : stacks(&own_stacks), entry(fiber_entry), argument(fiber_argument), stack(own_stacks.take())
{
    restart();
}

Fiber::~Fiber()
{
    if (__tsan_destroy_fiber && entry && sanitizer)
        __tsan_destroy_fiber(sanitizer);
}

void Fiber::restart()
{
    /* The abandoned frames had poisoned gaps. */
    if (__asan_unpoison_memory_region)
        __asan_unpoison_memory_region(stack, Stacks::bytes);
    if (__tsan_destroy_fiber && sanitizer)
        __tsan_destroy_fiber(sanitizer);
    sanitizer = nullptr;
#ifdef __x86_64__
    /* As a call would leave it: six registers, the entry, and no return address. */
    void **top = reinterpret_cast<void **>(static_cast<char *>(stack) + Stacks::bytes);
    top[-1] = nullptr;
    top[-2] = reinterpret_cast<void *>(begin);
    memset(top - 8, 0, 6 * sizeof *top);
    pointer = top - 8;
#else
    (void)getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = Stacks::bytes;
    context.uc_link = nullptr;
    makecontext(&context, begin, 0);
#endif
}

void fiber_switch(Fiber &from, Fiber &to)
{
    leaving = &from;
    arriving = &to;
    leave(from, to);
#ifdef __x86_64__
    emu_stack_switch(&from.pointer, to.pointer);
#else
    (void)swapcontext(&from.context, &to.context);
#endif
    arrived();
}

} // namespace emu
