/* Device functions that do not involve other threads of a block, except atomics: bits, minima and
 * maxima, memory. */
#ifndef EMU_DEVICE_H
#define EMU_DEVICE_H

#include <math.h>
#include <stddef.h>

/* ---- bits ---- */

static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}
static inline int __clz(int x)
{
    return x ? __builtin_clz(static_cast<unsigned>(x)) : 32;
}

/* ---- minima and maxima ---- */

static inline int min(int x, int y)
{
    return x < y ? x : y;
}
static inline size_t min(size_t x, size_t y)
{
    return x < y ? x : y;
}
static inline int max(int x, int y)
{
    return x > y ? x : y;
}

/* ---- memory ---- */

template <class T> static inline T __ldcg(const T *address)
{
    return *address;
}
/* All threads of a grid run on one OS thread. */
#define __threadfence() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* Atomics return the previous value. */
static inline unsigned atomicAdd(unsigned *address, unsigned y)
{
    return __atomic_fetch_add(address, y, __ATOMIC_RELAXED);
}
static inline unsigned long long atomicAdd(unsigned long long *address, unsigned long long y)
{
    return __atomic_fetch_add(address, y, __ATOMIC_RELAXED);
}
static inline int atomicExch(int *address, int y)
{
    return __atomic_exchange_n(address, y, __ATOMIC_RELAXED);
}
static inline int atomicMin(int *address, int y)
{
    int before = __atomic_load_n(address, __ATOMIC_RELAXED);
    while (y < before && !__atomic_compare_exchange_n(address, &before, y, false, __ATOMIC_RELAXED,
                                                      __ATOMIC_RELAXED)) {
    }
    return before;
}

#endif
