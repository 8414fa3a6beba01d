/* Lists of peaks: their order, and the least distance between them. */
#ifndef PS_FORMULAS_PEAKS_H
#define PS_FORMULAS_PEAKS_H

#include "formulas/adaptive_types.h"

/* For qsort(): the largest value first, then by row and column. */
int ps_peak_order(const void *left, const void *right);

/* Of peaks in that order in a field of width x height px, those are kept that are further than
 * `distance` px from all that are kept before. Writes their indices, `count` at most, and returns
 * how many; -1 without memory. */
int ps_peaks_suppress(const struct ps_peak *peaks, size_t count, int width, int height,
                      double distance, int *ret_kept);

#endif
