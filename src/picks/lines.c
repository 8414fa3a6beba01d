#include "picks/lines.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

int ps_lines_fail(const struct ps_lines *lines, struct ps_error *error, const char *format, ...)
{
    char what[sizeof error->message / 2];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    for (char *at = what; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 127)
            *at = '?';
    }
    return ps_fail(error, PS_E_INPUT, "%.200s:%d: %s", lines->path, lines->number, what);
}

int ps_lines_next(struct ps_lines *lines, struct ps_error *error)
{
    lines->number++;
    if (!fgets(lines->text, sizeof lines->text, lines->stream))
        return ferror(lines->stream)
                   ? ps_fail(error, PS_E_SYSTEM, "%s: %s", lines->path, strerror(errno))
                   : 0;
    size_t length = strlen(lines->text);
    /* Only the last line can lack its end; any other is too long or contains a NUL. */
    bool ended = length > 0 && lines->text[length - 1] == '\n';
    if (!ended && (!feof(lines->stream) || length == 0))
        return ps_lines_fail(lines, error, "expected text, in lines of at most %d bytes",
                             PS_LINE - 1);
    if (ended)
        lines->text[--length] = '\0';
    if (length > 0 && lines->text[length - 1] == '\r')
        lines->text[--length] = '\0';
    static const char mark[] = "\xef\xbb\xbf";
    if (lines->number == 1 && strncmp(lines->text, mark, sizeof mark - 1) == 0)
        memmove(lines->text, lines->text + sizeof mark - 1, length - (sizeof mark - 1) + 1);
    return 1;
}
