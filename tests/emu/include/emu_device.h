/* Functions that kernels call and that have nothing to do with other threads of a block but for
 * atomics: arithmetic of stated rounding, bits, minima and maxima. */
#ifndef EMU_DEVICE_H
#define EMU_DEVICE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ---- bits ---- */

template <class To, class From> static inline To emu_cast(From from)
{
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline int __float_as_int(float x)
{
    return emu_cast<int>(x);
}
static inline unsigned __float_as_uint(float x)
{
    return emu_cast<unsigned>(x);
}
static inline float __int_as_float(int x)
{
    return emu_cast<float>(x);
}
static inline float __uint_as_float(unsigned x)
{
    return emu_cast<float>(x);
}
static inline long long __double_as_longlong(double x)
{
    return emu_cast<long long>(x);
}
static inline double __longlong_as_double(long long x)
{
    return emu_cast<double>(x);
}

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}
static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}
static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline int __ffsll(long long x)
{
    return __builtin_ffsll(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz(static_cast<unsigned>(x)) : 32;
}
static inline int __clzll(long long x)
{
    return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}
static inline unsigned __brev(unsigned x)
{
    unsigned reversed = 0;
    for (int i = 0; i < 32; i++)
        reversed |= (x >> i & 1) << (31 - i);
    return reversed;
}
static inline unsigned __umulhi(unsigned x, unsigned y)
{
    return static_cast<unsigned>(static_cast<uint64_t>(x) * y >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y)
{
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(x) * y >> 64);
}

/* ---- arithmetic that is not fused ---- */

#define EMU_BINARY(name, type, operation)                                                          \
    static inline type name(type x, type y)                                                        \
    {                                                                                              \
        return x operation y;                                                                      \
    }
EMU_BINARY(__fadd_rn, float, +)
EMU_BINARY(__fsub_rn, float, -)
EMU_BINARY(__fmul_rn, float, *)
EMU_BINARY(__fdiv_rn, float, /)
EMU_BINARY(__fdividef, float, /)
EMU_BINARY(__dadd_rn, double, +)
EMU_BINARY(__dsub_rn, double, -)
EMU_BINARY(__dmul_rn, double, *)
EMU_BINARY(__ddiv_rn, double, /)
#undef EMU_BINARY

#define EMU_UNARY(name, to, from, expression)                                                      \
    static inline to name(from x)                                                                  \
    {                                                                                              \
        return expression;                                                                         \
    }
EMU_UNARY(__fsqrt_rn, float, float, sqrtf(x))
EMU_UNARY(__frcp_rn, float, float, 1.0F / x)
EMU_UNARY(__dsqrt_rn, double, double, sqrt(x))
EMU_UNARY(rsqrtf, float, float, 1.0F / sqrtf(x))
EMU_UNARY(rsqrt, double, double, 1.0 / sqrt(x))
EMU_UNARY(__frsqrt_rn, float, float, static_cast<float>(1.0 / sqrt(static_cast<double>(x))))
EMU_UNARY(__saturatef, float, float, x > 0 ? (x < 1 ? x : 1.0F) : 0.0F)
EMU_UNARY(sinpif, float, float, static_cast<float>(sin(M_PI *fmod(static_cast<double>(x), 2))))
EMU_UNARY(cospif, float, float, static_cast<float>(cos(M_PI *fmod(static_cast<double>(x), 2))))
EMU_UNARY(sinpi, double, double, sin(M_PI *fmod(x, 2)))
EMU_UNARY(cospi, double, double, cos(M_PI *fmod(x, 2)))
EMU_UNARY(__int2float_rn, float, int, static_cast<float>(x))
EMU_UNARY(__uint2float_rn, float, unsigned, static_cast<float>(x))
EMU_UNARY(__double2float_rn, float, double, static_cast<float>(x))
EMU_UNARY(__float2int_rn, int, float, static_cast<int>(rintf(x)))
EMU_UNARY(__float2int_rz, int, float, static_cast<int>(x))
EMU_UNARY(__float2int_rd, int, float, static_cast<int>(floorf(x)))
EMU_UNARY(__float2int_ru, int, float, static_cast<int>(ceilf(x)))
EMU_UNARY(__float2uint_rn, unsigned, float, static_cast<unsigned>(rintf(x)))
EMU_UNARY(__double2int_rn, int, double, static_cast<int>(rint(x)))
EMU_UNARY(__double2int_rd, int, double, static_cast<int>(floor(x)))
EMU_UNARY(__double2ll_rn, long long, double, llrint(x))
#undef EMU_UNARY
static inline float __fmaf_rn(float x, float y, float z)
{
    return fmaf(x, y, z);
}
static inline double __fma_rn(double x, double y, double z)
{
    return fma(x, y, z);
}
static inline void sincospif(float x, float *sine, float *cosine)
{
    *sine = sinpif(x);
    *cosine = cospif(x);
}

/* Names that glibc has for itself. */
#define __expf(x)    expf(x)
#define __logf(x)    logf(x)
#define __log2f(x)   log2f(x)
#define __exp2f(x)   exp2f(x)
#define __sinf(x)    sinf(x)
#define __cosf(x)    cosf(x)
#define __powf(x, y) powf(x, y)

/* ---- minima and maxima; of NaN and a number, the number ---- */

#define EMU_ORDER_OF(type, x_type, y_type)                                                         \
    static inline type min(x_type x, y_type y)                                                     \
    {                                                                                              \
        return static_cast<type>(x) < static_cast<type>(y) ? static_cast<type>(x)                  \
                                                           : static_cast<type>(y);                 \
    }                                                                                              \
    static inline type max(x_type x, y_type y)                                                     \
    {                                                                                              \
        return static_cast<type>(x) > static_cast<type>(y) ? static_cast<type>(x)                  \
                                                           : static_cast<type>(y);                 \
    }
EMU_ORDER_OF(int, int, int)
EMU_ORDER_OF(unsigned, unsigned, unsigned)
EMU_ORDER_OF(unsigned, int, unsigned)
EMU_ORDER_OF(unsigned, unsigned, int)
EMU_ORDER_OF(long, long, long)
EMU_ORDER_OF(unsigned long, unsigned long, unsigned long)
EMU_ORDER_OF(unsigned long, long, unsigned long)
EMU_ORDER_OF(unsigned long, unsigned long, long)
EMU_ORDER_OF(long long, long long, long long)
EMU_ORDER_OF(unsigned long long, unsigned long long, unsigned long long)
EMU_ORDER_OF(unsigned long long, long long, unsigned long long)
EMU_ORDER_OF(unsigned long long, unsigned long long, long long)
#undef EMU_ORDER_OF
#define EMU_ORDER_OF(type, x_type, y_type, suffix)                                                 \
    static inline type min(x_type x, y_type y)                                                     \
    {                                                                                              \
        return fmin##suffix(x, y);                                                                 \
    }                                                                                              \
    static inline type max(x_type x, y_type y)                                                     \
    {                                                                                              \
        return fmax##suffix(x, y);                                                                 \
    }
EMU_ORDER_OF(float, float, float, f)
EMU_ORDER_OF(double, double, double, )
EMU_ORDER_OF(double, float, double, )
EMU_ORDER_OF(double, double, float, )
#undef EMU_ORDER_OF

/* ---- memory ---- */

template <class T> static inline T __ldg(const T *address)
{
    return *address;
}
#define __ldcg(address)        __ldg(address)
#define __ldcs(address)        __ldg(address)
#define __stcg(address, value) ((void)(*(address) = (value)))
#define __stcs(address, value) ((void)(*(address) = (value)))
#define __threadfence()        __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_block()  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define __threadfence_system() __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* Atomics return what was there before. */
template <class T, class F> static inline T emu_atomic(T *address, F change)
{
    T before;
    __atomic_load(address, &before, __ATOMIC_RELAXED);
    for (;;) {
        T after = change(before);
        if (__atomic_compare_exchange(address, &before, &after, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED))
            return before;
    }
}

#define EMU_ATOMIC(name, type, expression)                                                         \
    static inline type name(type *address, type y)                                                 \
    {                                                                                              \
        return emu_atomic(address, [y](type x) -> type { return expression; });                    \
    }
#define EMU_ATOMIC_INTEGER(type)                                                                   \
    EMU_ATOMIC(atomicMin, type, x < y ? x : y)                                                     \
    EMU_ATOMIC(atomicMax, type, x > y ? x : y)                                                     \
    EMU_ATOMIC(atomicAnd, type, x &y)                                                              \
    EMU_ATOMIC(atomicOr, type, x | y)                                                              \
    EMU_ATOMIC(atomicXor, type, x ^ y)
EMU_ATOMIC_INTEGER(int)
EMU_ATOMIC_INTEGER(unsigned)
EMU_ATOMIC_INTEGER(unsigned long long)
EMU_ATOMIC(atomicMin, long long, x < y ? x : y)
EMU_ATOMIC(atomicMax, long long, x > y ? x : y)
EMU_ATOMIC(atomicAdd, int, static_cast<int>(static_cast<unsigned>(x) + static_cast<unsigned>(y)))
EMU_ATOMIC(atomicAdd, unsigned, x + y)
EMU_ATOMIC(atomicAdd, unsigned long long, x + y)
EMU_ATOMIC(atomicAdd, float, x + y)
EMU_ATOMIC(atomicAdd, double, x + y)
EMU_ATOMIC(atomicSub, int, static_cast<int>(static_cast<unsigned>(x) - static_cast<unsigned>(y)))
EMU_ATOMIC(atomicSub, unsigned, x - y)
EMU_ATOMIC(atomicInc, unsigned, x >= y ? 0 : x + 1)
EMU_ATOMIC(atomicDec, unsigned, x == 0 || x > y ? y : x - 1)
EMU_ATOMIC(atomicExch, int, ((void)x, y))
EMU_ATOMIC(atomicExch, unsigned, ((void)x, y))
EMU_ATOMIC(atomicExch, unsigned long long, ((void)x, y))
EMU_ATOMIC(atomicExch, float, ((void)x, y))
#undef EMU_ATOMIC
#undef EMU_ATOMIC_INTEGER
#define EMU_ATOMIC_CAS(type)                                                                       \
    static inline type atomicCAS(type *address, type expected, type y)                             \
    {                                                                                              \
        return emu_atomic(address,                                                                 \
                          [expected, y](type x) -> type { return x == expected ? y : x; });        \
    }
EMU_ATOMIC_CAS(int)
EMU_ATOMIC_CAS(unsigned)
EMU_ATOMIC_CAS(unsigned long long)
#undef EMU_ATOMIC_CAS

#endif
