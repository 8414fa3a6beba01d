#include "base/error.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends " (FILE:LINE)"; overwrites the end of a message that is too long. */
static void append_place(struct ps_error *error, const char *file, int line)
{
    char place[128];
    (void)snprintf(place, sizeof place, " (%s:%d)", file, line);
    size_t used = strlen(error->message);
    size_t most = sizeof error->message - 1 - strlen(place);
    memcpy(error->message + (used < most ? used : most), place, strlen(place) + 1);
}

/* Makes a message one printable line, whatever names it quotes. */
static void clean(struct ps_error *error)
{
    if (ps_text_is_printable(error->message))
        return;
    char *printable = ps_text_printable(error->message);
    if (printable)
        (void)snprintf(error->message, sizeof error->message, "%s", printable);
    free(printable);
    /* Without memory, or where the end was cut within a character. */
    for (char *at = error->message; *at;) {
        bool fine;
        size_t bytes = ps_text_character(at, &fine);
        if (!fine)
            *at = '?';
        at += fine ? bytes : 1;
    }
}

void ps_error_set_at(struct ps_error *error, enum ps_code code, const char *file, int line,
                     const char *format, ...)
{
    if (!error)
        return;
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (code == PS_E_BUG)
        append_place(error, file, line);
    clean(error);
}

int ps_fail_prefix(struct ps_error *error, const char *format, ...)
{
    struct ps_error inner = *error;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    size_t used = strlen(error->message);
    (void)snprintf(error->message + used, sizeof error->message - used, ": %s", inner.message);
    clean(error);
    return inner.code;
}

enum ps_code ps_code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EACCES:
    case EPERM:
    case ENXIO:
    case ENODEV:
    case EINVAL:
    case EPROTONOSUPPORT:
        return PS_E_CONFIG;
    case ENOMEM:
        return PS_E_NOMEM;
    default:
        return PS_E_SYSTEM;
    }
}
