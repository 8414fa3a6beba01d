#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

void ps_error_set(struct ps_error *error, enum ps_code code, const char *format, ...)
{
    if (!error)
        return;
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    (void)vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
}

int ps_fail_prefix(struct ps_error *error, const char *format, ...)
{
    struct ps_error inner = *error;
    char prefix[sizeof inner.message];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(prefix, sizeof prefix, format, arguments);
    va_end(arguments);
    return ps_fail(error, inner.code, "%s: %s", prefix, inner.message);
}
