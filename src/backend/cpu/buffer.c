/* Memory of a slot. */
#include "backend/cpu/slot.h"

#include "base/error.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Large buffers are made of large pages where the system has them: thousands of page faults less.
 */
enum { LARGE_PAGE = 2 << 20, MIN_LARGE = 2 * LARGE_PAGE };

/* Loops that take a block of pixels at a time read past the end of the last row. */
enum { READ_PAST_END = 64 * sizeof(float) };

int cpu_buffer_reserve(struct cpu_buffer *buffer, size_t bytes, const char *what,
                       struct ps_error *error)
{
    if (buffer->bytes >= bytes)
        return 0;
    free(buffer->data);
    *buffer = (struct cpu_buffer){0};
    size_t rounded = (bytes + 63) / 64 * 64 + READ_PAST_END;
    bool large = rounded >= MIN_LARGE;
    if (large)
        rounded = (rounded + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    buffer->data = aligned_alloc(large ? LARGE_PAGE : 64, rounded);
    if (!buffer->data)
        return ps_fail_memory(error, bytes, what);
    if (large)
        (void)madvise(buffer->data, rounded, MADV_HUGEPAGE); /* only advice */
    buffer->bytes = rounded - READ_PAST_END;
    return 0;
}
