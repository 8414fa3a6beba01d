/* Inner loops that take most of the time on a CPU.
 *
 * They are compiled once per instruction set: simd_*.c with PS_ISA and the flags in the Makefile.
 * simd.c lists the sets that this machine supports.
 */
#ifndef PS_BACKEND_CPU_SIMD_H
#define PS_BACKEND_CPU_SIMD_H

#include "formulas/formulas.h"
#include "pickstream.h"

#include <stddef.h>

/* Largest value of the circular cross-correlation of q x q windows without their means, of `lanes`
 * queries with `count` references (apple-reference section 5).
 *   table       from ps_score_table()
 *   queries     half spectra, lanes x q x (q/2 + 1) complex, DC zero
 *   references  half spectra, count x (q/2 + 1) x q complex: transposed, divided by q^2, and all
 *               but the first and the last of the q/2 + 1 columns doubled
 *   scratch     ps_score_scratch floats, 64-byte aligned
 *   ret_max     count x lanes */
typedef void ps_score_function(int q, const float *table, const float *queries,
                               const float *references, size_t count, float *scratch,
                               float *ret_max);
typedef size_t ps_score_scratch_function(int q);

/* ret_value[i] = value of the model for (mean[i], deviation[i]). */
typedef void ps_classify_rbf_function(const struct ps_rbf *model, const float *mean,
                                      const float *deviation, size_t count, float *ret_value);

/* Runs `rounds` rounds of multiply-adds and returns their number. `*ret_sum` only keeps the
 * compiler from removing the loop. */
typedef double ps_peak_function(size_t rounds, float *ret_sum);

/* Of the pixels that are finite. */
struct ps_pixel_statistics {
    double sum;
    uint64_t finite;
    float minimum; /* infinite if there are none */
    float maximum;
};

/* Converts pixels to floats, and takes their statistics. `ret_pixels` can be NULL if they are
 * floats. At most 2^31 pixels. */
typedef void ps_take_pixels_function(const void *pixels, enum ps_pixel type, size_t count,
                                     float *ret_pixels, struct ps_pixel_statistics *ret_statistics);

/* Loops of the adaptive profile (backend/cpu/adaptive.h). */
struct cpu_adaptive_functions;

struct ps_simd {
    const char *name;
    int lanes; /* queries per call of score(): one per vector lane */
    ps_score_function *score;
    ps_score_scratch_function *score_scratch;
    ps_classify_rbf_function *classify_rbf;
    ps_peak_function *peak;
    ps_take_pixels_function *take_pixels;
    const struct cpu_adaptive_functions *adaptive;
};

#define PS_SIMD_PASTE(name, isa)  name##_##isa
#define PS_SIMD_EXPAND(name, isa) PS_SIMD_PASTE(name, isa)
#ifdef PS_ISA
#define PS_SIMD_NAME(name) PS_SIMD_EXPAND(name, PS_ISA)
#endif
#define PS_SIMD_DECLARE(isa)                                                                       \
    ps_score_function ps_score_##isa;                                                              \
    ps_score_scratch_function ps_score_scratch_##isa;                                              \
    ps_classify_rbf_function ps_classify_rbf_##isa;                                                \
    ps_peak_function ps_peak_##isa;                                                                \
    ps_take_pixels_function ps_take_pixels_##isa;                                                  \
    extern const struct cpu_adaptive_functions cpu_adaptive_##isa;
#if defined(__x86_64__) && !defined(PS_GENERIC)
PS_SIMD_DECLARE(sse2)
PS_SIMD_DECLARE(avx2)
PS_SIMD_DECLARE(avx512)
#else
PS_SIMD_DECLARE(generic)
#endif

/* Instruction sets that this machine supports, the best last. */
enum { PS_MAX_SIMD = 3 };
size_t ps_simd_list(const struct ps_simd *ret_list[PS_MAX_SIMD]);
const struct ps_simd *ps_simd_best(void);

/* Multiply-adds or products per pair at query size q. */
double ps_score_operations(int q);

/* Cosines and sines that ps_score_function reads for windows of even side q, and their number of
 * floats. */
size_t ps_score_table_size(int q);
void ps_score_table(int q, float *ret_table);

#endif
