/* Large blocks of memory. */
#ifndef PS_BASE_MEMORY_H
#define PS_BASE_MEMORY_H

#include <stddef.h>

/* As aligned_alloc(64), for free(). Blocks of several MiB are made of large pages where the system
 * has them, which saves most of the page faults of their first use. */
void *ps_memory_new(size_t bytes);

#endif
