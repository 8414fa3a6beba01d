/* The CUDA backend: device, slots, and the table of the stages. */
#include "backend/cuda/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- device -----------------------------------------------------------------------------------
 */

/* Oldest compute capability that kernels are built for (Turing). */
enum { MIN_MAJOR = 7, MIN_MINOR = 5 };

int ps_cuda_count(void)
{
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

/* cudaErrorInsufficientDriver: the driver is too old, or there is none. */
static int fail_driver(struct ps_error *error)
{
    int version = 0;
    if (cudaDriverGetVersion(&version) != cudaSuccess || version == 0)
        return ps_fail(error, PS_E_DEVICE, "no usable GPU: no NVIDIA driver");
    return ps_fail(error, PS_E_DEVICE,
                   "no usable GPU: the NVIDIA driver supports CUDA %d.%d; %d.%d or newer is needed",
                   version / 1000, version % 1000 / 10, CUDART_VERSION / 1000,
                   CUDART_VERSION % 1000 / 10);
}

static int open_device(struct cuda_backend *cuda, struct ps_error *error)
{
    int count = 0;
    cudaError_t result = cudaGetDeviceCount(&count);
    if (result == cudaErrorInsufficientDriver)
        return fail_driver(error);
    if (result != cudaSuccess)
        return ps_fail(error, PS_E_DEVICE, "no usable GPU: %s (%s)", cudaGetErrorString(result),
                       cudaGetErrorName(result));
    if (cuda->device >= count)
        return ps_fail(error, PS_E_DEVICE, "no cuda:%d: this machine has %d GPU%s", cuda->device,
                       count, count == 1 ? "" : "s");
    struct cudaDeviceProp properties;
    PS_TRY(CU(cudaGetDeviceProperties(&properties, cuda->device)));
    if (properties.major < MIN_MAJOR ||
        (properties.major == MIN_MAJOR && properties.minor < MIN_MINOR))
        return ps_fail(error, PS_E_DEVICE,
                       "cuda:%d, %s: compute capability %d.%d; %d.%d or newer is needed",
                       cuda->device, properties.name, properties.major, properties.minor, MIN_MAJOR,
                       MIN_MINOR);
    cuda->multiprocessors = properties.multiProcessorCount;
    cuda->shared_limit = (int)properties.sharedMemPerBlockOptin;
    (void)snprintf(cuda->base.device, sizeof cuda->base.device, "cuda:%d %.80s", cuda->device,
                   properties.name);
    PS_TRY(CU(cudaSetDevice(cuda->device)));
    /* A waiting thread sleeps and leaves its core to reading, decoding and training. */
    return CU(cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync));
}

static void cuda_close(struct ps_backend *backend)
{
    struct cuda_backend *cuda = (struct cuda_backend *)backend;
    cuda_fft_unload(&cuda->fft);
    free(cuda);
}

static int cuda_open(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                     struct ps_error *error)
{
    struct cuda_backend *cuda = calloc(1, sizeof *cuda);
    if (!cuda)
        return ps_fail_memory(error, sizeof *cuda, "the CUDA backend");
    cuda->base.ops = &ps_backend_cuda;
    cuda->device = options->device;
    int status = open_device(cuda, error);
    if (status == 0)
        status = cuda_fft_load(&cuda->fft, error);
    if (status) {
        cuda_close(&cuda->base);
        return status;
    }
    *ret_backend = &cuda->base;
    return 0;
}

/* ---- slots ------------------------------------------------------------------------------------
 */

/* Memory for the pixels of a K3 or Falcon micrograph is reserved when the slot is created, so that
 * a lack of memory shows when the service starts and not later. */
static const size_t EXPECTED_PIXELS = (size_t)24 << 20;

static void cuda_slot_free(struct ps_slot *base)
{
    struct cuda_slot *slot = (struct cuda_slot *)base;
    if (!slot)
        return;
    (void)cudaSetDevice(slot->cuda->device);
    if (slot->stream)
        (void)cudaStreamSynchronize(slot->stream);
    cuda_trace_done(slot);
    cuda_aspire_done(slot);
    cuda_adaptive_done(slot);
    cuda_release(&slot->micrograph);
    cuda_release(&slot->raw);
    cuda_release(&slot->findings);
    for (int i = 0; i < 2; i++) {
        (void)cudaFreeHost(slot->staging[i]);
        if (slot->staged[i])
            (void)cudaEventDestroy(slot->staged[i]);
    }
    (void)cudaFreeHost(slot->pinned_result);
    if (slot->stream)
        (void)cudaStreamDestroy(slot->stream);
    free(slot);
}

static int prepare_slot(struct cuda_slot *slot, struct ps_error *error)
{
    PS_TRY(cuda_enter(slot, error));
    PS_TRY(CU(cudaStreamCreateWithFlags(&slot->stream, cudaStreamNonBlocking)));
    for (int i = 0; i < 2; i++) {
        PS_TRY(CU(cudaMallocHost((void **)&slot->staging[i], CUDA_STAGING_BYTES)));
        PS_TRY(CU(cudaEventCreateWithFlags(&slot->staged[i],
                                           cudaEventDisableTiming | cudaEventBlockingSync)));
    }
    PS_TRY(CU(cudaMallocHost(&slot->pinned_result, CUDA_RESULT_BYTES)));
    PS_TRY(cuda_reserve(slot, &slot->raw, EXPECTED_PIXELS * sizeof(uint16_t), "the file's pixels",
                        error));
    return cuda_reserve(slot, &slot->micrograph, EXPECTED_PIXELS * sizeof(float), "a micrograph",
                        error);
}

static int cuda_slot_new(struct ps_backend *backend, struct ps_slot **ret_slot,
                         struct ps_error *error)
{
    struct cuda_slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        return ps_fail_memory(error, sizeof *slot, "a slot");
    slot->base.backend = backend;
    slot->cuda = (struct cuda_backend *)backend;
    int status = prepare_slot(slot, error);
    if (status) {
        cuda_slot_free(&slot->base);
        return status;
    }
    *ret_slot = &slot->base;
    return 0;
}

CUDA_STAGE(upload,
           (struct ps_slot * base, const struct ps_image *image, struct ps_pixel_report *ret_report,
            struct ps_error *error),
           base, image, ret_report, error)
CUDA_STAGE(preprocess, (struct ps_slot * base, const struct ps_crop *crop, struct ps_error *error),
           base, crop, error)
CUDA_STAGE(moments, (struct ps_slot * base, int query, struct ps_error *error), base, query, error)
CUDA_STAGE(references_choose, (struct ps_slot * base, int container, struct ps_error *error), base,
           container, error)
CUDA_STAGE(score, (struct ps_slot * base, struct ps_error *error), base, error)
CUDA_STAGE(features,
           (struct ps_slot * base, const int (*windows)[2], size_t count,
            struct ps_feature *ret_features, struct ps_error *error),
           base, windows, count, ret_features, error)
CUDA_STAGE(classify,
           (struct ps_slot * base, const struct ps_model *model, size_t *ret_particle,
            struct ps_error *error),
           base, model, ret_particle, error)
CUDA_STAGE(clean, (struct ps_slot * base, int smallest, int largest, struct ps_error *error), base,
           smallest, largest, error)
CUDA_STAGE(regions,
           (struct ps_slot * base, int margin_before, int margin_after,
            struct ps_region **ret_regions, size_t *ret_count, struct ps_error *error),
           base, margin_before, margin_after, ret_regions, ret_count, error)
CUDA_STAGE(fetch,
           (struct ps_slot * base, enum ps_buffer which, void *ret_data, size_t bytes,
            struct ps_error *error),
           base, which, ret_data, bytes, error)

const struct ps_backend_ops ps_backend_cuda = {
    .name = "cuda",
    .open = cuda_open,
    .close = cuda_close,
    .slot_new = cuda_slot_new,
    .slot_free = cuda_slot_free,
    .upload = stage_upload,
    .preprocess = stage_preprocess,
    .moments = stage_moments,
    .references_choose = stage_references_choose,
    .score = stage_score,
    .features = stage_features,
    .classify = stage_classify,
    .clean = stage_clean,
    .regions = stage_regions,
    .fetch = stage_fetch,
    .trace = cuda_trace,
    .adaptive = &ps_adaptive_cuda,
};
