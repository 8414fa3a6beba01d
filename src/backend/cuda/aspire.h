/* What the stages of the aspire profile keep in a slot of the CUDA backend (aspire.c,
 * score.c, clean.c). */
#ifndef PS_BACKEND_CUDA_ASPIRE_H
#define PS_BACKEND_CUDA_ASPIRE_H

#include "backend/cuda/slot.h"
#include "launch.h"

struct cuda_aspire {
    int windows;     /* per side, that lie inside the preprocessed image */
    int queries;     /* per side */
    int shrunk_from; /* side of the crop that the weights shrink; 0: none yet */
    int taps;
    int table_of; /* size of the windows that the tables are for; 0: none yet */
    float waves[2 * PS_FUSED_MOST_SIZE]; /* cosines and sines of 2 pi i / table_of */

    struct cuda_buffer weights; /* double, side x taps; then first taps (int, a side) */
    struct cuda_buffer sums;    /* double, of the shrunk image's tiles; before them `outside` */
    struct cuda_buffer shrunk;  /* float, side x side */
    struct cuda_buffer preprocessed; /* float, side x side */
    struct cuda_buffer prefix;       /* pairs of doubles, side x (side + 1) */
    struct cuda_buffer mean;         /* float, windows x windows */
    struct cuda_buffer deviation;    /* float, windows x windows */
    struct cuda_buffer origins;      /* int, references x 2 */
    struct cuda_buffer features;     /* places and features of a few windows */

    struct cuda_plan plan;      /* of windows and of correlations, a batch of them */
    struct cuda_buffer work;    /* of cuFFT */
    struct cuda_buffer batch;   /* float, batch x q x q */
    struct cuda_buffer product; /* complex, batch x q x (q/2 + 1): the plain path only */
    struct cuda_buffer spectra; /* of the queries */
    struct cuda_buffer reference_spectra;
    struct cuda_buffer table;     /* cosines and sines */
    struct cuda_buffer responses; /* float, references x queries kept */
    struct cuda_buffer ranges;    /* of the responses: a block's and all */
    struct cuda_buffer score;     /* int32, queries x queries */

    struct cuda_buffer support;    /* float, u, v, weights of support vectors */
    struct cuda_buffer counters;   /* a few integers that kernels count with */
    struct cuda_buffer mask;       /* uint8, windows x windows */
    struct cuda_buffer levels;     /* uint8, windows x windows: erosions; before it `large` */
    struct cuda_buffer distances;  /* uint16, windows x windows */
    struct cuda_buffer labels;     /* int, windows x windows + 1 */
    struct cuda_buffer row_counts; /* int, windows */
    struct cuda_buffer measures;   /* of as many regions as there can be */
};

/* The slot's, made when first asked for. PS_E_NOMEM. */
int cuda_aspire_get(struct cuda_slot *slot, struct cuda_aspire **ret_aspire,
                    struct ps_error *error);

/* How cuda_score() computes: fused in one kernel, or plainly by cuFFT. Both agree to rounding; the
 * plain way is for windows too large for the other, and to hold it against. */
enum cuda_score_path { CUDA_SCORE_BEST, CUDA_SCORE_PLAIN };
int cuda_score_by(struct cuda_slot *slot, enum cuda_score_path path, size_t most_kept,
                  struct ps_error *error);
/* Bytes of responses that are kept; where they are more they are computed twice. */
#define CUDA_MOST_KEPT ((size_t)1 << 30)

#endif
