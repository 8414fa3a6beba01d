#include "cli/print.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>

void ps_print_arguments(FILE *stream, const char *format, va_list arguments)
{
    int saved = errno;
    char *text = NULL;
    char *shown = vasprintf(&text, format, arguments) < 0 ? NULL : ps_text_printable(text);
    (void)fprintf(stream, "%s\n", shown ? shown : "no memory");
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
