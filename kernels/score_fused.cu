/* Which of the fused kernels computes a score, and how it is laid out. */
#include "score_fused.h"
#include "score_sizes.h"

enum { MOST_LANES = 16, LEAST_REFERENCES = 16, BLOCKS_PER_MULTIPROCESSOR = 48 };

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
    /* Rows that neighbouring threads read at once fall into different banks. */
    f.stride = columns * lanes;
    while (f.stride % 8 != lanes % 8)
        f.stride++;
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

bool ps_score_fused_plan(int q, int queries, int references, int shared_limit, int multiprocessors,
                         struct ps_fused *ret_shape)
{
    if (q < 4 || q % 2 || q > PS_FUSED_MOST_SIZE)
        return false;
    /* Two blocks of a multiprocessor hide each other's waits; else the most lanes that fit. The
     * system takes 1 KB of each block. */
    int half = shared_limit / 2 - 1024;
    int lanes = MOST_LANES;
    while (lanes > 1 && shape_of(q, lanes).shared_bytes > half)
        lanes /= 2;
    if (shape_of(q, lanes).shared_bytes > half)
        for (lanes = MOST_LANES; lanes > 1 && shape_of(q, lanes).shared_bytes > shared_limit;)
            lanes /= 2;
    ps_fused f = shape_of(q, lanes);
    if (f.shared_bytes > shared_limit)
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
