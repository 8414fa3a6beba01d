/* Prints lines with names and texts from outside, which can contain control characters and line
 * ends: these become \xNN (ps_text_printable()). All output of commands that has such text goes
 * through here. */
#ifndef PS_CLI_PRINT_H
#define PS_CLI_PRINT_H

#include <stdarg.h>
#include <stdio.h>

/* Prints a line, without a line end in `format`, and preserves errno. */
__attribute__((format(printf, 2, 3))) void ps_print(FILE *stream, const char *format, ...);
void ps_print_arguments(FILE *stream, const char *format, va_list arguments);

/* The same on stderr. */
__attribute__((format(printf, 1, 2))) void ps_say(const char *format, ...);

#endif
