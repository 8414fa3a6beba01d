/* Largest value of a circular cross-correlation, many queries at once.
 *
 * Each vector lane holds one query, so nothing is shuffled. For a pair of windows the inverse
 * transform of the half spectrum P[kx][ky] is computed as two passes of small real matrix products.
 * It is never stored: the second pass only keeps a running maximum.
 *
 * With h = q/2, S_k = P_k + P_(q-k), D_k = P_k - P_(q-k), a pass over ky is
 *     C[y] = sum_k S_k cos(2 pi k y / q), T[y] = sum_k D_k sin(2 pi k y / q), 0 <= k <= h
 *     G[y] = C[y] + i T[y],  G[q - y] = C[y] - i T[y]
 * and splitting each sum by the parity of k gives y and h - y together:
 *     C[y] = Ce + Co,  C[h - y] = Ce - Co,  T[y] = Te + To,  T[h - y] = To - Te.
 * This leaves a quarter of the products of the plain matrix, about as many as an FFT of these sizes
 * takes, in straight loops of fused multiply-adds. The pass over kx is the same on real numbers:
 *     E[x] = sum Re G cos, O[x] = sum Im G sin;  values E - O at x and E + O at q - x,
 * of which the larger one is E + |O|.
 */
#include "backend/cpu/simd.h"
#include "backend/cpu/simd_lanes.h"

#include <string.h>

/* Shape of the sums: numbers of even and odd k in the cosine and sine sums, numbers of outputs. */
struct shape {
    int h;               /* q / 2 */
    int cosines;         /* outputs y = 0 .. h/2 */
    int sines;           /* outputs y = 1 .. h/2 */
    int cosine_terms[2]; /* even k: 0, 2, ...; odd k: 1, 3, ...; up to h */
    int sine_terms[2];   /* even k: 2, 4, ...; odd k: 1, 3, ...; up to h - 1 */
};

static struct shape shape_of(int q)
{
    int h = q / 2;
    return (struct shape){h, h / 2 + 1, h / 2, {h / 2 + 1, (h + 1) / 2}, {(h - 1) / 2, h / 2}};
}

/* ret[j][v] = sum_k table[k][j] * in[k][v], two vectors v and J outputs j in registers. */
#define DOT_BLOCK(J)                                                                               \
    static void dot_##J(const float *table, int row, const lanes *in, int terms, lanes *ret)       \
    {                                                                                              \
        lanes sum[J][2];                                                                           \
        for (int j = 0; j < (J); j++)                                                              \
            sum[j][0] = sum[j][1] = broadcast(0.0F);                                               \
        for (int k = 0; k < terms; k++) {                                                          \
            lanes a = in[(size_t)k * 4];                                                           \
            lanes b = in[(size_t)k * 4 + 1];                                                       \
            _Pragma("GCC unroll 8") for (int j = 0; j < (J); j++)                                  \
            {                                                                                      \
                lanes t = broadcast(table[(size_t)k * (size_t)row + (size_t)j]);                   \
                sum[j][0] += t * a;                                                                \
                sum[j][1] += t * b;                                                                \
            }                                                                                      \
        }                                                                                          \
        for (int j = 0; j < (J); j++) {                                                            \
            ret[(size_t)j * 2] = sum[j][0];                                                        \
            ret[(size_t)j * 2 + 1] = sum[j][1];                                                    \
        }                                                                                          \
    }
DOT_BLOCK(1)
DOT_BLOCK(2)
DOT_BLOCK(3)
DOT_BLOCK(4)
DOT_BLOCK(5)
DOT_BLOCK(6)
DOT_BLOCK(7)
DOT_BLOCK(8)

/* The same for any number of outputs, in blocks of equal size up to MAX_BLOCK. Inputs are every
 * second pair of vectors: the even or the odd k. */
static void dot(const float *table, int outputs, const lanes *in, int terms, lanes *ret)
{
    int blocks = (outputs + MAX_BLOCK - 1) / MAX_BLOCK;
    for (int done = 0; blocks > 0; blocks--) {
        int size = (outputs - done + blocks - 1) / blocks;
        const float *from = table + done;
        lanes *to = ret + (size_t)done * 2;
        switch (size) {
        case 1:
            dot_1(from, outputs, in, terms, to);
            break;
        case 2:
            dot_2(from, outputs, in, terms, to);
            break;
        case 3:
            dot_3(from, outputs, in, terms, to);
            break;
        case 4:
            dot_4(from, outputs, in, terms, to);
            break;
        case 5:
            dot_5(from, outputs, in, terms, to);
            break;
        case 6:
            dot_6(from, outputs, in, terms, to);
            break;
        case 7:
            dot_7(from, outputs, in, terms, to);
            break;
        default:
            dot_8(from, outputs, in, terms, to);
            break;
        }
        done += size;
    }
}

/* Even and odd parts of the cosine sums of `c` and of the sine sums of `s`, pairs of vectors
 * indexed by k from 0. ret[0], ret[1]: cosines, even and odd; ret[2], ret[3]: sines. */
static void half_sums(const struct shape *shape, const float *table, const lanes *c, const lanes *s,
                      lanes *ret[4])
{
    for (int odd = 0; odd < 2; odd++) {
        dot(table, shape->cosines, c + (size_t)odd * 2, shape->cosine_terms[odd], ret[odd]);
        table += (size_t)shape->cosines * (size_t)shape->cosine_terms[odd];
    }
    for (int odd = 0; odd < 2; odd++) {
        if (shape->sines == 0)
            continue;
        dot(table, shape->sines, s + (odd ? 2 : 4), shape->sine_terms[odd], ret[2 + odd]);
        table += (size_t)shape->sines * (size_t)shape->sine_terms[odd];
    }
}

/* Scratch, in vectors. Rows y and q - y of G are stored as a pair, rows 0 and h as pair 0. */
struct scratch {
    lanes *query; /* [kx][ky] complex */
    lanes *real;  /* Re G, [pair][kx][2] */
    lanes *imag;
    lanes *sum;        /* S, [k] complex */
    lanes *difference; /* D */
    lanes *half[4];    /* [output][2] */
};

static size_t scratch_vectors(int q)
{
    size_t h = (size_t)q / 2;
    return 2 * (size_t)q * (h + 1) + 4 * h * (h + 1) + 4 * (h + 1) + 4 * 2 * (h / 2 + 1);
}

static struct scratch scratch_of(int q, float *memory)
{
    size_t h = (size_t)q / 2;
    struct scratch s;
    s.query = (lanes *)memory;
    s.real = s.query + 2 * (size_t)q * (h + 1);
    s.imag = s.real + 2 * h * (h + 1);
    s.sum = s.imag + 2 * h * (h + 1);
    s.difference = s.sum + 2 * (h + 1);
    s.half[0] = s.difference + 2 * (h + 1);
    for (int i = 1; i < 4; i++)
        s.half[i] = s.half[i - 1] + 2 * (h / 2 + 1);
    return s;
}

static void pack_queries(int q, const float *queries, lanes *ret)
{
    size_t columns = (size_t)q / 2 + 1;
    size_t complexes = (size_t)q * columns;
    float *out = (float *)ret;
    for (size_t kx = 0; kx < columns; kx++)
        for (size_t ky = 0; ky < (size_t)q; ky++)
            for (size_t part = 0; part < 2; part++)
                for (size_t lane = 0; lane < LANES; lane++)
                    *out++ = queries[2 * (lane * complexes + ky * columns + kx) + part];
}

/* S and D of one column of the product of a reference with the conjugate queries. */
static void multiply(const struct shape *shape, const lanes *query, const float *reference,
                     struct scratch *s)
{
    int h = shape->h;
    for (int k = 0; k <= h; k++) {
        size_t at = (size_t)k * 2;
        lanes qr = query[at];
        lanes qi = query[at + 1];
        lanes rr = broadcast(reference[at]);
        lanes ri = broadcast(reference[at + 1]);
        lanes pr = rr * qr + ri * qi;
        lanes pi = ri * qr - rr * qi;
        if (k == 0 || k == h) {
            s->sum[at] = pr;
            s->sum[at + 1] = pi;
            continue;
        }
        size_t mirror = (size_t)(2 * h - k) * 2;
        qr = query[mirror];
        qi = query[mirror + 1];
        rr = broadcast(reference[mirror]);
        ri = broadcast(reference[mirror + 1]);
        lanes mr = rr * qr + ri * qi;
        lanes mi = ri * qr - rr * qi;
        s->sum[at] = pr + mr;
        s->sum[at + 1] = pi + mi;
        s->difference[at] = pr - mr;
        s->difference[at + 1] = pi - mi;
    }
}

/* Rows y and q - y of column kx of G from C[y] and T[y]. */
static void store_rows(const struct scratch *s, size_t at, lanes cr, lanes ci, lanes tr, lanes ti)
{
    s->real[at] = cr - ti;
    s->real[at + 1] = cr + ti;
    s->imag[at] = ci + tr;
    s->imag[at + 1] = ci - tr;
}

static void transform_column(const struct shape *shape, const float *table, struct scratch *s,
                             int kx)
{
    int h = shape->h;
    half_sums(shape, table, s->sum, s->difference, s->half);
    lanes *const *half = s->half;
    size_t column = (size_t)kx * 2;
    size_t row = ((size_t)h + 1) * 2;
    s->real[column] = half[0][0] + half[1][0];
    s->real[column + 1] = half[0][0] - half[1][0];
    s->imag[column] = half[0][1] + half[1][1];
    s->imag[column + 1] = half[0][1] - half[1][1];
    for (int y = 1; y < shape->cosines; y++) {
        const lanes *ce = half[0] + (size_t)y * 2;
        const lanes *co = half[1] + (size_t)y * 2;
        const lanes *te = half[2] + (size_t)(y - 1) * 2;
        const lanes *to = half[3] + (size_t)(y - 1) * 2;
        store_rows(s, (size_t)y * row + column, ce[0] + co[0], ce[1] + co[1], te[0] + to[0],
                   te[1] + to[1]);
        store_rows(s, (size_t)(h - y) * row + column, ce[0] - co[0], ce[1] - co[1], to[0] - te[0],
                   to[1] - te[1]);
    }
}

static lanes maximum_of_pair(const struct shape *shape, const float *table, struct scratch *s,
                             int pair, lanes best)
{
    size_t at = (size_t)pair * ((size_t)shape->h + 1) * 2;
    half_sums(shape, table, s->real + at, s->imag + at, s->half);
    lanes *const *half = s->half;
    for (size_t v = 0; v < 2; v++) {
        best = larger(best, half[0][v] + half[1][v]);
        best = larger(best, half[0][v] - half[1][v]);
        for (int x = 1; x < shape->cosines; x++) {
            size_t i = (size_t)x * 2 + v;
            lanes ee = half[0][i];
            lanes eo = half[1][i];
            lanes oe = half[2][i - 2];
            lanes oo = half[3][i - 2];
            best = larger(best, ee + eo + absolute(oe + oo));
            best = larger(best, ee - eo + absolute(oo - oe));
        }
    }
    return best;
}

void PS_SIMD_NAME(ps_score)(int q, const float *table, const float *queries,
                            const float *references, size_t count, float *memory, float *ret_max)
{
    struct shape shape = shape_of(q);
    struct scratch s = scratch_of(q, memory);
    size_t column = (size_t)q * 2;
    pack_queries(q, queries, s.query);
    for (size_t r = 0; r < count; r++) {
        for (int kx = 0; kx <= shape.h; kx++) {
            multiply(&shape, s.query + (size_t)kx * column, references, &s);
            references += column;
            transform_column(&shape, table, &s, kx);
        }
        lanes best = broadcast(-3.4e38F);
        for (int pair = 0; pair < shape.h; pair++)
            best = maximum_of_pair(&shape, table, &s, pair, best);
        memcpy(ret_max + r * LANES, &best, sizeof best);
    }
}

size_t PS_SIMD_NAME(ps_score_scratch)(int q)
{
    return scratch_vectors(q) * LANES;
}
