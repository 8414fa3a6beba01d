/* Device memory: reservations of a slot, copies between host and device, errors of the runtime. */
#include "backend/cuda/slot.h"

#include <string.h>

/* ---- errors -----------------------------------------------------------------------------------
 */

int cuda_check(cudaError_t result, const char *expression, struct ps_error *error)
{
    if (result == cudaSuccess)
        return 0;
    /* Clears the error, which the next launch would report again. Sticky errors stay. */
    (void)cudaGetLastError();
    return ps_fail(error, result == cudaErrorMemoryAllocation ? PS_E_NOMEM : PS_E_DEVICE,
                   "%s (%s) in %.120s", cudaGetErrorName(result), cudaGetErrorString(result),
                   expression);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

int cuda_enter(const struct cuda_slot *slot, struct ps_error *error)
{
    return CU(cudaSetDevice(slot->cuda->device));
}

void cuda_release(struct cuda_buffer *buffer)
{
    (void)cudaFree(buffer->data);
    *buffer = (struct cuda_buffer){0};
}

int cuda_reserve(struct cuda_slot *slot, struct cuda_buffer *buffer, size_t bytes, const char *what,
                 struct ps_error *error)
{
    if (buffer->bytes >= bytes)
        return 0;
    /* Work in the stream can still use the old memory. */
    int status = CU(cudaStreamSynchronize(slot->stream));
    if (status)
        return status;
    cuda_release(buffer);
    cudaError_t result = cudaMalloc(&buffer->data, bytes);
    if (result == cudaErrorMemoryAllocation) {
        /* Clears the error, which later calls would report again. */
        (void)cudaGetLastError();
        buffer->data = NULL;
        return ps_fail(error, PS_E_NOMEM, "no memory on %s: %zu bytes for %s",
                       slot->cuda->base.device, bytes, what);
    }
    status = cuda_check(result, "cudaMalloc", error);
    if (status == 0)
        buffer->bytes = bytes;
    return status;
}

size_t cuda_round_up_pow2(size_t bytes)
{
    size_t rounded = (size_t)1 << 18;
    while (rounded < bytes)
        rounded *= 2;
    return rounded;
}

/* Continues with the other staging piece, after the device has read it. */
static int swap_staging(struct cuda_slot *slot, struct ps_error *error)
{
    PS_TRY(CU(cudaEventRecord(slot->staged[slot->piece], slot->stream)));
    slot->piece = !slot->piece;
    slot->filled = 0;
    return CU(cudaEventSynchronize(slot->staged[slot->piece]));
}

int cuda_send(struct cuda_slot *slot, void *ret_device, const void *data, size_t bytes,
              struct ps_error *error)
{
    int status = 0;
    for (size_t done = 0; done < bytes && status == 0;) {
        if (slot->filled == CUDA_STAGING_BYTES)
            status = swap_staging(slot, error);
        if (status)
            break;
        size_t capacity = CUDA_STAGING_BYTES - slot->filled;
        size_t length = bytes - done < capacity ? bytes - done : capacity;
        char *staging = slot->staging[slot->piece] + slot->filled;
        memcpy(staging, (const char *)data + done, length);
        status = CU(cudaMemcpyAsync((char *)ret_device + done, staging, length,
                                    cudaMemcpyHostToDevice, slot->stream));
        slot->filled += length;
        done += length;
    }
    return status;
}

int cuda_receive(struct cuda_slot *slot, void *ret_data, const void *device, size_t bytes,
                 struct ps_error *error)
{
    /* A copy into pageable memory waits by itself, and spins; a copy into pinned memory does
     * not. */
    bool small = bytes <= CUDA_RESULT_BYTES;
    PS_TRY(CU(cudaMemcpyAsync(small ? slot->pinned_result : ret_data, device, bytes,
                              cudaMemcpyDeviceToHost, slot->stream)));
    PS_TRY(CU(cudaStreamSynchronize(slot->stream)));
    if (small)
        memcpy(ret_data, slot->pinned_result, bytes);
    return 0;
}
