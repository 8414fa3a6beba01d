/* Synchronisation of the threads of a block: barriers, functions of a warp, and reports of kernels
 * that fail in them. */
#include "machine.h"

#include <algorithm>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace emu
{

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
