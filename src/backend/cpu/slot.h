/* The CPU backend's slot, shared by its stages. */
#ifndef PS_BACKEND_CPU_SLOT_H
#define PS_BACKEND_CPU_SLOT_H

#include "backend/backend.h"
#include "backend/cpu/simd.h"

#include <fftw3.h>

struct cpu_backend {
    struct ps_backend base;
    int threads;
    const struct ps_simd *simd;
};

/* A block of memory that grows and is kept for the next micrograph. */
struct cpu_buffer {
    void *data;
    size_t bytes;
};

struct cpu_adaptive;

struct cpu_slot {
    struct ps_slot base;
    int threads;
    const struct ps_simd *simd;
    size_t most_kept; /* bytes of responses; where they are more they are computed twice */

    int width; /* of the micrograph, px */
    int height;
    int windows;        /* per side, that lie inside the preprocessed image */
    int queries;        /* per side */
    fftwf_plan forward; /* real to complex, planned_query x planned_query */
    fftwf_plan inverse; /* a batch of them back */
    int planned_query;

    struct cpu_buffer micrograph;        /* float, height x width */
    struct cpu_buffer shrunk;            /* float, side x side, between passes of preprocess */
    struct cpu_buffer narrowed;          /* float, crop side x side */
    struct cpu_buffer preprocessed;      /* float, side x side */
    struct cpu_buffer mean;              /* float, windows x windows */
    struct cpu_buffer deviation;         /* float, windows x windows */
    struct cpu_buffer spectra;           /* of the references */
    struct cpu_buffer responses;         /* float, [block of lanes][reference][lane] */
    struct cpu_buffer score;             /* int32, queries x queries */
    struct cpu_buffer mask;              /* uint8, windows x windows */
    struct cpu_buffer levels;            /* uint8, windows x windows */
    struct cpu_buffer reference_origins; /* int, references x 2 */
    struct cpu_buffer scratch;           /* per thread */

    struct cpu_adaptive *adaptive; /* of that profile (adaptive.h); NULL before */
};

/* Makes `buffer` hold at least `bytes`, 64-byte aligned; contents are lost when it grows. */
int cpu_buffer_reserve(struct cpu_buffer *buffer, size_t bytes, const char *what,
                       struct ps_error *error);

/* The stages, as backend.h states them. */
int cpu_upload(struct ps_slot *base, const struct ps_image *image,
               struct ps_pixel_report *ret_report, struct ps_error *error);
int cpu_preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error);
int cpu_moments(struct ps_slot *base, int query, struct ps_error *error);
int cpu_references_choose(struct ps_slot *base, int container, struct ps_error *error);
int cpu_score(struct ps_slot *base, struct ps_error *error);
int cpu_classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                 struct ps_error *error);
int cpu_clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error);
int cpu_regions(struct ps_slot *base, int margin_before, int margin_after,
                struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error);

/* How cpu_score() computes a response: by the loops of `simd`, or by FFTW where that is NULL. The
 * two agree to rounding; FFTW is the plain form, and the faster one for large windows. */
const struct ps_simd *cpu_score_choose(const struct ps_simd *simd, int query);

/* The largest value of the cross-correlation of every pair (apple-reference section 5), one path or
 * the other: `responses` becomes [block][reference][lane] with ceil(queries^2 / lanes) blocks. */
int cpu_score_responses(struct cpu_slot *slot, const struct ps_simd *simd, struct ps_error *error);

/* Frees the FFTW plans of a slot. */
void cpu_score_done(struct cpu_slot *slot);

/* FFTW's planner is the one thing in it that threads may not share. */
void cpu_planner_lock(void);
void cpu_planner_unlock(void);

#endif
