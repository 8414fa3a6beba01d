/* How much memory this process can have. */
#ifndef PS_BASE_MEMORY_LIMIT_H
#define PS_BASE_MEMORY_LIMIT_H

#include <stdint.h>

/* Bytes: the least of the memory of the machine, the limits of the control groups that the process
 * is in (memory.max and memory.high of version 2, memory.limit_in_bytes of version 1), and its
 * limit of address space. Swap does not count. `root` is a directory to find proc/ and sys/ in: ""
 * except in tests. */
uint64_t ps_memory_limit(const char *root);

#endif
