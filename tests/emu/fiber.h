/* Stacks to run on, and the way from one to another without the kernel's help.
 *
 * AddressSanitizer is told when the OS thread leaves its own stack for the fibers and comes back,
 * and that all fibers are one stack: it then need not hear of every switch between them, of which
 * there are millions. ThreadSanitizer must. This file and block.cpp are built without either; the
 * sanitizers' functions are there or not when the program starts. */
#ifndef EMU_FIBER_H
#define EMU_FIBER_H

#include <stddef.h>

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace emu
{

/* Where fibers have their stacks: one after the other, each above a page that must not be touched.
 */
class Stacks
{
  public:
    Stacks();
    ~Stacks();
    Stacks(const Stacks &) = delete;

    void *take();

    static const size_t bytes; /* of a stack */
    void *arena;
    size_t arena_bytes;

  private:
    size_t taken = 0;
};

/* A stack with what is needed to go on there. Without stacks: that of the OS thread itself. The
 * entry never returns. A fiber stays on the OS thread that first ran it. */
struct Fiber {
    Fiber() = default;
    Fiber(Stacks &stacks, void (*entry)(void *), void *argument);
    ~Fiber();
    Fiber(const Fiber &) = delete;
    Fiber &operator=(const Fiber &) = delete;

    /* Forgets what ran on it: the next switch begins at the entry. Nothing is unwound. */
    void restart();

    Stacks *stacks = nullptr;
    void (*entry)(void *) = nullptr;
    void *argument = nullptr;
    void *stack = nullptr;
    void *sanitizer = nullptr;    /* ThreadSanitizer's fiber, or AddressSanitizer's fake stack */
    const void *bottom = nullptr; /* of the OS thread's stack, once it was left */
    size_t bottom_bytes = 0;
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
