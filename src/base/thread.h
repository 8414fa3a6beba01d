/* Threads of the service. */
#ifndef PS_BASE_THREAD_H
#define PS_BASE_THREAD_H

#include "base/error.h"

#include <pthread.h>

/* Starts a thread with all signals blocked: the main thread handles them. `name` is shown by ps and
 * gdb (at most 15 characters), `what` is used in the error message. PS_E_SYSTEM. */
int ps_thread_start(pthread_t *ret_thread, const char *name, const char *what, void *(*run)(void *),
                    void *context, struct ps_error *error);

#endif
