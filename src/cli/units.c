#include "cli/units.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Units as people write them, and what the options take: px, or nothing for angstrom. */
static const struct {
    const char *name;
    const char *spelling; /* NULL: not a unit of the options */
} units[] = {
    {"px", "px"}, {"pix", "px"},    {"pixel", "px"},   {"pixels", "px"},
    {"A", ""},    {"\u00c5", ""},   {"\u212b", ""},    {"A\u030a", ""},
    {"ang", ""},  {"angstrom", ""}, {"angstroms", ""}, {"\u00e5ngstr\u00f6m", ""},
    {"nm", NULL},
};

bool ps_unit_is_metavariable(const char *argument)
{
    return argument && (strcmp(argument, "LENGTH") == 0 || strcmp(argument, "A") == 0 ||
                        strcmp(argument, "PX") == 0);
}

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789.") == strlen(text);
}

bool ps_unit_advice(char *const *words, int count, const char *operand, const char *with_unit,
                    char ret_advice[PS_UNIT_ADVICE])
{
    size_t unit = 0, known = sizeof units / sizeof *units;
    while (unit < known && strcasecmp(operand, units[unit].name) != 0)
        unit++;
    int at = 0;
    while (at < count && words[at] != operand && strcmp(words[at], "--") != 0)
        at++;
    if (unit == known || at == count || words[at] != operand)
        return false;

    /* "--name=64 px" or "--name 64 px". */
    const char *option = at > 0 ? words[at - 1] : "";
    const char *equals = strchr(option, '=');
    const char *number = equals ? equals + 1 : option;
    if (!equals)
        option = at > 1 ? words[at - 2] : "";
    const size_t length = strcspn(option, "=");
    char better[128] = "the unit belongs to the number, as in 64px";
    if (!units[unit].spelling)
        (void)snprintf(better, sizeof better, "lengths are in angstrom, or in pixels as 64px");
    else if (length > 2 && strncmp(option, "--", 2) == 0 && is_number(number))
        (void)snprintf(better, sizeof better, "write %.*s=%.32s%s", (int)length, option, number,
                       with_unit && strncmp(option + 2, with_unit, length - 2) == 0
                           ? units[unit].spelling
                           : "");
    (void)snprintf(ret_advice, PS_UNIT_ADVICE,
                   "%.20s is a unit, not an operand: %s (a file of "
                   "this name: ./%.20s)",
                   operand, better, operand);
    return true;
}
