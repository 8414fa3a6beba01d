#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

int ps_fail(struct ps_error *error, enum ps_code code, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = code;
        (void)vsnprintf(error->message, sizeof error->message, format, arguments);
        va_end(arguments);
    }
    return code;
}

int ps_fail_prefix(struct ps_error *error, const char *format, ...)
{
    if (!error)
        return PS_E_BUG;
    char text[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text)
        (void)snprintf(text + length, sizeof text - (size_t)length, ": %s", error->message);
    return ps_fail(error, error->code, "%s", text);
}

int ps_fail_memory(struct ps_error *error, size_t bytes, const char *what)
{
    return ps_fail(error, PS_E_NOMEM, "no memory: %zu bytes for %s", bytes, what);
}
