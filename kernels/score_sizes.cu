/* The fused score compiled for common sizes: those of particles of 48 to 92 px. With 16 lanes where
 * two such blocks fit a multiprocessor's shared memory (up to 26 on H100 and newer), else with 8.
 */
#include "score_sizes.h"
#include "score_fused.h"

template <int L>
static cudaError_t launch(const ps_fused &shape, const ps_score_run &run, bool *ret_known)
{
#define KNOWN(q)                                                                                   \
    case q:                                                                                        \
        return score_fused_launch<q, q / 4 + 1, L>(shape, run)
    switch (shape.q) {
        KNOWN(16);
        KNOWN(18);
        KNOWN(20);
        KNOWN(22);
        KNOWN(24);
        KNOWN(26);
        KNOWN(28);
        KNOWN(30);
    default:
        *ret_known = false;
        return cudaSuccess;
    }
#undef KNOWN
}

cudaError_t ps_score_known_size(const ps_fused &shape, const ps_score_run &run, bool *ret_known)
{
    *ret_known = true;
    if (shape.lanes == 16)
        return launch<16>(shape, run, ret_known);
    if (shape.lanes == 8)
        return launch<8>(shape, run, ret_known);
    *ret_known = false;
    return cudaSuccess;
}
