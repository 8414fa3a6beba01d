/* Slot of the CUDA backend, and what the files of this folder share. Host code in C; kernels and
 * their launchers are in kernels/ (kernels/launch.h).
 *
 * Rules:
 *  1. A slot has one non-blocking stream. No code uses the default stream or waits for the whole
 *     device; a stage waits for its stream only if the host needs a result.
 *  2. Device memory belongs to the slot's buffers, which grow and are kept: after the first
 *     micrograph of a size, nothing is allocated.
 *  3. CU() or CUFFT() checks every call of the runtime and of cuFFT and every launch, in every
 *     build. A stage stops at the first failure. A device error is sticky: all later calls return
 *     it, so no later result can be published. A failure that the device survives (a refused
 * launch) is a bug and fails one micrograph, not the device.
 *  4. Sums have a fixed order (no floating-point atomics): the same file gives the same bytes.
 *  5. Another thread than the creator can use a slot, one at a time: CUDA_STAGE() wraps each stage
 *     in the table and first makes the slot's device current. */
#ifndef PS_BACKEND_CUDA_SLOT_H
#define PS_BACKEND_CUDA_SLOT_H

#include "backend/backend.h"
#include "base/error.h"

#include <cuda_runtime_api.h>
#include <cufft.h>

/* cuFFT, loaded when a GPU is opened, so that the program starts without it. */
struct cuda_fft {
    void *library;
    cufftResult (*create)(cufftHandle *plan);
    cufftResult (*set_auto_allocation)(cufftHandle plan, int automatic);
    cufftResult (*make_plan_many)(cufftHandle plan, int rank, int *n, int *inembed, int istride,
                                  int idist, int *onembed, int ostride, int odist, cufftType type,
                                  int batch, size_t *ret_work_bytes);
    cufftResult (*set_work_area)(cufftHandle plan, void *work);
    cufftResult (*set_stream)(cufftHandle plan, cudaStream_t stream);
    cufftResult (*exec_r2c)(cufftHandle plan, cufftReal *in, cufftComplex *out);
    cufftResult (*exec_c2r)(cufftHandle plan, cufftComplex *in, cufftReal *out);
    cufftResult (*destroy)(cufftHandle plan);
};

struct cuda_backend {
    struct ps_backend base;
    int device;
    int multiprocessors;
    int shared_limit; /* bytes of shared memory per block */
    struct cuda_fft fft;
};

/* Device memory that grows and is kept for the next micrograph. */
struct cuda_buffer {
    void *data;
    size_t bytes;
};

/* Sizes of each of the two pinned pieces that stage data for the device, and of the pinned piece
 * for results. */
enum { CUDA_STAGING_BYTES = 4 << 20, CUDA_RESULT_BYTES = 64 << 10 };

struct cuda_trace;
struct cuda_aspire;
struct cuda_adaptive;

struct cuda_slot {
    struct ps_slot base;
    struct cuda_backend *cuda;
    cudaStream_t stream;
    int width; /* of the micrograph, px */
    int height;
    struct cuda_buffer micrograph; /* float, height x width: converted and repaired */
    struct cuda_buffer raw;        /* pixels in the file's type; unused for float */
    struct cuda_buffer findings;   /* of the upload: statistics, dead lines */
    char *staging[2];              /* pinned */
    cudaEvent_t staged[2];         /* the device has read the piece */
    int piece;                     /* being filled */
    size_t filled;                 /* bytes of it */
    void *pinned_result;
    struct cuda_trace *trace; /* NULL: tracing is off */

    struct cuda_aspire *aspire;     /* state of the profile (aspire.h); NULL before its first use */
    struct cuda_adaptive *adaptive; /* likewise (adaptive.h) */
};

/* ---- errors ---- */

/* PS_E_DEVICE with the expression and the error's name; PS_E_NOMEM if memory ran out. */
int cuda_check(cudaError_t result, const char *expression, struct ps_error *error);
int cuda_check_fft(cufftResult result, const char *expression, struct ps_error *error);
#define CU(expression)    cuda_check(expression, #expression, error)
#define CUFFT(expression) cuda_check_fft(expression, #expression, error)

/* ---- slots ---- */

/* Makes the slot's device current for the calling thread. */
int cuda_enter(const struct cuda_slot *slot, struct ps_error *error);

/* Grows `buffer` to at least `bytes`. Growing loses the contents. PS_E_NOMEM. */
int cuda_reserve(struct cuda_slot *slot, struct cuda_buffer *buffer, size_t bytes, const char *what,
                 struct ps_error *error);
void cuda_release(struct cuda_buffer *buffer);

/* Next power of two: the size to reserve for lists whose length varies between micrographs, so that
 * they soon stop growing. */
size_t cuda_round_up_pow2(size_t bytes);

/* Copies `bytes` to the device; `data` can change as soon as this returns. Copies through pinned
 * memory, because the runtime's handling of pageable memory differs between machines: while the bus
 * carries one piece, the next is filled. */
int cuda_send(struct cuda_slot *slot, void *ret_device, const void *data, size_t bytes,
              struct ps_error *error);
/* Copies `bytes` from the device after all work in the stream, and waits for them. */
int cuda_receive(struct cuda_slot *slot, void *ret_data, const void *device, size_t bytes,
                 struct ps_error *error);

/* ---- cuFFT (fft.c) ---- */

/* PS_E_DEVICE: the library is missing, or lacks a function. */
int cuda_fft_load(struct cuda_fft *ret_fft, struct ps_error *error);
void cuda_fft_unload(struct cuda_fft *fft);

/* A batch of transforms of height x width floats, and its layout. Rows of both sides can be longer
 * than the transformed part; distances are from one image of the batch to the next. */
struct cuda_fft_shape {
    int width;
    int height;
    int batch;
    int real_stride;      /* floats from row to row */
    int complex_stride;   /* complex numbers from row to row */
    int real_distance;    /* floats */
    int complex_distance; /* complex numbers */
};

struct cuda_plan {
    struct cuda_fft_shape shape;
    int handles;         /* created so far: none, forward, both */
    cufftHandle forward; /* real to complex */
    cufftHandle inverse; /* complex to real, unscaled */
};

/* Makes the plans of `shape` unless `plan` has them. Their work area `work` grows as needed; plans
 * of one slot can share it, because the stream runs one after the other. */
int cuda_plan_reserve(struct cuda_slot *slot, struct cuda_plan *plan,
                      const struct cuda_fft_shape *shape, struct cuda_buffer *work,
                      struct ps_error *error);
void cuda_plan_done(struct cuda_slot *slot, struct cuda_plan *plan);

/* ---- wrapper of every stage (trace.c) ---- */

/* Makes the slot's device current and records the begin of the stage. */
int cuda_stage_begin(struct cuda_slot *slot, const char *name, struct ps_error *error);
/* Records the end of the stage unless it failed. Returns `status`, or the error of the recording. A
 * failure that the device has survived becomes PS_E_BUG, or stays PS_E_NOMEM. */
int cuda_stage_end(struct cuda_slot *slot, int status, struct ps_error *error);
int cuda_trace(struct ps_slot *base, struct ps_span *ret_spans, size_t capacity, size_t *ret_count,
               struct ps_error *error);
void cuda_trace_done(struct cuda_slot *slot);

/* Defines stage_<name>() for the table of stages: cuda_<name>() between begin and end. */
#define CUDA_STAGE(name, arguments, ...)                                                           \
    static int stage_##name arguments                                                              \
    {                                                                                              \
        struct cuda_slot *slot_ = (struct cuda_slot *)base;                                        \
        int status_ = cuda_stage_begin(slot_, #name, error);                                       \
        return cuda_stage_end(slot_, status_ ? status_ : cuda_##name(__VA_ARGS__), error);         \
    }

/* ---- stages, see backend.h; the slot's device is current ---- */
ps_upload_stage cuda_upload;
ps_preprocess_stage cuda_preprocess;
ps_moments_stage cuda_moments;
ps_references_choose_stage cuda_references_choose;
ps_score_stage cuda_score;
ps_features_stage cuda_features;
ps_classify_stage cuda_classify;
ps_clean_stage cuda_clean;
ps_regions_stage cuda_regions;
ps_fetch_stage cuda_fetch;

/* Frees a profile's state in a slot. */
void cuda_aspire_done(struct cuda_slot *slot);
void cuda_adaptive_done(struct cuda_slot *slot);

extern const struct ps_adaptive_ops ps_adaptive_cuda;

#endif
