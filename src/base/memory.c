#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, LARGE_PAGE = 2 << 20, MIN_LARGE = 2 * LARGE_PAGE };

void *ps_memory_new(size_t bytes)
{
    bool large = bytes >= MIN_LARGE;
    size_t unit = large ? LARGE_PAGE : LINE;
    if (bytes > SIZE_MAX - unit)
        return NULL;
    size_t rounded = (bytes + unit - 1) / unit * unit;
    void *memory = aligned_alloc(unit, rounded ? rounded : unit);
    if (memory && large)
        (void)madvise(memory, rounded, MADV_HUGEPAGE); /* only advice */
    return memory;
}
