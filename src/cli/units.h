/* Units on the command line. In a shell, "--diameter=64 px x.mrc" is a diameter of 64 A and the
 * operands "px" and "x.mrc". */
#ifndef PS_CLI_UNITS_H
#define PS_CLI_UNITS_H

#include <stdbool.h>

enum { PS_UNIT_ADVICE = 320 };

/* True if the argument of an option with this name in --help (can be NULL) is a length. */
bool ps_unit_is_metavariable(const char *argument);

/* True if `operand` is the name of a unit and follows no "--"; `ret_advice` then says how to write
 * the option before it. `words` are the `count` words of the command line in their order, one of
 * them `operand`; `with_unit` is the option whose argument can have a unit, or NULL. */
bool ps_unit_advice(char *const *words, int count, const char *operand, const char *with_unit,
                    char ret_advice[PS_UNIT_ADVICE]);

#endif
