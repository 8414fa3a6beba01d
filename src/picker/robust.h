/* Robust statistics of short lists. */
#ifndef PS_PICKER_ROBUST_H
#define PS_PICKER_ROBUST_H

#include <stddef.h>

/* Median of `count` values, and their standard deviation from the median absolute deviation; both 0
 * of none. Reorders and overwrites the values. */
double ps_robust_middle(double *values, size_t count, double *ret_deviation);

#endif
