/* The memory that a pick takes, so that a micrograph that cannot be picked is refused before it is
 * read. */
#ifndef PS_PICKER_MEMORY_H
#define PS_PICKER_MEMORY_H

#include "config/config.h"
#include "image/micrograph.h"
#include "pickstream.h"

#include <stdbool.h>
#include <stdint.h>

/* About how many bytes of main memory a process needs at most while it picks one micrograph, its
 * pixels included: measured to 25 % (tests/integration/test_memory.py). `image` needs no pixels. 0:
 * not known, because the diameter is not. */
uint64_t ps_picker_memory(const struct ps_config *config, bool gpu, const struct ps_image *image);

struct ps_picker_budget {
    const struct ps_config *config;
    bool gpu;
    uint64_t limit_bytes; /* ps_memory_limit() */
};

/* Options for reading a micrograph that is to be picked; they refer to the budget. Refused with
 * PS_E_INPUT: one that needs more memory than the limit. */
struct ps_read_options ps_picker_read_options(const struct ps_picker_budget *budget);

#endif
