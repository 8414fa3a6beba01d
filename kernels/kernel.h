/* Shared by all kernels: launches, and shared memory whose size is set at the launch.
 *
 * The same source compiles with nvcc and, as C++, for the emulation (tests/emu). Launches go
 * through PS_LAUNCH(), PS_SHARED() names dynamic shared memory, and the rest is what both support:
 * blocks, threads, __shared__, __syncthreads(), shuffles and atomics of a full mask. Multiply-adds
 * are not fused unless fmaf() is called, so that CPU and GPU round alike. */
#ifndef PS_KERNELS_KERNEL_H
#define PS_KERNELS_KERNEL_H

#include "launch.h"

#include <cuda_runtime.h>

#ifdef PS_EMULATED
#include "emu_kernel.h"
#else
#define PS_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                  \
    (kernel<<<grid, block, shared_bytes, stream>>>(__VA_ARGS__), cudaGetLastError())
#define PS_SHARED(type, name)                                                                      \
    extern __shared__ __align__(16) unsigned char ps_shared_bytes[];                               \
    type *name = reinterpret_cast<type *>(ps_shared_bytes)
#endif

/* Unrolls a loop whose arrays must stay in registers; the second only if `n` is not 0. */
#ifdef __CUDACC__
#define PS_PRAGMA(text)    _Pragma(#text)
#define PS_UNROLL          PS_PRAGMA(unroll)
#define PS_UNROLL_KNOWN(n) PS_PRAGMA(unroll(n > 0 ? n : 1))
#else
#define PS_UNROLL
#define PS_UNROLL_KNOWN(n)
#endif

enum { PS_WARP = 32 };

static inline unsigned ps_blocks(size_t count, size_t per_block)
{
    return (unsigned)((count + per_block - 1) / per_block);
}

#endif
