#include "formulas/peaks.h"

#include <stdlib.h>

int ps_peak_order(const void *left, const void *right)
{
    const struct ps_peak *a = left;
    const struct ps_peak *b = right;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    if (a->y != b->y)
        return a->y < b->y ? -1 : 1;
    return (a->x > b->x) - (a->x < b->x);
}

static double squared_distance(const struct ps_peak *a, const struct ps_peak *b)
{
    double x = a->x - b->x;
    double y = a->y - b->y;
    return x * x + y * y;
}

/* On a grid of cells as wide as the distance, so that all near peaks lie in the adjacent cells.
 * `chain` links the peaks of a cell. */
int ps_peaks_suppress(const struct ps_peak *peaks, size_t count, int width, int height,
                      double distance, int *ret_kept)
{
    double cell = distance > 1 ? distance : 1;
    int columns = (int)(width / cell) + 1;
    int rows = (int)(height / cell) + 1;
    size_t cells = (size_t)columns * (size_t)rows;
    int *first = malloc((cells + count) * sizeof *first);
    if (!first)
        return -1;
    int *chain = first + cells;
    for (size_t i = 0; i < cells; i++)
        first[i] = -1;
    int kept = 0;
    for (size_t i = 0; i < count; i++) {
        int column = (int)(peaks[i].x / cell);
        int row = (int)(peaks[i].y / cell);
        bool free_spot = true;
        for (int v = row > 0 ? row - 1 : 0; v <= row + 1 && v < rows && free_spot; v++) {
            for (int u = column > 0 ? column - 1 : 0; u <= column + 1 && u < columns; u++) {
                for (int k = first[v * columns + u]; k >= 0; k = chain[k])
                    free_spot &= squared_distance(&peaks[k], &peaks[i]) > distance * distance;
            }
        }
        if (!free_spot)
            continue;
        chain[i] = first[row * columns + column];
        first[row * columns + column] = (int)i;
        ret_kept[kept++] = (int)i;
    }
    free(first);
    return kept;
}
