/* Runs a program of the site: without a shell, with a text on its standard input, and with a limit
 * of its time. */
#ifndef PS_BASE_PROGRAM_H
#define PS_BASE_PROGRAM_H

#include "pickstream.h"

#include <stddef.h>
#include <stdint.h>

struct ps_program {
    char *const *words; /* the path of the program, and its arguments */
    size_t word_count;
    const char *input;
    int64_t limit_ns; /* after this time the program and its children get SIGTERM, then SIGKILL */
    int stop_fd;      /* when it becomes readable, `stop_ns` are left; -1: never */
    int64_t stop_ns;
};

/* Starts the program in a process group of its own and waits for its end. Its standard output is
 * discarded, its standard error is ours. The working directory and the environment are ours too,
 * but for the variables that belong to systemd's notification. PS_E_SYSTEM: it could not be
 * started, ended with a status other than 0, or did not end in time; PS_E_NOMEM. */
int ps_program_run(const struct ps_program *program, struct ps_error *error);

#endif
