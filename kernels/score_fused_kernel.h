/* Largest value of the circular cross-correlation of every query with every reference
 * (apple-reference section 5) in one kernel: multiply spectra, transform back, take the maximum. It
 * reads spectra and writes one float per pair.
 *
 * The inverse transform is that of src/backend/cpu/simd_score.c, which derives it: two passes of
 * small real matrix products, in which even and odd symmetry leave a quarter of the products. With
 * h = q/2, S_k = P_k + P_(q-k), D_k = P_k - P_(q-k) for the product P of a column kx of the
 * spectra, C[y] = sum_k S_k c(k y), T[y] = sum_k D_k s(k y), 0 <= k <= h, 0 <= y <= h/2, split by
 * the parity of k, give the rows y, q - y, h - y and h + y of the transform along ky. The same sums
 * along kx give E and O, and E + |O| is the larger value at x and q - x. c and s are cosine and
 * sine of 2 pi k y / q, halved for k = 0 and k = h, which have no mirror image but are counted
 * twice both by S and by the half spectrum. The remaining scale, 2 / q^2, is applied to the
 * references.
 *
 * A block takes L queries (lanes) and loops over references. Shared memory holds the queries'
 * spectra, loaded once, [ky][kx][lane]; the spectrum of one reference; and the data between the
 * passes, G, [row pair][kx][lane] as (Re y, Re q-y, Im y, Im q-y). In the first pass a thread
 * computes a column kx of a lane's pair, in the second a pair of rows; both keep J outputs in 8 J
 * registers. If more than J outputs are needed, y is split into parts, with both passes for each.
 *   - Neighbouring threads have neighbouring lanes, then columns (first pass) or rows (second). 8
 * and 16 byte accesses have no bank conflicts, because rows are padded for fewer than 8 lanes.
 *   - A reference's values are equal for all lanes: one broadcast. The next reference is loaded
 *     during the second pass, which does not read it.
 *   - Common sizes have kernels of constant q: all loops are unrolled, and cosines and sines are
 *     kernel parameters that multiply-adds take as operands. Other sizes read them from shared
 *     memory, four at a time, as broadcasts.
 *
 * Arithmetic for q = 26 (sim4k: 4096 x 4096, particles of 78 px): a column of the first pass takes
 * 14 x 10 operations for S and D, 340 multiply-adds and 100 additions; a row pair of the second 340
 * and 112. 14 columns and 13 row pairs: 14,000 lane operations per pair of windows, 79 G for 5.6
 * million pairs, or 0.14 Tflop if a multiply-add counts as two. 67 TFLOP/s are 33.5 T operations
 * per second: at least 2.4 ms, about 3.5 ms with the idle lanes of the last warp and the loads.
 * Bytes: the queries' spectra are read once for each of the 8 parts of the references, 8 x 64 MB,
 * the references' once per block, 64 MB x 256 / 16, nearly all from the L2 cache. DRAM: 64 MB in,
 * 22 MB of responses out, 20 us at 4.3 TB/s. With the size, operations grow as q and pairs shrink
 * as 1 / q^2. */
#ifndef PS_KERNELS_SCORE_FUSED_KERNEL_H
#define PS_KERNELS_SCORE_FUSED_KERNEL_H

#include "reduce.h"

/* Cosines and sines of 2 pi i / Q; Q is 0 if not constant. */
template <int Q> struct ps_score_waves {
    float cosine[Q > 0 ? Q : 1];
    float sine[Q > 0 ? Q : 1];
};

/* Sums over even and odd k of cosines ("c") and sines ("s"). */
template <int J> struct sums {
    float ce[J][2];
    float co[J][2];
    float se[J][2];
    float so[J][2];
};

template <int J> __device__ __forceinline__ void clear(sums<J> &s)
{
    PS_UNROLL
    for (int j = 0; j < J; j++) {
        PS_UNROLL
        for (int i = 0; i < 2; i++)
            s.ce[j][i] = s.co[j][i] = s.se[j][i] = s.so[j][i] = 0;
    }
}

/* Cosines and sines of one k for the J outputs of a part. */
template <int J> struct waves {
    float c[J];
    float s[J];
};

template <int Q, int J>
__device__ __forceinline__ waves<J> waves_at(const ps_score_waves<Q> &constants, const float *table,
                                             int k)
{
    waves<J> w;
    if constexpr (Q > 0) {
        PS_UNROLL
        for (int j = 0; j < J; j++) {
            bool end = k == 0 || k == Q / 2;
            w.c[j] = end ? (k > 0 && j % 2 ? -0.5F : 0.5F) : constants.cosine[k * j % Q];
            w.s[j] = end ? 0.0F : constants.sine[k * j % Q];
        }
    } else {
        const float *from = table + (size_t)k * 2 * ps_fused_padded(J);
        PS_UNROLL
        for (int j = 0; j < J; j += 4) {
            float4 c = *reinterpret_cast<const float4 *>(from + j);
            float4 s = *reinterpret_cast<const float4 *>(from + ps_fused_padded(J) + j);
            const float cs[4] = {c.x, c.y, c.z, c.w};
            const float ss[4] = {s.x, s.y, s.z, s.w};
            PS_UNROLL
            for (int i = 0; i < 4; i++) {
                if (j + i < J) {
                    w.c[j + i] = cs[i];
                    w.s[j + i] = ss[i];
                }
            }
        }
    }
    return w;
}

/* Adds the terms of one k: a to the cosine sums, b to the sine sums. Skips sines known to be 0. */
template <int Q, int J>
__device__ __forceinline__ void add(float (&c)[J][2], float (&s)[J][2], const waves<J> &w, int k,
                                    float2 a, float2 b)
{
    PS_UNROLL
    for (int j = 0; j < J; j++) {
        c[j][0] = ps_multiply_add(a.x, w.c[j], c[j][0]);
        c[j][1] = ps_multiply_add(a.y, w.c[j], c[j][1]);
        if (Q == 0 || 2 * k * j % (Q > 0 ? Q : 1) != 0) {
            s[j][0] = ps_multiply_add(b.x, w.s[j], s[j][0]);
            s[j][1] = ps_multiply_add(b.y, w.s[j], s[j][1]);
        }
    }
}

/* S and D of one k from the spectra of reference r and query q at k and at q - k (m). The product
 * is r conj(q). */
__device__ __forceinline__ void multiply(float2 r, float2 q, float2 rm, float2 qm, float2 &ret_s,
                                         float2 &ret_d)
{
    float mx = ps_multiply_add(rm.x, qm.x, rm.y * qm.y);
    float my = ps_multiply_add(rm.y, qm.x, -(rm.x * qm.y));
    ret_s.x = ps_multiply_add(r.x, q.x, ps_multiply_add(r.y, q.y, mx));
    ret_s.y = ps_multiply_add(r.y, q.x, ps_multiply_add(-r.x, q.y, my));
    ret_d.x = ps_multiply_add(-2.0F, mx, ret_s.x);
    ret_d.y = ps_multiply_add(-2.0F, my, ret_s.y);
}

/* Addresses and sizes of a block. Q and L are 0 if they are not constant. */
template <int Q, int J, int L> struct block {
    const ps_score_waves<Q> &constants;
    const ps_fused &shape;
    float *table;
    float2 *query;
    float2 *reference;
    float4 *between;
    float *best; /* per warp and lane */

    __device__ int q() const
    {
        return Q > 0 ? Q : shape.q;
    }
    __device__ int columns() const
    {
        return q() / 2 + 1;
    }
    __device__ int lanes() const
    {
        return L > 0 ? L : shape.lanes;
    }
    __device__ int stride() const
    {
        return L > 0 ? ps_fused_stride(columns(), L) : shape.stride;
    }
    __device__ int parts() const
    {
        return Q > 0 ? 1 : shape.parts;
    }
    __device__ int outputs() const
    {
        return q() / 4 + 1;
    }
    __device__ const float *table_of(int part) const
    {
        return table + (size_t)part * columns() * 2 * ps_fused_padded(J);
    }
};

/* First pass: the rows of a part, of column kx. */
template <int Q, int J, int L>
__device__ __forceinline__ void transform_column(const block<Q, J, L> &b, int kx, int lane,
                                                 int part)
{
    const int columns = b.columns();
    const int lanes = b.lanes();
    const float *table = b.table_of(part);
    const float2 *query = b.query + kx * lanes + lane;
    const float2 *reference = b.reference + kx;
    sums<J> s;
    clear(s);
    auto term = [&](int k, float(&c)[J][2], float(&t)[J][2]) {
        int m = k ? b.q() - k : 0;
        float2 sum;
        float2 difference;
        multiply(reference[k * columns], query[k * columns * lanes], reference[m * columns],
                 query[m * columns * lanes], sum, difference);
        add<Q, J>(c, t, waves_at<Q, J>(b.constants, table, k), k, sum, difference);
    };
    PS_UNROLL_KNOWN(Q)
    for (int k = 0; k + 1 < columns; k += 2) {
        term(k, s.ce, s.se);
        term(k + 1, s.co, s.so);
    }
    if (columns % 2)
        term(columns - 1, s.ce, s.se);
    float4 *to = b.between + kx * lanes + lane;
    const int y0 = part * J;
    PS_UNROLL
    for (int j = 0; j < J; j++) {
        float cr = s.ce[j][0] + s.co[j][0];
        float ci = s.ce[j][1] + s.co[j][1];
        float hr = s.ce[j][0] - s.co[j][0];
        float hi = s.ce[j][1] - s.co[j][1];
        if (y0 + j == 0) {
            to[0] = float4{cr, hr, ci, hi}; /* rows 0 and h form a pair */
        } else if (y0 + j < b.outputs()) {
            float tr = s.se[j][0] + s.so[j][0];
            float ti = s.se[j][1] + s.so[j][1];
            to[j * b.stride()] = float4{cr - ti, cr + ti, ci + tr, ci - tr};
            tr = s.so[j][0] - s.se[j][0];
            ti = s.so[j][1] - s.se[j][1];
            to[(J + j) * b.stride()] = float4{hr - ti, hr + ti, hi + tr, hi - tr};
        }
    }
}

/* Second pass: the largest value of a pair of rows at the x of a part. */
template <int Q, int J, int L>
__device__ __forceinline__ float largest_of_rows(const block<Q, J, L> &b, int row, int lane,
                                                 int part, float best)
{
    const int columns = b.columns();
    const float *table = b.table_of(part);
    const float4 *from = b.between + row * b.stride() + lane;
    sums<J> s;
    clear(s);
    auto term = [&](int k, float(&c)[J][2], float(&t)[J][2]) {
        float4 value = from[k * b.lanes()];
        add<Q, J>(c, t, waves_at<Q, J>(b.constants, table, k), k, float2{value.x, value.y},
                  float2{value.z, value.w});
    };
    PS_UNROLL_KNOWN(Q)
    for (int k = 0; k + 1 < columns; k += 2) {
        term(k, s.ce, s.se);
        term(k + 1, s.co, s.so);
    }
    if (columns % 2)
        term(columns - 1, s.ce, s.se);
    PS_UNROLL
    for (int j = 0; j < J; j++) {
        PS_UNROLL
        for (int i = 0; i < 2; i++) {
            best = fmaxf(best, s.ce[j][i] + s.co[j][i] + fabsf(s.se[j][i] + s.so[j][i]));
            best = fmaxf(best, s.ce[j][i] - s.co[j][i] + fabsf(s.so[j][i] - s.se[j][i]));
        }
    }
    return best;
}

/* Both passes for one reference; returns the largest value of this thread. Loads the next reference
 * during the last second pass. */
template <int Q, int J, int L>
__device__ __forceinline__ float respond(const block<Q, J, L> &b, const float4 *next)
{
    const int lanes = b.lanes();
    const int lane = (int)threadIdx.x % lanes;
    const int threads = (int)blockDim.x;
    float best = -3.4e38F;
    for (int part = 0; part < b.parts(); part++) {
        for (int i = (int)threadIdx.x; i < b.columns() * lanes; i += threads)
            transform_column(b, i / lanes, lane, part);
        __syncthreads();
        if (next && part == b.parts() - 1)
            for (int i = (int)threadIdx.x; i < b.q() * b.columns() / 2; i += threads)
                reinterpret_cast<float4 *>(b.reference)[i] = next[i];
        int first = part == 0; /* the pair of rows 0 and h counts once */
        int low = min(J, b.outputs() - part * J);
        int rows = 2 * low - first;
        if (part == b.parts() - 1 && b.q() % 4 == 0)
            rows--; /* here h - y equals y */
        for (int i = (int)threadIdx.x; i < rows * lanes * b.parts(); i += threads) {
            int row = i / lanes % rows;
            row = row < low ? row : J + row - low + first;
            best = largest_of_rows(b, row, lane, i / lanes / rows, best);
        }
        if (part < b.parts() - 1)
            __syncthreads();
    }
    return best;
}

/* Loads the spectra of the block's queries, without DC. Lanes after the last query repeat it. */
template <int Q, int J, int L>
__device__ void load_queries(const block<Q, J, L> &b, const float2 *spectra, int count)
{
    const int lanes = b.lanes();
    const int complexes = b.q() * b.columns();
    for (int i = (int)threadIdx.x; i < complexes / 2 * lanes; i += (int)blockDim.x) {
        int lane = i % lanes;
        int at = i / lanes * 2;
        int query = min((int)blockIdx.x * lanes + lane, count - 1);
        float4 two =
            *reinterpret_cast<const float4 *>(spectra + (size_t)query * (size_t)complexes + at);
        b.query[at * lanes + lane] = at == 0 ? float2{0, 0} : float2{two.x, two.y};
        b.query[(at + 1) * lanes + lane] = float2{two.z, two.w};
    }
}

/* grid: groups of L queries x parts of the references. Responses are [group][reference][lane]. */
template <int Q, int J, int L>
__global__ void __launch_bounds__(PS_FUSED_MAX_THREADS, Q > 0 ? 2 : 1)
    k_score_fused(ps_fused shape, ps_score_waves<Q> constants, const float *table,
                  const float2 *queries, int query_count, const float2 *references,
                  int reference_count, float *ret_responses)
{
    PS_SHARED(float, shared);
    const int complexes = (Q > 0 ? Q : shape.q) * ((Q > 0 ? Q : shape.q) / 2 + 1);
    const int lanes = L > 0 ? L : shape.lanes;
    float *spectra = shared + shape.table_floats;
    float *between = spectra + 2 * complexes * (lanes + 1);
    const block<Q, J, L> b = {
        constants,
        shape,
        shared,
        reinterpret_cast<float2 *>(spectra + 2 * complexes),
        reinterpret_cast<float2 *>(spectra),
        reinterpret_cast<float4 *>(between),
        between + 4 * shape.between,
    };
    const int first = (int)blockIdx.y * shape.references;
    const int last = min(first + shape.references, reference_count);
    const float4 *reference =
        reinterpret_cast<const float4 *>(references + (size_t)first * (size_t)complexes);
    for (int i = (int)threadIdx.x; i < shape.table_floats; i += (int)blockDim.x)
        b.table[i] = table[i];
    for (int i = (int)threadIdx.x; i < complexes / 2; i += (int)blockDim.x)
        reinterpret_cast<float4 *>(b.reference)[i] = reference[i];
    load_queries(b, queries, query_count);
    __syncthreads();
    for (int r = first; r < last; r++) {
        reference += complexes / 2;
        float best = respond(b, r + 1 < last ? reference : nullptr);
        for (int distance = PS_WARP / 2; distance >= lanes; distance /= 2)
            best = fmaxf(best, __shfl_xor_sync(PS_EVERY_LANE, best, distance));
        if ((int)threadIdx.x % PS_WARP < lanes)
            b.best[(int)threadIdx.x / PS_WARP * lanes + (int)threadIdx.x % PS_WARP] = best;
        __syncthreads();
        if ((int)threadIdx.x < lanes) {
            for (int w = 0; w < (int)blockDim.x / PS_WARP; w++)
                best = fmaxf(best, b.best[w * lanes + (int)threadIdx.x]);
            ret_responses[((size_t)blockIdx.x * (size_t)reference_count + (size_t)r) * lanes +
                          threadIdx.x] = best;
        }
    }
}

template <int Q, int J, int L>
static cudaError_t score_fused_launch(const ps_fused &shape, const ps_score_run &run)
{
    auto *kernel = k_score_fused<Q, J, L>;
    ps_score_waves<Q> waves = {};
    for (int i = 0; i < Q; i++) {
        waves.cosine[i] = run.waves[i];
        waves.sine[i] = run.waves[Q + i];
    }
    const void *function = reinterpret_cast<const void *>(kernel);
    /* The attribute belongs to the kernel and so to all slots. The device's limit is set, because a
     * smaller value could undo the one that another slot with larger windows has just set. */
    cudaError_t result = cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                              shape.shared_limit);
    if (result == cudaSuccess)
        result = cudaFuncSetAttribute(function, cudaFuncAttributePreferredSharedMemoryCarveout,
                                      100); /* percent */
    if (result != cudaSuccess)
        return result;
    dim3 grid(ps_blocks((size_t)run.queries, (size_t)shape.lanes),
              ps_blocks((size_t)run.references, (size_t)shape.references));
    return PS_LAUNCH(kernel, grid, (unsigned)shape.threads, (size_t)shape.shared_bytes, run.stream,
                     shape, waves, run.table, reinterpret_cast<const float2 *>(run.query_spectra),
                     run.queries, reinterpret_cast<const float2 *>(run.reference_spectra),
                     run.references, run.responses);
}

#endif
