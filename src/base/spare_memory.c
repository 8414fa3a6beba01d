#include "base/spare_memory.h"

#include "base/error.h"

#include <stdlib.h>

int ps_spare_memory_check(size_t bytes, const char *what, struct ps_error *error)
{
    void *volatile memory = malloc(bytes); /* volatile: the compiler leaves unused memory out */
    if (!memory)
        return ps_fail_memory(error, bytes, what);
    free(memory);
    return 0;
}
