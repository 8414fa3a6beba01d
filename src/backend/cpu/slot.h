/* Slot of the CPU backend, shared by its stages. */
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

/* Memory that grows and is kept for the next micrograph. */
struct cpu_buffer {
    void *data;
    size_t bytes;
};

struct cpu_adaptive;

struct cpu_slot {
    struct ps_slot base;
    int threads;
    const struct ps_simd *simd;
    size_t max_kept_bytes; /* of responses; if there are more, they are computed twice */

    int width; /* of the micrograph, px */
    int height;
    fftwf_plan forward; /* real to complex, planned_query x planned_query */
    fftwf_plan inverse; /* batch of complex to real */
    int planned_query;

    const float *pixels; /* height x width: those of the caller's image, or of `micrograph` */
    struct cpu_buffer micrograph;        /* float, repaired or of another type before */
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

    struct cpu_adaptive *adaptive; /* state of the adaptive profile; NULL before its first use */
};

/* Grows `buffer` to at least `bytes`, 64-byte aligned; 64 floats after them can be read. Growing
 * loses the contents. PS_E_NOMEM. */
int cpu_buffer_reserve(struct cpu_buffer *buffer, size_t bytes, const char *what,
                       struct ps_error *error);

/* Stages, see backend.h. */
ps_upload_stage cpu_upload;
ps_preprocess_stage cpu_preprocess;
ps_moments_stage cpu_moments;
ps_references_choose_stage cpu_references_choose;
ps_score_stage cpu_score;
ps_classify_stage cpu_classify;
ps_clean_stage cpu_clean;
ps_regions_stage cpu_regions;

/* The loops that cpu_score() uses at this window size: `simd`, or NULL for FFTW. Both agree to
 * rounding; FFTW is faster for large windows. */
const struct ps_simd *cpu_score_choose(const struct ps_simd *simd, int query);

/* Largest value of the cross-correlation of every pair (apple-reference section 5), by `simd` or,
 * if it is NULL, FFTW. Fills `responses` as [block][reference][lane], ceil(queries^2 / lanes)
 * blocks. */
int cpu_score_responses(struct cpu_slot *slot, const struct ps_simd *simd, struct ps_error *error);

/* Frees the FFTW plans of a slot. */
void cpu_score_done(struct cpu_slot *slot);

/* FFTW's planner is not thread-safe; the rest of FFTW is. */
void cpu_planner_lock(void);
void cpu_planner_unlock(void);

/* True if there is memory for a plan: without it the planner ends the process. */
bool cpu_planner_has_memory(void);

#endif
