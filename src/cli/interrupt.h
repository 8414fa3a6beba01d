/* SIGINT and SIGTERM for a command that works through a list: the first one asks it to stop after
 * the item in progress, the second one ends the process at once. */
#ifndef PS_CLI_INTERRUPT_H
#define PS_CLI_INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers, also where a shell started the command with SIGINT ignored. */
void ps_interrupt_catch(void);

/* A file that asks the same as a signal, while it exists; borrowed. */
void ps_interrupt_watch(const char *path);

/* True after the first signal, or if that file exists. */
bool ps_interrupted(void);

#endif
