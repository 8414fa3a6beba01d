/* Runs the threads of a block as fibers. Most threads need no fiber of their own: a fiber runs one
 * thread after the other, from block to block, until a thread must wait. That thread keeps the
 * fiber, and another fiber continues with the next thread. So a kernel without barriers is a loop.
 *
 *     thread 0 waits at the barrier -> it keeps fiber 0; fiber 1 starts thread 1, which waits, ...
 *     the last thread reaches it    -> all are ready and continue one after the other
 *
 * The next to run is a ready thread, else one that has not started. If there is neither and some
 * threads wait, they never continue: the kernel is aborted with a report. */
#include "machine.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <stdlib.h>
#include <vector>

__thread struct emu_place emu_place;

namespace emu
{

static std::atomic<Order> chosen_order{Order::forward};
static std::atomic<uint64_t> seed{0};

void set_order(Order order, unsigned long new_seed)
{
    chosen_order = order;
    seed = new_seed;
}

__thread Machine *machine;

bool run_grid(const emu_launch &launch, std::string *report)
{
    static thread_local std::unique_ptr<Machine> owner;
    if (!owner) {
        owner = std::make_unique<Machine>();
        machine = owner.get();
    }
    return machine->run(launch, report);
}

bool Machine::run(const emu_launch &what, std::string *report)
{
    launch = &what;
    order = chosen_order;
    random.state = seed;
    report->clear();
    problem = report;
    void *shared = nullptr;
    if (what.shared_bytes && posix_memalign(&shared, 256, what.shared_bytes))
        abort();
    emu_place.block_size = what.block;
    emu_place.grid_size = what.grid;
    emu_place.shared = shared;
    uint64_t count = (uint64_t)what.grid.x * what.grid.y * what.grid.z;
    blocks.start(count, order, random);
    begin_block();
    fiber_switch(outside, *idle_fiber());
    free(shared);
    if (report->empty())
        return true;
    idle.clear();
    for (auto &fiber : fibers) {
        fiber->restart();
        idle.push_back(fiber.get());
    }
    return false;
}

static uint3 split(uint64_t number, const dim3 &size)
{
    if (size.y == 1 && size.z == 1)
        return uint3{(unsigned)number, 0, 0};
    uint64_t row = number / size.x;
    return uint3{(unsigned)(number % size.x), (unsigned)(row % size.y), (unsigned)(row / size.y)};
}

void Machine::begin_block()
{
    const dim3 &size = launch->block;
    emu_place.block = split(blocks.next(), launch->grid);
    living = (size_t)size.x * size.y * size.z;
    unstarted.start(living, order, random);
    for (size_t first = 0; first < living; first += WARP) {
        size_t lanes = std::min<size_t>(living - first, WARP);
        warps[first / WARP] = {lanes == WARP ? ~0U : (1U << lanes) - 1, 0};
    }
    ready_first = ready_end = 0;
    at_barrier.clear();
    voted = false;
    if (launch->shared_bytes)
        memset(emu_place.shared, 0xff, launch->shared_bytes);
}

/* ---- fibers ----------------------------------------------------------------------------------
 */

void Machine::loop(void *self)
{
    Machine *machine = static_cast<Machine *>(self);
    Fiber *fiber = machine->idle.back();
    machine->idle.pop_back();
    machine->schedule(*fiber);
}

/* A fiber in the list removes itself when something switches to it. */
Fiber *Machine::idle_fiber()
{
    if (idle.empty()) {
        fibers.push_back(std::make_unique<Fiber>(stacks, loop, this));
        idle.push_back(fibers.back().get());
    }
    return idle.back();
}

inline Thread *Machine::next_ready()
{
    return ready_first == ready_end ? nullptr : ready[ready_first++ % MAX_THREADS];
}

/* Main loop of a fiber. */
void Machine::schedule(Fiber &fiber)
{
    for (;;) {
        Fiber *other = nullptr;
        if (Thread *thread = next_ready())
            other = thread->fiber;
        else if (unstarted.left)
            run_thread(fiber);
        else if (living)
            give_up_waiting();
        else if (blocks.left)
            begin_block();
        else
            other = &outside;
        if (other) {
            idle.push_back(&fiber);
            fiber_switch(fiber, *other);
            idle.pop_back();
        }
    }
}

void Machine::run_thread(Fiber &fiber)
{
    int number = (int)unstarted.next();
    Thread &thread = threads[number];
    thread.state = State::running;
    thread.number = number;
    thread.fiber = &fiber;
    thread.index = emu_place.thread = split((uint64_t)number, launch->block);
    current = &thread;
    launch->run(launch->call);
    end_thread();
}

void Machine::end_thread()
{
    Thread &thread = *current;
    thread.state = State::ended;
    living--;
    if (!at_barrier.empty() && at_barrier.size() == living)
        release_barrier();
    Warp &warp = warps[thread.number / WARP];
    warp.alive &= ~(1U << thread.number % WARP);
    int first = thread.number / WARP * WARP;
    for (unsigned left = warp.waiting; left; left &= left - 1)
        (void)complete(warp, threads[first + __builtin_ctz(left)]);
}

/* Suspends the current thread until it is ready. */
void Machine::wait()
{
    Thread *self = current;
    Thread *thread = next_ready();
    if (!thread && !unstarted.left)
        give_up_waiting();
    if (thread != self)
        fiber_switch(*self->fiber, thread ? *thread->fiber : *idle_fiber());
    current = self;
    self->state = State::running;
    emu_place.thread = self->index;
}

} // namespace emu
