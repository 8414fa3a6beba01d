/* GPUs, and the names of errors. */
#include "runtime.h"

#include <stdio.h>

using namespace emu;

#define EMU_ERRORS(X)                                                                              \
    X(cudaSuccess, "no error")                                                                     \
    X(cudaErrorInvalidValue, "invalid argument")                                                   \
    X(cudaErrorMemoryAllocation, "out of memory")                                                  \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                             \
    X(cudaErrorInvalidPitchValue, "invalid pitch argument")                                        \
    X(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy")                        \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version") \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                     \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                            \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                   \
    X(cudaErrorNotReady, "device not ready")                                                       \
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                         \
    X(cudaErrorLaunchFailure, "unspecified launch failure")                                        \
    X(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
#define X(name, text)                                                                              \
    case name:                                                                                     \
        return #name;
        EMU_ERRORS(X)
#undef X
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
#define X(name, text)                                                                              \
    case name:                                                                                     \
        return text;
        EMU_ERRORS(X)
#undef X
    }
    return "unrecognized error code";
}

cudaError_t cudaGetLastError(void)
{
    cudaError_t stays = staying(current_device());
    cudaError_t error = take_last_error();
    return stays != cudaSuccess ? stays : error;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = driver_version();
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    if (driver_version() < CUDART_VERSION)
        return remember(cudaErrorInsufficientDriver);
    *count = device_count();
    return *count ? cudaSuccess : remember(cudaErrorNoDevice);
}

static cudaError_t enter_device(int device)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    return device < 0 || device >= device_count() ? remember(cudaErrorInvalidDevice) : cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    cudaError_t error = enter_device(device);
    if (error != cudaSuccess)
        return error;
    *properties = {};
    (void)snprintf(properties->name, sizeof properties->name, "Emulated GPU");
    properties->sharedMemPerBlockOptin = EMU_MAX_SHARED_BYTES;
    properties->major = device == old_device() ? 6 : 12;
    properties->multiProcessorCount = 4;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    cudaError_t error = enter_device(device);
    if (error == cudaSuccess)
        set_current_device(device);
    return error;
}

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    (void)flags;
    return enter(EMU_OTHER);
}
