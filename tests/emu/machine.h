/* The threads of a block, and the machine that runs them (block.cpp, meeting.cpp). */
#ifndef EMU_MACHINE_H
#define EMU_MACHINE_H

#include "block.h"
#include "fiber.h"

#include <memory>
#include <numeric>
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <vector>

namespace emu
{

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
extern __thread Machine *machine;

} // namespace emu

#endif
