/* SIGINT and SIGTERM for a command that works through a list: the first one asks it to stop after
 * the item in progress, the second one ends the process at once. */
#ifndef PS_CLI_INTERRUPT_H
#define PS_CLI_INTERRUPT_H

#include <stdbool.h>

/* Installs the handlers, also where a shell started the command with SIGINT ignored. */
void ps_interrupt_catch(void);

/* True after the first signal. */
bool ps_interrupted(void);

#endif
