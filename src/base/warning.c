#include "base/warning.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code;
    const char *advice;
} table[PS_WARNING_COUNT] = {[PS_WARNING_NONE] = {"", ""},
#define X(NAME, code, advice) [PS_WARNING_##NAME] = {#code, advice},
                             PS_WARNING_MAP(X)
#undef X
};

const char *ps_warning_code(enum ps_warning kind)
{
    return table[kind].code;
}

const char *ps_warning_advice(enum ps_warning kind)
{
    return table[kind].advice;
}

enum ps_warning ps_warning_find(const char *code)
{
    for (int kind = PS_WARNING_NONE + 1; kind < PS_WARNING_COUNT; kind++)
        if (strcmp(table[kind].code, code) == 0)
            return (enum ps_warning)kind;
    return PS_WARNING_NONE;
}

void ps_warning_add(struct ps_result *result, enum ps_warning kind, const char *format, ...)
{
    if (result->warning_count == PS_MAX_WARNINGS)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(result->warnings[result->warning_count], sizeof result->warnings[0], format,
                    arguments);
    va_end(arguments);
    result->warning_kinds[result->warning_count++] = kind;
}
