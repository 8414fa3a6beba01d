/* Fused score compiled for common sizes, those of particles of 48 to 92 px, each with the numbers
 * of lanes that the shared memory of GPUs allows (ps_score_fused_plan()). 228 KB per
 * multiprocessor: 16 lanes up to size 26, then 8. 164 KB: 16 up to 22. 100 KB: 16, from 18 on 8,
 * from 26 on 4. 64 KB: 8, from 20 to 26 4. */
#include "score_sizes.h"
#include "score_fused_kernel.h"

/* Combinations that no GPU uses are not compiled. */
static constexpr bool is_compiled(int q, int lanes)
{
    return lanes == 16 ? q <= 26 : lanes == 8 || q >= 20;
}

template <int L>
static cudaError_t launch(const ps_fused &shape, const ps_score_run &run, bool *ret_known)
{
#define KNOWN(q)                                                                                   \
    case q:                                                                                        \
        if constexpr (is_compiled(q, L))                                                           \
            return score_fused_launch<q, q / 4 + 1, L>(shape, run);                                \
        break
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
        break;
    }
#undef KNOWN
    *ret_known = false;
    return cudaSuccess;
}

cudaError_t ps_score_known_size(const ps_fused &shape, const ps_score_run &run, bool *ret_known)
{
    *ret_known = true;
    switch (shape.lanes) {
    case 16:
        return launch<16>(shape, run, ret_known);
    case 8:
        return launch<8>(shape, run, ret_known);
    case 4:
        return launch<4>(shape, run, ret_known);
    default:
        *ret_known = false;
        return cudaSuccess;
    }
}
