/* Stacks to run on, and the way from one to another without the kernel's help. */
#ifndef EMU_FIBER_H
#define EMU_FIBER_H

#include <stddef.h>

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace emu
{

/* A stack with what is needed to go on there. Without an entry: the stack of the OS thread itself.
 * The entry never returns. A fiber stays on the OS thread that first ran it. */
struct Fiber {
    Fiber() = default;
    Fiber(void (*entry)(void *), void *argument);
    ~Fiber();
    Fiber(const Fiber &) = delete;
    Fiber &operator=(const Fiber &) = delete;

    /* Forgets what ran on it: the next switch begins at the entry. Nothing is unwound. */
    void restart();

    void (*entry)(void *) = nullptr;
    void *argument = nullptr;
    void *mapping = nullptr; /* guard page, then the stack */
    void *stack = nullptr;
    size_t stack_bytes = 0;
    void *sanitizer = nullptr; /* AddressSanitizer: the fake stack */
#ifdef __x86_64__
    void *pointer = nullptr; /* of the stack, while another one runs */
#else
    ucontext_t context = {};
#endif
};

/* Leaves `from`, which runs, for `to`; returns when something switches back. */
void fiber_switch(Fiber &from, Fiber &to);

} // namespace emu

#endif
