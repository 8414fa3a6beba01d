/* Runs the threads of a block as fibers. Most threads need no fiber of their own: a fiber runs one
 * thread after the other, from block to block, until a thread must wait. That thread keeps the
 * fiber, and another fiber continues with the next thread. So a kernel without barriers is a loop.
 *
 *     thread 0 waits at the barrier -> it keeps fiber 0; fiber 1 starts thread 1, which waits, ...
 *     the last thread reaches it    -> all are ready and continue one after the other
 *
 * The next to run is a ready thread, else one that has not started. If there is neither and some
 * threads wait, they wait for ever: the kernel is aborted with a report. */
#include "block.h"

#include "fiber.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <stdarg.h>
#include <stdio.h>
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

/* ---- orders ----------------------------------------------------------------------------------
 */

struct Random {
    uint64_t state;

    uint64_t next() /* splitmix64 */
    {
        uint64_t z = state += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
};

/* The numbers 0 to count - 1, each once, in steps that have no factor in common with count. */
struct Sequence {
    uint64_t count = 0;
    uint64_t step = 1;
    uint64_t position = 0;
    uint64_t left = 0;

    void start(uint64_t new_count, Order order, Random &random)
    {
        count = left = new_count;
        step = 1;
        position = 0;
        if (count < 2 || order == Order::forward)
            return;
        step = position = count - 1;
        if (order == Order::random) {
            position = random.next() % count;
            do
                step = 1 + random.next() % (count - 1);
            while (std::gcd(step, count) != 1);
        }
    }
    uint64_t next()
    {
        uint64_t number = position;
        position += step;
        if (position >= count)
            position -= count;
        left--;
        return number;
    }
};

/* ---- a block ---------------------------------------------------------------------------------
 */

enum class State { running, at_barrier, in_warp, ended };

struct Thread {
    State state;
    int number;
    uint3 index;
    Fiber *fiber;
    const emu_line *line; /* line at which it waits */
    unsigned mask;        /* lanes that it waits for */
    int source;           /* lane whose value it reads */
    bool vote;
    unsigned long long value;
    unsigned long long result; /* value of the source */
    unsigned votes;            /* lanes that voted yes */
};

struct Warp {
    unsigned alive; /* lanes that have not ended */
    unsigned waiting;
};

enum { WARP = 32, MAX_THREADS = 1024 };

class Machine
{
  public:
    bool run(const emu_launch &launch, std::string *report);
    bool barrier(const emu_line *line, bool vote);
    void meet(const emu_line *line, unsigned mask, bool vote, unsigned long long value, int source);

    Thread *current = nullptr;

  private:
    const emu_launch *launch = nullptr;
    Order order = Order::forward;
    Random random = {0};
    Sequence blocks;
    Sequence unstarted;
    Thread threads[MAX_THREADS];
    Warp warps[MAX_THREADS / WARP];
    Thread *ready[MAX_THREADS]; /* ring buffer; a thread is in it at most once */
    unsigned ready_first = 0;
    unsigned ready_end = 0;
    std::vector<Thread *> at_barrier;
    size_t living = 0;
    bool voted = false;  /* by any thread at the barrier */
    bool result = false; /* of the barrier before */
    std::string *problem = nullptr;

    Fiber outside;
    Stacks stacks;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber *> idle;

    static void loop(void *self);
    void schedule(Fiber &fiber);
    void begin_block();
    void run_thread(Fiber &fiber);
    void end_thread();
    void wait();
    Fiber *idle_fiber();
    Thread *next_ready();
    void release_barrier();
    bool complete(Warp &warp, const Thread &asking);
    void make_ready(Thread *const *list, size_t count);
    [[noreturn]] void give_up(const Thread &thread, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
    [[noreturn]] void give_up_waiting();
};

/* Created by the OS thread's first kernel. */
static __thread Machine *machine;

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

inline void Machine::make_ready(Thread *const *list, size_t count)
{
    unsigned first = ready_end;
    for (size_t i = 0; i < count; i++)
        ready[ready_end++ % MAX_THREADS] = list[i];
    if (order == Order::random)
        for (unsigned i = (unsigned)count; i > 1; i--)
            std::swap(ready[(first + i - 1) % MAX_THREADS],
                      ready[(first + random.next() % i) % MAX_THREADS]);
}

/* ---- barriers --------------------------------------------------------------------------------
 */

static bool same_line(const emu_line *a, const emu_line *b)
{
    return a == b ||
           (a->line == b->line && strcmp(a->what, b->what) == 0 && strcmp(a->file, b->file) == 0);
}

void Machine::release_barrier()
{
    result = voted;
    voted = false;
    make_ready(at_barrier.data(), at_barrier.size());
    at_barrier.clear();
}

bool Machine::barrier(const emu_line *line, bool vote)
{
    if (!at_barrier.empty() && !same_line(at_barrier[0]->line, line)) {
        const Thread &other = *at_barrier[0];
        give_up(*current, "at %s of %s:%d, while thread (%u, %u, %u) is at %s of line %d",
                line->what, line->file, line->line, other.index.x, other.index.y, other.index.z,
                other.line->what, other.line->line);
    }
    current->state = State::at_barrier;
    current->line = line;
    at_barrier.push_back(current);
    voted |= vote;
    if (at_barrier.size() == living)
        release_barrier();
    wait();
    return result;
}

/* ---- warps -----------------------------------------------------------------------------------
 */

/* Releases the lanes that `asking` waits for, if all of them wait for each other. */
bool Machine::complete(Warp &warp, const Thread &asking)
{
    unsigned lanes = asking.mask & warp.alive;
    if ((warp.waiting & lanes) != lanes)
        return false;
    Thread *warp_threads = threads + asking.number / WARP * WARP;
    Thread *met[WARP];
    size_t count = 0;
    unsigned yes = 0;
    for (unsigned left = lanes; left; left &= left - 1) {
        Thread &thread = warp_threads[__builtin_ctz(left)];
        if (thread.mask != asking.mask || !same_line(thread.line, asking.line))
            return false;
        yes |= thread.vote ? left & -left : 0;
        met[count++] = &thread;
    }
    for (size_t i = 0; i < count; i++) {
        int source = met[i]->source < 0 ? met[i]->number % WARP : met[i]->source;
        if (!(lanes >> source & 1))
            give_up(*met[i], "%s of %s:%d reads lane %d, which %s", asking.line->what,
                    asking.line->file, asking.line->line, source,
                    asking.mask >> source & 1 ? "has ended or does not exist"
                                              : "is not in the mask");
        met[i]->result = warp_threads[source].value;
        met[i]->votes = yes;
    }
    warp.waiting &= ~lanes;
    make_ready(met, count);
    return true;
}

void Machine::meet(const emu_line *line, unsigned mask, bool vote, unsigned long long value,
                   int source)
{
    Thread &self = *current;
    unsigned lane = 1U << self.number % WARP;
    if (!(mask & lane))
        give_up(self, "%s of %s:%d: not in its own mask %#x", line->what, line->file, line->line,
                mask);
    self.state = State::in_warp;
    self.line = line;
    self.mask = mask;
    self.vote = vote;
    self.value = value;
    self.source = source;
    Warp &warp = warps[self.number / WARP];
    warp.waiting |= lane;
    (void)complete(warp, self);
    wait();
}

/* ---- reports ---------------------------------------------------------------------------------
 */

void Machine::give_up(const Thread &thread, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    char text[1024];
    (void)snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): %s",
                   launch->name, emu_place.block.x, emu_place.block.y, emu_place.block.z,
                   thread.index.x, thread.index.y, thread.index.z, reason);
    *problem = text;
    fiber_switch(*current->fiber, outside);
    abort();
}

/* No thread can continue: reports one that waits, and one that it waits for. */
void Machine::give_up_waiting()
{
    const Thread *first = threads;
    const Thread *last = first + (size_t)launch->block.x * launch->block.y * launch->block.z;
    const Thread *waiting =
        std::find_if(first, last, [](const Thread &t) { return t.state != State::ended; });
    const Thread *other = std::find_if(first, last, [&](const Thread &t) {
        if (waiting->state == State::at_barrier)
            return t.state == State::in_warp;
        return t.state != State::ended && t.number / WARP == waiting->number / WARP &&
               waiting->mask >> t.number % WARP & 1 &&
               (t.state != State::in_warp || !same_line(t.line, waiting->line) ||
                t.mask != waiting->mask);
    });
    if (waiting == last || other == last)
        abort();
    give_up(*waiting,
            "waits in %s of %s:%d for thread (%u, %u, %u), which waits in %s of line %d%s",
            waiting->line->what, waiting->line->file, waiting->line->line, other->index.x,
            other->index.y, other->index.z, other->line->what, other->line->line,
            same_line(waiting->line, other->line) ? " with another mask" : "");
}

} // namespace emu

bool emu_barrier(const emu_line *line, bool vote)
{
    return emu::machine->barrier(line, vote);
}

unsigned long long emu_exchange(const emu_line *line, unsigned mask, unsigned long long value,
                                int source)
{
    emu::machine->meet(line, mask, false, value, source);
    return emu::machine->current->result;
}

unsigned emu_vote(const emu_line *line, unsigned mask, bool vote)
{
    emu::machine->meet(line, mask, vote, 0, -1);
    return emu::machine->current->votes;
}

int emu_lane(void)
{
    return emu::machine->current->number % emu::WARP;
}
