#include "cli/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static const char *watched;

static void handle(int number)
{
    if (interrupted) {
        /* It is delivered with its default action when this handler returns. */
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    interrupted = 1;
}

void ps_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

void ps_interrupt_watch(const char *path)
{
    watched = path;
}

bool ps_interrupted(void)
{
    return interrupted || (watched && access(watched, F_OK) == 0);
}
