#include "cli/print.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

enum { SHORT_LINE = 1024 /* bytes */ };

/* The line without any memory: cut, and with '?' for what a terminal could take for a command. */
static void print_short(FILE *stream, const char *format, va_list arguments)
{
    char line[SHORT_LINE];
    (void)vsnprintf(line, sizeof line, format, arguments);
    for (char *at = line; *at; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = '?';
    (void)fprintf(stream, "%s\n", line);
}

void ps_print_arguments(FILE *stream, const char *format, va_list arguments)
{
    int saved = errno;
    va_list again;
    va_copy(again, arguments);
    char *text = NULL;
    char *shown = vasprintf(&text, format, arguments) < 0 ? NULL : ps_text_printable(text);
    if (shown)
        (void)fprintf(stream, "%s\n", shown);
    else
        print_short(stream, format, again);
    va_end(again);
    free(shown);
    free(text);
    errno = saved;
}

void ps_print(FILE *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ps_print_arguments(stream, format, arguments);
    va_end(arguments);
}

void ps_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ps_print_arguments(stderr, format, arguments);
    va_end(arguments);
}
