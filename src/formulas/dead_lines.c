#include "formulas/dead_lines.h"

size_t ps_dead_lines(const uint8_t *marked, size_t count, struct ps_dead_line *ret_dead,
                     size_t *ret_repairable)
{
    size_t found = 0;
    for (size_t line = 0; line < count; line++) {
        if (!marked[line])
            continue;
        size_t before = line;
        while (before > 0 && marked[before])
            before--;
        size_t after = line;
        while (after < count - 1 && marked[after])
            after++;
        if (marked[before])
            before = after;
        if (marked[after])
            after = before;
        float weight = after == before ? 0.0F : (float)(line - before) / (float)(after - before);
        ret_dead[found++] = (struct ps_dead_line){(int)line, (int)before, (int)after, weight};
    }
    *ret_repairable = found == count ? 0 : found;
    return found;
}
