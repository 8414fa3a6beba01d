/* Choice of the fused kernel that computes a score, and its layout.
 *
 * Shared memory limits the resident warps of a multiprocessor. Below MIN_WARPS the score uses
 * cuFFT. MIN_WARPS is an estimate, to be measured on GPUs with 64 and 100 KB of shared memory,
 * where cuda_score_by() can take either path: one warp for each of the four schedulers, with 32 to
 * 64 independent sums. For q = 26 cuFFT moves some 11 KB per pair of windows: 60 GB for 5.6 million
 * pairs, 70 ms at 0.9 TB/s if the L2 cache is too small for a batch. The 79 G lane operations of
 * the fused kernel (score_fused_kernel.h) take 5 ms at 17 T per second, 20 ms if a scheduler with
 * one warp issues every fourth cycle. */
#include "score_fused_kernel.h"
#include "score_sizes.h"

enum { MAX_LANES = 16, MIN_REFERENCES = 16, BLOCKS_PER_MULTIPROCESSOR = 48 };

/* The system reserves this much of each block's shared memory. A multiprocessor has this much more
 * than a block can use, except at compute capability 7.5, which reserves nothing. */
enum { RESERVED_BYTES = 1024 };
enum { MIN_WARPS = 4 };

/* Outputs per part: parts of equal size, between the numbers that there are kernels for. */
static int outputs_of(int wanted)
{
    int parts = (wanted + PS_FUSED_MAX_OUTPUTS - 1) / PS_FUSED_MAX_OUTPUTS;
    int outputs = (wanted + parts - 1) / parts;
    return outputs > PS_FUSED_MIN_OUTPUTS ? outputs : PS_FUSED_MIN_OUTPUTS;
}

static ps_fused shape_of(int q, int lanes)
{
    int columns = q / 2 + 1;
    int wanted = q / 4 + 1;
    ps_fused f = {};
    f.q = q;
    f.lanes = lanes;
    f.outputs = outputs_of(wanted);
    f.parts = (wanted + f.outputs - 1) / f.outputs;
    f.table_floats = f.parts * columns * 2 * ps_fused_padded(f.outputs);
    f.stride = ps_fused_stride(columns, lanes);
    f.between = 2 * f.outputs * f.stride;
    int rows = 2 * f.outputs * f.parts; /* of a part, times the parts along them */
    int most = (columns > rows ? columns : rows) * lanes;
    f.threads = (most + PS_WARP - 1) / PS_WARP * PS_WARP;
    f.threads = f.threads < PS_FUSED_MAX_THREADS ? f.threads : (int)PS_FUSED_MAX_THREADS;
    size_t floats = (size_t)f.table_floats + (size_t)2 * q * columns * (lanes + 1) +
                    (size_t)4 * f.between + (size_t)f.threads / PS_WARP * lanes;
    f.shared_bytes = floats * sizeof(float) < INT32_MAX ? (int)(floats * sizeof(float)) : INT32_MAX;
    return f;
}

/* Resident warps of a multiprocessor as limited by shared memory. */
static int resident_warps(const ps_fused &f, int shared_limit)
{
    int blocks = (shared_limit + RESERVED_BYTES) / (f.shared_bytes + RESERVED_BYTES);
    return blocks * (f.threads / PS_WARP);
}

bool ps_score_fused_plan(int q, int queries, int references, int shared_limit, int multiprocessors,
                         struct ps_fused *ret_shape)
{
    if (q < 4 || q % 2 || q > PS_FUSED_MAX_SIZE)
        return false;
    /* Two blocks per multiprocessor hide each other's waits; otherwise as many lanes as fit. */
    int half = shared_limit / 2 - RESERVED_BYTES;
    int lanes = MAX_LANES;
    while (lanes > 1 && shape_of(q, lanes).shared_bytes > half)
        lanes /= 2;
    if (shape_of(q, lanes).shared_bytes > half)
        for (lanes = MAX_LANES; lanes > 1 && shape_of(q, lanes).shared_bytes > shared_limit;)
            lanes /= 2;
    ps_fused f = shape_of(q, lanes);
    if (f.shared_bytes > shared_limit || resident_warps(f, shared_limit) < MIN_WARPS)
        return false;
    f.shared_limit = shared_limit;
    /* Many more blocks than run at once, so that few processors idle at the end. */
    int groups = (queries + lanes - 1) / lanes;
    f.references = references;
    while (f.references / 2 >= MIN_REFERENCES &&
           (int64_t)groups * ((references + f.references - 1) / f.references) <
               (int64_t)BLOCKS_PER_MULTIPROCESSOR * multiprocessors)
        f.references = (f.references + 1) / 2;
    *ret_shape = f;
    return true;
}

cudaError_t ps_launch_score_fused(const struct ps_fused *shape, const struct ps_score_run *run)
{
    bool known = false;
    cudaError_t result = ps_score_known_size(*shape, *run, &known);
    if (known)
        return result;
    switch (shape->outputs) {
    case 4:
        return score_fused_launch<0, 4, 0>(*shape, *run);
    case 5:
        return score_fused_launch<0, 5, 0>(*shape, *run);
    case 6:
        return score_fused_launch<0, 6, 0>(*shape, *run);
    case 7:
        return score_fused_launch<0, 7, 0>(*shape, *run);
    default:
        return score_fused_launch<0, 8, 0>(*shape, *run);
    }
}
