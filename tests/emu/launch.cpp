/* Launches: checks of configuration and pointers, and execution in the stream's order. */
#include "runtime.h"

#include "block.h"

#include <map>
#include <stdio.h>

namespace emu
{

static std::mutex mutex;
static std::map<const void *, size_t> max_shared_bytes; /* by kernel, if set */

static size_t shared_bytes_of(const void *function)
{
    std::lock_guard<std::mutex> lock(mutex);
    auto found = max_shared_bytes.find(function);
    return found == max_shared_bytes.end() ? (size_t)EMU_DEFAULT_SHARED_BYTES : found->second;
}

static cudaError_t check_launch(const emu_launch &launch, const Stream &stream)
{
    const dim3 &grid = launch.grid;
    const dim3 &block = launch.block;
    if (stream->device != current_device())
        return cudaErrorInvalidResourceHandle;
    if (!grid.x || !grid.y || !grid.z || grid.x > INT32_MAX || grid.y > 65535 || grid.z > 65535 ||
        !block.x || !block.y || !block.z || block.x > 1024 || block.y > 1024 || block.z > 64 ||
        block.x * block.y * block.z > 1024)
        return cudaErrorInvalidConfiguration;
    if (launch.shared_bytes > shared_bytes_of(launch.function))
        return cudaErrorInvalidValue;
    return cudaSuccess;
}

/* Describes an invalid pointer; empty if there is none. */
static std::string check_pointers(const emu_launch &launch, int device)
{
    for (int i = 0; i < launch.pointer_count; i++) {
        Place there = place(launch.pointers[i]);
        if (!launch.pointers[i] || there.kind == Kind::pinned ||
            (there.kind == Kind::device && there.device == device))
            continue;
        char text[512];
        (void)snprintf(text, sizeof text, "kernel %s: pointer %d among its arguments, %p, is %s",
                       launch.name, i + 1, launch.pointers[i],
                       there.kind == Kind::device ? "of another GPU"
                                                  : "neither of the GPU nor pinned");
        return text;
    }
    return "";
}

static void run_kernel(const emu_launch &launch, int device)
{
    if (tracing())
        trace("kernel %s, %u x %u x %u blocks of %u x %u x %u threads", launch.name, launch.grid.x,
              launch.grid.y, launch.grid.z, launch.block.x, launch.block.y, launch.block.z);
    if (injected(EMU_FAULT)) {
        (void)stay(device, cudaErrorIllegalAddress);
        return;
    }
    std::string problem = check_pointers(launch, device);
    cudaError_t error = cudaErrorIllegalAddress;
    if (problem.empty()) {
        (void)run_grid(launch, &problem);
        error = cudaErrorLaunchFailure;
    }
    if (!problem.empty()) {
        report(problem);
        (void)stay(device, error);
    }
}

} // namespace emu

using namespace emu;

cudaError_t emu_enqueue(const emu_launch &launch, cudaStream_t handle)
{
    std::shared_ptr<void> call{launch.call, launch.drop};
    cudaError_t error;
    Stream stream = enter_stream(EMU_LAUNCH, handle, &error);
    if (!stream)
        return error;
    error = check_launch(launch, stream);
    if (error != cudaSuccess)
        return remember(error);
    enqueue(stream, [launch, call, device = stream->device] { run_kernel(launch, device); });
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *function, enum cudaFuncAttribute attribute, int value)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return cudaSuccess;
    if (value < 0 || value > EMU_MAX_SHARED_BYTES)
        return remember(cudaErrorInvalidValue);
    std::lock_guard<std::mutex> lock(emu::mutex);
    max_shared_bytes[function] = (size_t)value;
    return cudaSuccess;
}
