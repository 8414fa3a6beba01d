/* Memory of a slot. */
#include "backend/cpu/slot.h"

#include "base/error.h"
#include "base/memory.h"

#include <stdlib.h>

/* Loops that take a block of pixels at a time read past the end of the last row. */
enum { READ_PAST_END = 64 * sizeof(float) };

/* Fields of a micrograph differ a little in size. Memory that is not used is not taken from the
 * system. */
enum { SLACK_SHARE = 8 };

int cpu_buffer_reserve(struct cpu_buffer *buffer, size_t bytes, const char *what,
                       struct ps_error *error)
{
    if (buffer->bytes >= bytes)
        return 0;
    free(buffer->data);
    *buffer = (struct cpu_buffer){0};
    size_t rounded = (bytes + bytes / SLACK_SHARE + 63) / 64 * 64 + READ_PAST_END;
    buffer->data = ps_memory_new(rounded);
    if (!buffer->data)
        return ps_fail_memory(error, bytes, what);
    buffer->bytes = rounded - READ_PAST_END;
    return 0;
}
