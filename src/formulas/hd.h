/* Functions that the CPU and the kernels share: one definition for gcc, g++ and nvcc.
 *
 * A header of such functions stays within what C and C++ have in common. Both sides are compiled
 * without contraction, so that what is not fused in so many words rounds alike. */
#ifndef PS_FORMULAS_HD_H
#define PS_FORMULAS_HD_H

#ifdef __CUDACC__
#define PS_HD __host__ __device__ static inline
#else
#define PS_HD static inline
#endif

#endif
