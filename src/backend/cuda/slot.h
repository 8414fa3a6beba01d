/* The CUDA backend's slot, and what the files of its folder share. Host code only, in C: kernels
 * and their launchers are under kernels/ (kernels/launch.h).
 *
 * Rules of the house:
 *  1. A slot has one non-blocking stream. Nothing touches the default stream, nothing waits for the
 *     whole device, and a stage waits for its stream only where the host needs an answer.
 *  2. Device memory belongs to a slot's buffers, which grow and are kept: micrographs of one size
 *     allocate nothing after the first.
 *  3. Every call of the runtime and of cuFFT and every launch is checked by CU() or CUFFT(), in
 *     every build. A stage stops at the first failure. Errors of the device stay: the runtime
 *     answers all later calls with the same one, so nothing can be published after it. What it
 *     survives (a launch that it refuses) is a bug, and costs one micrograph, not the device.
 *  4. Sums have a fixed order (no floating-point atomics): the same file gives the same bytes.
 *  5. A slot may be used by another thread than the one that made it, one at a time: the table of
 *     stages holds what CUDA_STAGE() makes of them, which begins by taking the device. */
#ifndef PS_BACKEND_CUDA_SLOT_H
#define PS_BACKEND_CUDA_SLOT_H

#include "backend/backend.h"
#include "base/error.h"

#include <cuda_runtime_api.h>
#include <cufft.h>

/* cuFFT, loaded when a GPU is opened, so that the program starts where there is none. */
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
    int shared_limit; /* bytes of shared memory that a block can have */
    struct cuda_fft fft;
};

/* Device memory that grows and is kept for the next micrograph. */
struct cuda_buffer {
    void *data;
    size_t bytes;
};

/* Of each of the two pinned pieces through which data goes to the card, and of the one through
 * which answers come. */
enum { CUDA_STAGING_BYTES = 4 << 20, CUDA_ANSWER_BYTES = 64 << 10 };

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
    struct cuda_buffer raw;        /* the file's pixels, before that; unused where they are float */
    struct cuda_buffer findings;   /* of the upload: statistics, dead lines */
    char *staging[2];              /* pinned pieces on their way to the card */
    cudaEvent_t staged[2];         /* when it has a piece */
    int piece;                     /* being filled */
    size_t filled;                 /* bytes of it */
    void *answer;                  /* pinned */
    struct cuda_trace *trace;      /* NULL: nobody asks */

    struct cuda_aspire *aspire;     /* of that profile (aspire.c); NULL before */
    struct cuda_adaptive *adaptive; /* of that profile (adaptive.c); NULL before */
};

/* ---- errors ---- */

/* 0, or PS_E_DEVICE with the expression and the error's name; PS_E_NOMEM where memory ran out. */
int cuda_check(cudaError_t result, const char *expression, struct ps_error *error);
int cuda_check_fft(cufftResult result, const char *expression, struct ps_error *error);
#define CU(expression)    cuda_check(expression, #expression, error)
#define CUFFT(expression) cuda_check_fft(expression, #expression, error)

/* ---- slots ---- */

/* Makes the slot's device the calling thread's. */
int cuda_enter(const struct cuda_slot *slot, struct ps_error *error);

/* Makes `buffer` hold at least `bytes`; contents are lost when it grows. */
int cuda_reserve(struct cuda_slot *slot, struct cuda_buffer *buffer, size_t bytes, const char *what,
                 struct ps_error *error);
void cuda_release(struct cuda_buffer *buffer);

/* What to reserve for lists whose length differs from micrograph to micrograph: the next power of
 * two, so that they soon stop growing. */
size_t cuda_generous(size_t bytes);

/* Copies `bytes` to the device; `data` may be changed as soon as this returns. It goes through
 * pinned memory, for what the runtime does with other memory, and when, depends on the machine:
 * while one piece is on the bus, the next is filled. */
int cuda_send(struct cuda_slot *slot, void *ret_device, const void *data, size_t bytes,
              struct ps_error *error);
/* Copies `bytes` from the device, after all that is in the stream, and waits for them. */
int cuda_receive(struct cuda_slot *slot, void *ret_data, const void *device, size_t bytes,
                 struct ps_error *error);

/* ---- cuFFT (fft.c) ---- */

/* PS_E_DEVICE: the library is not there, or is not the one this was built for. */
int cuda_fft_load(struct cuda_fft *ret_fft, struct ps_error *error);
void cuda_fft_unload(struct cuda_fft *fft);

/* A batch of transforms of height x width floats, and how it is laid out. The rows of both sides
 * may be longer than what is transformed; distances are from one image of a batch to the next. */
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
    int handles;         /* made so far: none, forward, both */
    cufftHandle forward; /* real to complex */
    cufftHandle inverse; /* complex to real, not divided by anything */
};

/* Makes the plans of `shape` unless `plan` has them. They work in `work`, which is made large
 * enough and may be shared by plans of one slot: a stream runs one after the other. */
int cuda_plan_reserve(struct cuda_slot *slot, struct cuda_plan *plan,
                      const struct cuda_fft_shape *shape, struct cuda_buffer *work,
                      struct ps_error *error);
void cuda_plan_done(struct cuda_slot *slot, struct cuda_plan *plan);

/* ---- around every stage (trace.c) ---- */

/* Makes the slot's device the calling thread's, and notes when the stage began. */
int cuda_stage_begin(struct cuda_slot *slot, const char *name, struct ps_error *error);
/* Notes when it ended, unless it failed; returns `status`, or the failure to note. A failure that
 * the device has survived is PS_E_BUG, or PS_E_NOMEM, and not PS_E_DEVICE. */
int cuda_stage_end(struct cuda_slot *slot, int status, struct ps_error *error);
int cuda_trace(struct ps_slot *base, struct ps_span *ret_spans, size_t room, size_t *ret_count,
               struct ps_error *error);
void cuda_trace_done(struct cuda_slot *slot);

/* Defines stage_<name>(), what the table of stages has: cuda_<name>() between begin and end. */
#define CUDA_STAGE(name, arguments, ...)                                                           \
    static int stage_##name arguments                                                              \
    {                                                                                              \
        struct cuda_slot *slot_ = (struct cuda_slot *)base;                                        \
        int status_ = cuda_stage_begin(slot_, #name, error);                                       \
        return cuda_stage_end(slot_, status_ ? status_ : cuda_##name(__VA_ARGS__), error);         \
    }

/* ---- stages, as backend.h states them; the calling thread has the slot's device ---- */
int cuda_upload(struct ps_slot *base, const struct ps_image *image,
                struct ps_pixel_report *ret_report, struct ps_error *error);
int cuda_preprocess(struct ps_slot *base, const struct ps_crop *crop, struct ps_error *error);
int cuda_moments(struct ps_slot *base, int query, struct ps_error *error);
int cuda_references_choose(struct ps_slot *base, int container, struct ps_error *error);
int cuda_score(struct ps_slot *base, struct ps_error *error);
int cuda_features(struct ps_slot *base, const int (*windows)[2], size_t count,
                  struct ps_feature *ret_features, struct ps_error *error);
int cuda_classify(struct ps_slot *base, const struct ps_model *model, size_t *ret_particle,
                  struct ps_error *error);
int cuda_clean(struct ps_slot *base, int smallest, int largest, struct ps_error *error);
int cuda_regions(struct ps_slot *base, int margin_before, int margin_after,
                 struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error);
int cuda_fetch(struct ps_slot *base, enum ps_buffer which, void *ret_data, size_t bytes,
               struct ps_error *error);
/* Frees what the stages of a profile keep in a slot. */
void cuda_aspire_done(struct cuda_slot *slot);
void cuda_adaptive_done(struct cuda_slot *slot);

extern const struct ps_adaptive_ops ps_adaptive_cuda;

#endif
