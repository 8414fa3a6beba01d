#include "picker/robust.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Sorts the values, of which there is one or more. */
static double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

double ps_robust_middle(double *values, size_t count, double *ret_deviation)
{
    *ret_deviation = 0;
    if (count == 0)
        return 0;
    double median = median_of(values, count);
    for (size_t i = 0; i < count; i++)
        values[i] = fabs(values[i] - median);
    *ret_deviation = 1.4826 * median_of(values, count);
    return median;
}
