/* State of the aspire profile in a slot of the CUDA backend, for aspire.c, score.c and clean.c. */
#ifndef PS_BACKEND_CUDA_ASPIRE_H
#define PS_BACKEND_CUDA_ASPIRE_H

#include "backend/cuda/slot.h"
#include "launch.h"

struct cuda_aspire {
    int shrunk_from; /* side of the crop that the weights shrink, px; 0: none */
    int taps;
    int table_of;                       /* window size of the tables; 0: none */
    float waves[2 * PS_FUSED_MAX_SIZE]; /* cosines and sines of 2 pi i / table_of */

    struct cuda_buffer weights; /* double, side x taps; then the first taps (int, side) */
    struct cuda_buffer sums;    /* float `outside` in the first 8 bytes; then double, per tile */
    struct cuda_buffer shrunk;  /* float, side x side */
    struct cuda_buffer preprocessed; /* float, side x side */
    struct cuda_buffer prefix;       /* pairs of doubles, side x (side + 1) */
    struct cuda_buffer mean;         /* float, windows x windows */
    struct cuda_buffer deviation;    /* float, windows x windows */
    struct cuda_buffer origins;      /* int, references x 2 */
    struct cuda_buffer features;     /* origins and features of some windows */

    struct cuda_plan plan;      /* of a batch of windows and correlations */
    struct cuda_buffer work;    /* of cuFFT */
    struct cuda_buffer batch;   /* float, batch x q x q */
    struct cuda_buffer product; /* complex, batch x q x (q/2 + 1): the plain path only */
    struct cuda_buffer spectra; /* of the queries */
    struct cuda_buffer reference_spectra;
    struct cuda_buffer table;     /* cosines and sines */
    struct cuda_buffer responses; /* float, references x queries kept */
    struct cuda_buffer ranges;    /* of the responses: per block, and of all */
    struct cuda_buffer score;     /* int32, queries x queries */

    struct cuda_buffer support;    /* float: u, v, weights of the support vectors */
    struct cuda_buffer counters;   /* integers that kernels count with */
    struct cuda_buffer mask;       /* uint8, windows x windows */
    struct cuda_buffer levels;     /* uint8, windows x windows, twice: `large`, then erosions */
    struct cuda_buffer distances;  /* uint16, windows x windows */
    struct cuda_buffer labels;     /* int, windows x windows + 1 */
    struct cuda_buffer row_counts; /* int, windows */
    struct cuda_buffer measures;   /* of the largest possible number of regions */
};

/* State of a slot, created by the first call. PS_E_NOMEM. */
int cuda_aspire_get(struct cuda_slot *slot, struct cuda_aspire **ret_aspire,
                    struct ps_error *error);

/* Path of cuda_score(): one fused kernel, or cuFFT. Both agree to rounding. cuFFT takes windows too
 * large for the kernel and is the reference for its test. */
enum cuda_score_path { CUDA_SCORE_BEST, CUDA_SCORE_PLAIN };
int cuda_score_by(struct cuda_slot *slot, enum cuda_score_path path, size_t max_kept_bytes,
                  struct ps_error *error);
/* Bytes of responses that are kept; if there are more, they are computed twice. */
#define CUDA_MAX_KEPT_BYTES ((size_t)1 << 30)

#endif
