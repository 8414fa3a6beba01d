/* Choice of the instruction set, and the tables for its loops. */
#include "backend/cpu/simd.h"

#include <math.h>

#if defined(__x86_64__) && !defined(PS_GENERIC)
static const struct ps_simd sse2 = {"sse2",
                                    4,
                                    ps_score_sse2,
                                    ps_score_scratch_sse2,
                                    ps_classify_rbf_sse2,
                                    ps_peak_sse2,
                                    ps_take_pixels_sse2,
                                    &cpu_adaptive_sse2};
static const struct ps_simd avx2 = {"avx2",
                                    8,
                                    ps_score_avx2,
                                    ps_score_scratch_avx2,
                                    ps_classify_rbf_avx2,
                                    ps_peak_avx2,
                                    ps_take_pixels_avx2,
                                    &cpu_adaptive_avx2};
static const struct ps_simd avx512 = {"avx512",
                                      16,
                                      ps_score_avx512,
                                      ps_score_scratch_avx512,
                                      ps_classify_rbf_avx512,
                                      ps_peak_avx512,
                                      ps_take_pixels_avx512,
                                      &cpu_adaptive_avx512};

size_t ps_simd_list(const struct ps_simd *ret_list[PS_MAX_SIMD])
{
    size_t count = 0;
    ret_list[count++] = &sse2;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        ret_list[count++] = &avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        ret_list[count++] = &avx512;
    return count;
}
#else
static const struct ps_simd generic = {"generic",
                                       4,
                                       ps_score_generic,
                                       ps_score_scratch_generic,
                                       ps_classify_rbf_generic,
                                       ps_peak_generic,
                                       ps_take_pixels_generic,
                                       &cpu_adaptive_generic};

size_t ps_simd_list(const struct ps_simd *ret_list[PS_MAX_SIMD])
{
    ret_list[0] = &generic;
    return 1;
}
#endif

const struct ps_simd *ps_simd_best(void)
{
    const struct ps_simd *list[PS_MAX_SIMD] = {NULL};
    return list[ps_simd_list(list) - 1];
}

/* One of the four sums of simd_score.c: terms k = first, first + 2, ... up to `last`, outputs y =
 * `from` to q/4. Returns the number of entries; `table` can be NULL to count them only. */
static size_t table_part(int q, int first, int last, int from, double (*wave)(double), float *table)
{
    size_t count = 0;
    for (int k = first; k <= last; k += 2)
        for (int y = from; y <= q / 4; y++, count++)
            if (table)
                table[count] = (float)wave(2 * M_PI * ((double)k * y / q));
    return count;
}

static size_t table_fill(int q, float *table)
{
    int h = q / 2;
    size_t count = table_part(q, 0, h, 0, cos, table);
    count += table_part(q, 1, h, 0, cos, table ? table + count : NULL);
    count += table_part(q, 2, h - 1, 1, sin, table ? table + count : NULL);
    count += table_part(q, 1, h - 1, 1, sin, table ? table + count : NULL);
    return count;
}

double ps_score_operations(int q)
{
    /* Both passes apply all tables to two vectors, once per column and once per pair of rows. */
    int columns = q / 2 + 1;
    int row_pairs = q / 2;
    return (double)((size_t)(columns + row_pairs) * 2 * table_fill(q, NULL) +
                    (size_t)(columns * q) * 4);
}

size_t ps_score_table_size(int q)
{
    return table_fill(q, NULL);
}

void ps_score_table(int q, float *ret_table)
{
    (void)table_fill(q, ret_table);
}
