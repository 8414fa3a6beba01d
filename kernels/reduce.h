/* Reductions and sums over a warp and a block in a fixed order: equal input gives equal bits.
 *
 * Values can have any type that shuffles take (int, unsigned, 64-bit integers, float, double). All
 * threads of the block must take part; blocks are whole warps. */
#ifndef PS_KERNELS_REDUCE_H
#define PS_KERNELS_REDUCE_H

#include "kernel.h"

#define PS_EVERY_LANE 0xffffffffu

struct ps_add {
    template <typename T> __device__ T operator()(T a, T b) const
    {
        return a + b;
    }
};

struct ps_minimum {
    template <typename T> __device__ T operator()(T a, T b) const
    {
        return b < a ? b : a;
    }
};

struct ps_maximum {
    template <typename T> __device__ T operator()(T a, T b) const
    {
        return b > a ? b : a;
    }
};

/* Lane 0 gets the result. */
template <typename T, typename Operation>
__device__ __forceinline__ T ps_reduce_warp(T value, Operation operation)
{
    for (int distance = PS_WARP / 2; distance > 0; distance /= 2)
        value = operation(value, __shfl_down_sync(PS_EVERY_LANE, value, distance));
    return value;
}

/* Thread 0 gets the result. `neutral` is the neutral element (0 for a sum). */
template <typename T, typename Operation>
__device__ T ps_reduce_block(T value, Operation operation, T neutral)
{
    __shared__ T part[PS_WARP];
    int warp = (int)threadIdx.x / PS_WARP;
    int lane = (int)threadIdx.x % PS_WARP;
    value = ps_reduce_warp(value, operation);
    __syncthreads(); /* a reduction of the same type before can still be reading `part` */
    if (lane == 0)
        part[warp] = value;
    __syncthreads();
    value = neutral;
    if (warp == 0) {
        if (lane < (int)blockDim.x / PS_WARP)
            value = part[lane];
        value = ps_reduce_warp(value, operation);
    }
    return value;
}

/* Exclusive sum over the threads of the block; every thread gets the total. */
template <typename T> __device__ T ps_sum_before(T value, T *ret_total)
{
    __shared__ T warps[PS_WARP];
    int warp = (int)threadIdx.x / PS_WARP;
    int lane = (int)threadIdx.x % PS_WARP;
    T upto = value;
    for (int distance = 1; distance < PS_WARP; distance *= 2) {
        T other = __shfl_up_sync(PS_EVERY_LANE, upto, distance);
        upto += lane >= distance ? other : 0;
    }
    __syncthreads(); /* a call before can still be reading `warps` */
    if (lane == PS_WARP - 1)
        warps[warp] = upto;
    __syncthreads();
    T before = 0;
    T total = 0;
    for (int i = 0; i < (int)blockDim.x / PS_WARP; i++) {
        before += i < warp ? warps[i] : 0;
        total += warps[i];
    }
    *ret_total = total;
    return before + upto - value;
}

#endif
