/* Dead rows and columns of a micrograph, and the good lines that replace them. The backends find
 * the lines and write the pixels. */
#ifndef PS_FORMULAS_DEAD_LINES_H
#define PS_FORMULAS_DEAD_LINES_H

#include <stddef.h>
#include <stdint.h>

/* Pixels of `line` become ps_between(pixel of `before`, pixel of `after`, weight). */
struct ps_dead_line {
    int line;
    int before; /* the nearest good line on either side; if a side has none, that of the other */
    int after;
    float weight;
};

/* Lists the marked ones of `count` lines in `ret_dead`, which must hold `count`, and returns their
 * number. `*ret_repairable` is the same number, or 0 if all lines are marked. */
size_t ps_dead_lines(const uint8_t *marked, size_t count, struct ps_dead_line *ret_dead,
                     size_t *ret_repairable);

#endif
