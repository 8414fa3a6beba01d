#include "service/job_heaps.h"

#include <stdlib.h>
#include <string.h>

enum { NEXT, LAST };

/* True if `a` is to be taken before `b`. */
static bool before(const struct ps_job_heaps *heaps, const struct ps_job *a, const struct ps_job *b)
{
    const int64_t times[2] = {a->identity.mtime_ns, b->identity.mtime_ns};
    if (a->repick != b->repick)
        return b->repick;
    const bool oldest = heaps->order == PS_ORDER_OLDEST && !a->repick;
    if (times[0] != times[1])
        return (times[0] < times[1]) == oldest;
    return strcmp(a->path, b->path) < 0;
}

static bool above(const struct ps_job_heaps *heaps, int heap, const struct ps_job_heap_entry *a,
                  const struct ps_job_heap_entry *b)
{
    return heap == NEXT ? before(heaps, a->job, b->job) : before(heaps, b->job, a->job);
}

static void put_at(struct ps_job_heaps *heaps, int heap, size_t position,
                   struct ps_job_heap_entry *entry)
{
    heaps->entries[heap][position] = entry;
    entry->positions[heap] = position;
}

/* Restores the order of the heap after `entry` was placed. */
static void sift(struct ps_job_heaps *heaps, int heap, struct ps_job_heap_entry *entry)
{
    struct ps_job_heap_entry **entries = heaps->entries[heap];
    size_t position = entry->positions[heap];
    while (position > 0 && above(heaps, heap, entry, entries[(position - 1) / 2])) {
        put_at(heaps, heap, position, entries[(position - 1) / 2]);
        position = (position - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * position + 1;
        if (child >= heaps->count)
            break;
        if (child + 1 < heaps->count && above(heaps, heap, entries[child + 1], entries[child]))
            child++;
        if (!above(heaps, heap, entries[child], entry))
            break;
        put_at(heaps, heap, position, entries[child]);
        position = child;
    }
    put_at(heaps, heap, position, entry);
}

static bool grow(struct ps_job_heaps *heaps)
{
    const size_t capacity = heaps->capacity ? 2 * heaps->capacity : 64;
    for (int heap = 0; heap < PS_JOB_HEAPS; heap++) {
        struct ps_job_heap_entry **grown =
            realloc(heaps->entries[heap], capacity * sizeof *heaps->entries[heap]);
        if (!grown)
            return false;
        heaps->entries[heap] = grown;
    }
    heaps->capacity = capacity;
    return true;
}

bool ps_job_heaps_add(struct ps_job_heaps *heaps, struct ps_job_heap_entry *entry,
                      const struct ps_job *job)
{
    if (heaps->count == heaps->capacity && !grow(heaps))
        return false;
    entry->job = job;
    const size_t position = heaps->count++;
    for (int heap = 0; heap < PS_JOB_HEAPS; heap++) {
        put_at(heaps, heap, position, entry);
        sift(heaps, heap, entry);
    }
    return true;
}

void ps_job_heaps_remove(struct ps_job_heaps *heaps, const struct ps_job_heap_entry *entry)
{
    const size_t end = --heaps->count;
    for (int heap = 0; heap < PS_JOB_HEAPS; heap++) {
        const size_t position = entry->positions[heap];
        struct ps_job_heap_entry *moved = heaps->entries[heap][end];
        if (position == end)
            continue;
        put_at(heaps, heap, position, moved);
        sift(heaps, heap, moved);
    }
}

struct ps_job_heap_entry *ps_job_heaps_next(const struct ps_job_heaps *heaps)
{
    return heaps->count ? heaps->entries[NEXT][0] : NULL;
}

struct ps_job_heap_entry *ps_job_heaps_last(const struct ps_job_heaps *heaps)
{
    return heaps->count ? heaps->entries[LAST][0] : NULL;
}

struct ps_job_heap_entry *ps_job_heaps_any(const struct ps_job_heaps *heaps)
{
    return heaps->count ? heaps->entries[LAST][heaps->count - 1] : NULL;
}

void ps_job_heaps_done(struct ps_job_heaps *heaps)
{
    for (int heap = 0; heap < PS_JOB_HEAPS; heap++)
        free(heaps->entries[heap]);
}
