/* Dead rows and columns of a micrograph: which living ones stand in for them. For the backends,
 * which find the lines and write the pixels. */
#ifndef PS_FORMULAS_DEAD_LINES_H
#define PS_FORMULAS_DEAD_LINES_H

#include <stddef.h>
#include <stdint.h>

/* Pixels of `line` become ps_between(pixel of `before`, pixel of `after`, weight). */
struct ps_dead_line {
    int line;
    int before; /* the nearest living line, or the one on the other side where there is none */
    int after;
    float weight;
};

/* Lists the marked ones of `count` lines into `ret_dead`, which has room for all, and returns how
 * many they are. With no line alive there is nothing to put in their place: *ret_repairable is 0
 * then, and the number of them otherwise. */
size_t ps_dead_lines(const uint8_t *marked, size_t count, struct ps_dead_line *ret_dead,
                     size_t *ret_repairable);

#endif
