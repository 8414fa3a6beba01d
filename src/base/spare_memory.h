/* For libraries that end the process, or use a null pointer, if they get no memory: FFTW's planner
 * and LIBSVM. */
#ifndef PS_BASE_SPARE_MEMORY_H
#define PS_BASE_SPARE_MEMORY_H

#include "pickstream.h"

#include <stddef.h>

/* Fails if `bytes` could not be allocated now; they are free again afterwards, so that another
 * thread can still take them. PS_E_NOMEM. */
int ps_spare_memory_check(size_t bytes, const char *what, struct ps_error *error);

#endif
