/* Threads of the service. */
#ifndef PS_BASE_THREAD_H
#define PS_BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>

/* Starts `run` with no signal let through: those are the main thread's. `name`: as ps and gdb show
 * it, 15 characters at most; `what`: as the error says it. PS_E_SYSTEM. */
int ps_thread_start(pthread_t *ret_thread, const char *name, const char *what, void *(*run)(void *),
                    void *context, struct ps_error *error);

#endif
