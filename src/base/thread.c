#include "base/thread.h"

#include <signal.h>
#include <string.h>

int ps_thread_start(pthread_t *ret_thread, const char *name, const char *what, void *(*run)(void *),
                    void *context, struct ps_error *error)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(ret_thread, NULL, run, context);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure)
        return ps_fail(error, PS_E_SYSTEM, "cannot start %s: %s", what, strerror(failure));
    (void)pthread_setname_np(*ret_thread, name);
    return 0;
}
