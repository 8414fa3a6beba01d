/* Interface of the compute devices: the stages of one micrograph.
 *
 * A backend (CPU, CUDA) opens a device and creates slots. A slot owns the device memory of one
 * micrograph, is used by one thread at a time, and keeps its memory for the next micrograph.
 * Pointers into device memory stay inside the backend; results are copied to the caller.
 *
 * The picker calls the stages in order and decides between them; a backend decides nothing. A stage
 * may return before its work is done; its failure then shows in the next call that returns data.
 * fetch() copies any intermediate result out, so that each stage can be compared with another
 * backend or a golden file.
 *
 * The stages of the `aspire` profile are here, those of `adaptive` in adaptive.h. Section numbers
 * are those of apple-reference. Sizes are in working pixels: px of the preprocessed image, which
 * has `side` rows of `side` pixels at half the micrograph's resolution.
 */
#ifndef PS_BACKEND_BACKEND_H
#define PS_BACKEND_BACKEND_H

#include "backend/adaptive.h"
#include "config/config.h"
#include "formulas/decision.h"
#include "image/binary.h"
#include "pickstream.h"

#include <stdint.h>

/* Defects of the pixels, found during the conversion to float32. Non-finite pixels are replaced by
 * the mean of the finite ones. Rows and columns of a single value in an image that is not constant
 * (dead readout lines) are interpolated from the nearest good lines. */
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

/* A square of the micrograph. */
struct ps_crop {
    int left_px;
    int top_px;
    int side_px;
};

/* Results that fetch() copies out, with element type and shape. */
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
    char note[256];  /* why "auto" chose the CPU; else empty */
};

struct ps_slot {
    struct ps_backend *backend;
    int side;           /* of the preprocessed image, working px; 0 before preprocess() */
    int query;          /* side q of a window, working px */
    int windows;        /* windows per side of the image */
    int queries;        /* query windows per side, which overlap by half */
    int references;     /* number of references */
    double grey_offset; /* subtracted from the preprocessed image */
};

struct ps_backend_options {
    int threads; /* of the CPU; 0: all cores */
    int device;  /* number of the GPU */
};

enum { PS_MAX_SPANS = 1024 }; /* recorded by a slot between two calls of trace() */

/* Time that a device worked on one call of a stage, ms of the monotonic clock. */
struct ps_span {
    const char *stage;
    double begin_ms;
    double end_ms;
};

/* ---- stages: they return PS_E_NOMEM and PS_E_DEVICE beside the codes given here ---- */

/* Converts the micrograph to float32 and repairs it. The image stays until the last stage: a device
 * may use its pixels where they are. */
typedef int ps_upload_stage(struct ps_slot *slot, const struct ps_image *image,
                            struct ps_pixel_report *ret_report, struct ps_error *error);

/* Section 2: crops, shrinks by two with a bicubic kernel, low-pass filters. */
typedef int ps_preprocess_stage(struct ps_slot *slot, const struct ps_crop *crop,
                                struct ps_error *error);

/* Section 3: mean and standard deviation of every query x query window inside the image. */
typedef int ps_moments_stage(struct ps_slot *slot, int query, struct ps_error *error);

/* Section 4: chooses four references from every container x container square. */
typedef int ps_references_choose_stage(struct ps_slot *slot, int container, struct ps_error *error);

/* Section 5: counts the references that respond to each query window. */
typedef int ps_score_stage(struct ps_slot *slot, struct ps_error *error);

/* Features of `count` windows, given as (row, column) of their first pixels. */
typedef int ps_features_stage(struct ps_slot *slot, const int (*windows)[2], size_t count,
                              struct ps_feature *ret_features, struct ps_error *error);

/* Section 7: mask of the windows that the model classifies as particle, and their number. */
typedef int ps_classify_stage(struct ps_slot *slot, const struct ps_model *model,
                              size_t *ret_particle, struct ps_error *error);

/* Section 8: fills the mask's holes, erodes it by the disk of radius `smallest`, drops the regions
 * that survive an erosion by the disk of radius `largest`. */
typedef int ps_clean_stage(struct ps_slot *slot, int smallest, int largest, struct ps_error *error);

/* Section 9, steps 1 and 2: regions of the mask without its first `margin_before` and last
 * `margin_after` rows and columns, in scan order, in coordinates of the remaining part. The caller
 * frees `*ret_regions`. */
typedef int ps_regions_stage(struct ps_slot *slot, int margin_before, int margin_after,
                             struct ps_region **ret_regions, size_t *ret_count,
                             struct ps_error *error);

/* Copies a buffer of exactly `bytes` to the caller. PS_E_BUG: it has another size. */
typedef int ps_fetch_stage(struct ps_slot *slot, enum ps_buffer buffer, void *ret_data,
                           size_t bytes, struct ps_error *error);

struct ps_backend_ops {
    const char *name;

    int (*open)(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                struct ps_error *error);
    void (*close)(struct ps_backend *backend);
    int (*slot_new)(struct ps_backend *backend, struct ps_slot **ret_slot, struct ps_error *error);
    void (*slot_free)(struct ps_slot *slot);

    ps_upload_stage *upload;
    ps_preprocess_stage *preprocess;
    ps_moments_stage *moments;
    ps_references_choose_stage *references_choose;
    ps_score_stage *score;
    ps_features_stage *features;
    ps_classify_stage *classify;
    ps_clean_stage *clean;
    ps_regions_stage *regions;
    ps_fetch_stage *fetch;

    /* Optional. Waits for the device and returns the spans recorded since the call before, at most
     * `capacity` of PS_MAX_SPANS. The first call starts the recording. */
    int (*trace)(struct ps_slot *slot, struct ps_span *ret_spans, size_t capacity,
                 size_t *ret_count, struct ps_error *error);

    const struct ps_adaptive_ops *adaptive; /* stages of the adaptive profile */
};

extern const struct ps_backend_ops ps_backend_cpu;
extern const struct ps_backend_ops ps_backend_cuda; /* if PS_CUDA is defined */

/* Numbers for ps_backend_open() of the devices that `choice` ("auto", "cpu", "cuda" or "cuda:N")
 * and `devices` (compute.devices) name. The CPU is one device, number 0; so are "auto" and "cuda"
 * without a GPU. PS_E_DEVICE: this machine has no device of that number. */
int ps_backend_devices(const char *choice, const struct ps_list *devices,
                       int ret_devices[PS_MAX_DEVICES], int *ret_count, struct ps_error *error);

/* Opens a device of the backend that `choice` names. "auto" takes the GPU if there is one that
 * works, else the CPU, with the reason in its note. PS_E_DEVICE: not in this build, no such device,
 * or it does not work. */
int ps_backend_open(const char *choice, int device, int threads, bool require_gpu,
                    struct ps_backend **ret_backend, struct ps_error *error);

/* Number of GPUs; 0 without a driver. */
int ps_cuda_count(void);

#endif
