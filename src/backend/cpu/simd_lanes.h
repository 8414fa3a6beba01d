/* Vector of floats of the width of the instruction set being compiled. For simd_*.c only. */
#ifndef PS_BACKEND_SIMD_LANES_H
#define PS_BACKEND_SIMD_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <immintrin.h>
#endif

/* MAX_BLOCK outputs x 2 sums, 2 inputs and 1 coefficient fit into the vector registers. */
#if defined(__AVX512F__)
enum { LANES = 16, MAX_BLOCK = 8 };
#elif defined(__AVX__)
enum { LANES = 8, MAX_BLOCK = 6 };
#else
enum { LANES = 4, MAX_BLOCK = 6 };
#endif

/* Pixels of a row whose sums stay in registers. Loops read whole blocks, past the end of a row
 * too, and of a buffer (slot.h). */
enum { ROW_VECTORS = 4, ROW_BLOCK = ROW_VECTORS * LANES };

typedef float lanes __attribute__((vector_size(LANES * 4)));
typedef int32_t integer_lanes __attribute__((vector_size(LANES * 4)));

static inline lanes broadcast(float value)
{
    return value - (lanes){0.0F};
}

static inline lanes load_lanes(const float *from)
{
    lanes value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* Stores a block of a row, or what is left of the row. */
static inline void store_block(const lanes block[ROW_VECTORS], size_t left, float *ret_row)
{
    if (left >= ROW_BLOCK)
        memcpy(ret_row, block, ROW_BLOCK * sizeof *ret_row); /* of known size: no call */
    else
        memcpy(ret_row, block, left * sizeof *ret_row);
}

/* GNU C vectors have no maximum: an instruction on x86, a comparison mask elsewhere. */
static inline lanes larger(lanes a, lanes b)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (lanes)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE__)
    return (lanes)_mm_max_ps((__m128)a, (__m128)b);
#else
    integer_lanes chosen = a > b;
    return (lanes)(((integer_lanes)a & chosen) | ((integer_lanes)b & ~chosen));
#endif
}

static inline lanes absolute(lanes a)
{
    return (lanes)((integer_lanes)a & 0x7fffffff);
}

#endif
