/* What a compute device does for the picker: the stages of one micrograph.
 *
 * A backend (CPU, CUDA) opens a device and hands out slots. A slot is the unit of ownership: it
 * holds one micrograph in flight with everything the device needs for it, is used by one thread at
 * a time, and keeps its memory for the next micrograph. No pointer into a device leaves it; results
 * are copied into the caller's memory.
 *
 * picker.c calls the stages in their order and decides between them; a backend decides nothing. A
 * stage may return before its work is done and its failure may show in the next call that returns
 * something. fetch() copies any intermediate out, so that each stage can be held against another
 * backend or a golden file. Stages return PS_E_NOMEM or PS_E_DEVICE beside what they state.
 *
 * These are the stages of the `aspire` profile; those of `adaptive` are in adaptive.h.
 *
 * Sections are those of apple-reference. Sizes are in working pixels: those of the preprocessed
 * image, which has `side` rows of `side` pixels, half the micrograph's resolution.
 */
#ifndef PS_BACKEND_BACKEND_H
#define PS_BACKEND_BACKEND_H

#include "backend/adaptive.h"
#include "config/config.h"
#include "formulas/decision.h"
#include "image/binary.h"
#include "pickstream.h"

#include <stdint.h>

/* What was wrong with the pixels, seen while they were converted to float32. Non-finite pixels are
 * replaced by the mean of the finite ones; rows and columns of one single value in an image that is
 * not constant (a dead readout line) by interpolation between their living neighbours. */
struct ps_pixel_report {
    uint64_t non_finite;
    int dead_columns;
    int dead_rows;
    int first_dead_column; /* -1: none */
    int first_dead_row;
    double minimum; /* of the finite pixels */
    double maximum;
    double mean;
};

/* A square of the micrograph, in its own pixels. */
struct ps_crop {
    int left;
    int top;
    int side;
};

/* Copies out of a slot, in this element type and shape. */
enum ps_buffer {
    PS_BUFFER_PREPROCESSED, /* float, side x side: image minus ps_slot.grey_offset */
    PS_BUFFER_MEAN,       /* float, windows x windows, minus grey_offset; windows = side - q + 1 */
    PS_BUFFER_DEVIATION,  /* float, windows x windows */
    PS_BUFFER_REFERENCES, /* float, references x q x q, minus grey_offset */
    PS_BUFFER_SCORE,      /* int32, queries x queries; queries = side / (q / 2) - 1 */
    PS_BUFFER_MASK,       /* uint8, windows x windows: classified, later cleaned */
};

struct ps_backend {
    const struct ps_backend_ops *ops;
    char device[96]; /* "cpu AMD EPYC 9654, 2 threads, avx512", "cuda:0 NVIDIA H200" */
    char note[256];  /* why "auto" did not take a GPU; else empty */
};

struct ps_slot {
    struct ps_backend *backend;
    int side;           /* of the preprocessed image, px; 0 before */
    int query;          /* side q of a window, px */
    int references;     /* how many */
    double grey_offset; /* subtracted from the preprocessed image */
};

struct ps_backend_options {
    int threads; /* of the CPU; 0: every core */
    int device;  /* number of the GPU */
};

enum { PS_MOST_SPANS = 1024 }; /* that a slot notes between two calls of trace() */

/* When a device worked on one call of a stage, ms by the monotonic clock. */
struct ps_span {
    const char *stage;
    double begin_ms;
    double end_ms;
};

struct ps_backend_ops {
    const char *name;

    int (*open)(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                struct ps_error *error);
    void (*close)(struct ps_backend *backend);
    int (*slot_new)(struct ps_backend *backend, struct ps_slot **ret_slot, struct ps_error *error);
    void (*slot_free)(struct ps_slot *slot);

    /* The micrograph, converted to float32 and repaired. */
    int (*upload)(struct ps_slot *slot, const struct ps_image *image,
                  struct ps_pixel_report *ret_report, struct ps_error *error);

    /* Section 2: crop, shrink by two with a bicubic kernel, low-pass. */
    int (*preprocess)(struct ps_slot *slot, const struct ps_crop *crop, struct ps_error *error);

    /* Section 3: mean and standard deviation of every query x query window that lies inside. */
    int (*moments)(struct ps_slot *slot, int query, struct ps_error *error);

    /* Section 4: four references from every container x container part. */
    int (*references_choose)(struct ps_slot *slot, int container, struct ps_error *error);

    /* Section 5: for every query window the number of references that respond to it. */
    int (*score)(struct ps_slot *slot, struct ps_error *error);

    /* Features of `count` windows, given as (row, column) of their first pixels. */
    int (*features)(struct ps_slot *slot, const int (*windows)[2], size_t count,
                    struct ps_feature *ret_features, struct ps_error *error);

    /* Section 7: the mask of windows that the model calls particle, and how many they are. */
    int (*classify)(struct ps_slot *slot, const struct ps_model *model, size_t *ret_particle,
                    struct ps_error *error);

    /* Section 8: fill the mask's holes, erode it by the disk of radius `smallest`, drop the regions
     * that survive an erosion by the disk of radius `largest`. */
    int (*clean)(struct ps_slot *slot, int smallest, int largest, struct ps_error *error);

    /* Section 9, steps 1 and 2: the regions of the mask without its outer `margin_before` first and
     * `margin_after` last rows and columns, in scan order, coordinates counted from there.
     * `*ret_regions` is the caller's to free. */
    int (*regions)(struct ps_slot *slot, int margin_before, int margin_after,
                   struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error);

    /* Copies a buffer of exactly `bytes` out. PS_E_BUG: another size. */
    int (*fetch)(struct ps_slot *slot, enum ps_buffer buffer, void *ret_data, size_t bytes,
                 struct ps_error *error);

    /* (optional) Notes from now on when the device works on which stage, and returns what was noted
     * since the last call, `room` spans at most (of PS_MOST_SPANS), after waiting for it. */
    int (*trace)(struct ps_slot *slot, struct ps_span *ret_spans, size_t room, size_t *ret_count,
                 struct ps_error *error);

    /* The stages of the adaptive profile; NULL where the backend has none. */
    const struct ps_adaptive_ops *adaptive;
};

extern const struct ps_backend_ops ps_backend_cpu;
extern const struct ps_backend_ops ps_backend_cuda; /* where PS_CUDA is 1 */

/* The devices that `choice` ("auto", "cpu", "cuda" or "cuda:N") and `devices` (compute.devices)
 * name, as numbers for ps_backend_open(). "cpu", and "auto" and "cuda" where there is no GPU, are
 * one, 0. PS_E_DEVICE: a number that this machine does not have. */
int ps_backend_devices(const char *choice, const struct ps_list *devices,
                       int ret_devices[PS_MAX_DEVICES], int *ret_count, struct ps_error *error);

/* Opens a device of the backend that `choice` names. "auto" takes the GPU if this build and this
 * machine have it, else the CPU, and says why in its note. PS_E_DEVICE: not in this build, no such
 * device, or one that does not work. */
int ps_backend_open(const char *choice, int device, int threads, bool require_gpu,
                    struct ps_backend **ret_backend, struct ps_error *error);

/* GPUs of this machine; 0 without a driver. */
int ps_cuda_count(void);

#endif
