/* Stacks, and switches between them in user space.
 *
 * AddressSanitizer is notified when the OS thread leaves its own stack for the fibers and returns;
 * all fibers are one stack to it, so that the millions of switches between them need no
 * notification. ThreadSanitizer is notified of every switch. fiber.cpp, block.cpp and meeting.cpp
 * are compiled without sanitizers; whether their functions exist is found out when the program
 * starts. */
#ifndef EMU_FIBER_H
#define EMU_FIBER_H

#include <stddef.h>

#ifndef __x86_64__
#include <ucontext.h>
#endif

namespace emu
{

/* Memory of all stacks, each above a guard page. */
class Stacks
{
  public:
    Stacks();
    ~Stacks();
    Stacks(const Stacks &) = delete;

    void *take();

    static const size_t bytes; /* per stack */
    void *arena;
    size_t arena_bytes;

  private:
    size_t taken = 0;
};

/* A stack and its saved state. The default-constructed fiber is the OS thread's own stack. The
 * entry must not return. A fiber stays on the OS thread that first ran it. */
struct Fiber {
    Fiber() = default;
    Fiber(Stacks &stacks, void (*entry)(void *), void *argument);
    ~Fiber();
    Fiber(const Fiber &) = delete;
    Fiber &operator=(const Fiber &) = delete;

    /* Abandons what ran on it without unwinding; the next switch starts at the entry. */
    void restart();

    Stacks *stacks = nullptr;
    void (*entry)(void *) = nullptr;
    void *argument = nullptr;
    void *stack = nullptr;
    void *sanitizer = nullptr;    /* ThreadSanitizer's fiber, or AddressSanitizer's fake stack */
    const void *bottom = nullptr; /* of the OS thread's stack, after it was left */
    size_t bottom_bytes = 0;
#ifdef __x86_64__
    void *pointer = nullptr; /* stack pointer while another fiber runs */
#else
    ucontext_t context = {};
#endif
};

/* Switches from the running fiber `from` to `to`; returns when something switches back. */
void fiber_switch(Fiber &from, Fiber &to);

} // namespace emu

#endif
