/* Which of the fused kernels computes a score, and how it is laid out.
 *
 * Shared memory decides how many warps of a multiprocessor are at work. Where there would be fewer
 * than LEAST_WARPS the plain way is taken. That number is a guess, to be measured on cards with 64
 * and 100 KB of it, where cuda_score_by() takes either way: a warp for each of the four schedulers,
 * with 32 to 64 sums that do not wait for one another. For q = 26 the plain way moves some 11 KB a
 * pair of windows, 60 GB for 5.6 million, 70 ms at 0.9 TB/s if the L2 cache is too small for a
 * batch. The 79 G lane operations of the fused way (score_fused_kernel.h) take 5 ms at 17 T a
 * second, 20 ms if a scheduler with one warp has something to issue every fourth cycle. */
#include "score_fused_kernel.h"
#include "score_sizes.h"

enum { MOST_LANES = 16, LEAST_REFERENCES = 16, BLOCKS_PER_MULTIPROCESSOR = 48 };

/* The system takes so much of each block; a multiprocessor has so much more than a block can get,
 * but for compute capability 7.5, where neither is so. */
enum { RESERVED_BYTES = 1024 };
enum { LEAST_WARPS = 4 };

/* Outputs of a part: equal parts of at most 8, and not fewer than there are kernels for. */
static int outputs_of(int wanted)
{
    int parts = (wanted + PS_FUSED_MOST_OUTPUTS - 1) / PS_FUSED_MOST_OUTPUTS;
    int outputs = (wanted + parts - 1) / parts;
    return outputs > PS_FUSED_LEAST_OUTPUTS ? outputs : PS_FUSED_LEAST_OUTPUTS;
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
    f.threads = f.threads < PS_FUSED_MOST_THREADS ? f.threads : (int)PS_FUSED_MOST_THREADS;
    size_t floats = (size_t)f.table_floats + (size_t)2 * q * columns * (lanes + 1) +
                    (size_t)4 * f.between + (size_t)f.threads / PS_WARP * lanes;
    f.shared_bytes = floats * sizeof(float) < INT32_MAX ? (int)(floats * sizeof(float)) : INT32_MAX;
    return f;
}

/* Of a multiprocessor, as far as shared memory goes. */
static int resident_warps(const ps_fused &f, int shared_limit)
{
    int blocks = (shared_limit + RESERVED_BYTES) / (f.shared_bytes + RESERVED_BYTES);
    return blocks * (f.threads / PS_WARP);
}

bool ps_score_fused_plan(int q, int queries, int references, int shared_limit, int multiprocessors,
                         struct ps_fused *ret_shape)
{
    if (q < 4 || q % 2 || q > PS_FUSED_MOST_SIZE)
        return false;
    /* Two blocks of a multiprocessor hide each other's waits; else the most lanes that fit. */
    int half = shared_limit / 2 - RESERVED_BYTES;
    int lanes = MOST_LANES;
    while (lanes > 1 && shape_of(q, lanes).shared_bytes > half)
        lanes /= 2;
    if (shape_of(q, lanes).shared_bytes > half)
        for (lanes = MOST_LANES; lanes > 1 && shape_of(q, lanes).shared_bytes > shared_limit;)
            lanes /= 2;
    ps_fused f = shape_of(q, lanes);
    if (f.shared_bytes > shared_limit || resident_warps(f, shared_limit) < LEAST_WARPS)
        return false;
    f.shared_limit = shared_limit;
    /* Many more blocks than run at once, so that the last of them leave few idle. */
    int groups = (queries + lanes - 1) / lanes;
    f.references = references;
    while (f.references / 2 >= LEAST_REFERENCES &&
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
