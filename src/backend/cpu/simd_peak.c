/* Multiply-adds per second of a core: the limit that `bench` compares the score stage with. */
#include "backend/cpu/simd.h"
#include "backend/cpu/simd_lanes.h"

#include <string.h>

/* Independent sums that hide the latency of an addition on all known cores. */
enum { CHAINS = 12 };

double PS_SIMD_NAME(ps_peak)(size_t rounds, float *ret_sum)
{
    lanes sum[CHAINS];
    for (int i = 0; i < CHAINS; i++)
        sum[i] = broadcast((float)i);
    lanes factor = broadcast(0.999F);
    lanes term = broadcast(0.001F);
    for (size_t round = 0; round < rounds; round++) {
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) sum[i] = sum[i] * factor + term;
    }
    for (int i = 1; i < CHAINS; i++)
        sum[0] += sum[i];
    memcpy(ret_sum, &sum[0], sizeof *ret_sum);
    return (double)rounds * CHAINS * LANES;
}
