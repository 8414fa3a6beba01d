/* Functions that the CPU and the kernels share: one definition for gcc, g++ and nvcc.
 *
 * Headers of such functions use the common subset of C and C++. Both sides are compiled without
 * contraction, so that operations round alike unless they are fused explicitly. */
#ifndef PS_FORMULAS_HD_H
#define PS_FORMULAS_HD_H

#ifdef __CUDACC__
#define PS_HD __host__ __device__ static inline
#else
#define PS_HD static inline
#endif

#endif
