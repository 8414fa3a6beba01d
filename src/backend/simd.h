/* The two inner loops that take the time of a micrograph on a CPU, built once for each instruction
 * set (simd_*.c with PS_ISA and the compiler's flags); cpu_simd.c takes the best one at run time.
 */
#ifndef PS_BACKEND_SIMD_H
#define PS_BACKEND_SIMD_H

#include <stddef.h>
#include <stdint.h>


/* An RBF model as floats; u, v, weight in separate arrays. */
struct ps_rbf {
    float centre[2]; /* of the features, grey_offset removed */
    float inverse_scale[2];
    float gamma;
    float offset;
    size_t count;
    const float *u;
    const float *v;
    const float *weight;
};

struct ps_simd {
    const char *name;
    int lanes; /* queries handled at once */

    /* Floats of scratch memory, 64-byte aligned, that score() needs at query size q. */
    size_t (*score_scratch)(int q);

    /* For `lanes` queries against `count` references the largest value of the circular
     * cross-correlation (apple-reference section 5, without the mean: spectra have DC zero).
     *   queries     half spectra of the queries, lanes x q x (q/2 + 1) complex
     *   references  half spectra of the references, count x q x (q/2 + 1) complex, divided by q^2
     *               and, but for their first and last column, doubled
     *   ret_max     count x lanes
     */
    void (*score)(int q, const float *tables, const float *queries, const float *references,
                  size_t count, float *scratch, float *ret_max);

    /* mask[i] = the model's value for (mean[i], deviation[i]) is positive. */
    void (*classify_rbf)(const struct ps_rbf *model, const float *mean, const float *deviation,
                         size_t count, uint8_t *ret_mask);
};

extern const struct ps_simd ps_simd_generic, ps_simd_sse2, ps_simd_avx2, ps_simd_avx512;

/* Every build of the loops that this machine can run, worst first, best last, at most 3. */
size_t ps_simd_list(const struct ps_simd *ret_list[3]);

/* Floats in the tables for q, and the tables. */
size_t ps_score_table_size(int q);
void ps_score_tables_fill(int q, float *ret_tables);

#endif
