/* Device memory, pinned memory, and copies, which check their addresses. */
#include "runtime.h"

#include <map>
#include <stdlib.h>
#include <string.h>
#include <vector>

namespace emu
{

struct Allocation {
    size_t bytes;
    Kind kind;
    int device;
};

static std::mutex mutex; /* of all below */
static std::map<uintptr_t, Allocation> allocations;
static size_t used[MAX_DEVICES];

Place place(const void *address)
{
    uintptr_t wanted = reinterpret_cast<uintptr_t>(address);
    std::lock_guard<std::mutex> lock(mutex);
    auto after = allocations.upper_bound(wanted);
    if (after == allocations.begin())
        return {Kind::pageable, 0, SIZE_MAX};
    auto &[start, allocation] = *--after;
    if (wanted - start >= allocation.bytes)
        return {Kind::pageable, 0, SIZE_MAX};
    return {allocation.kind, allocation.device, allocation.bytes - (wanted - start)};
}

bool on_device(const void *address, size_t bytes, int device)
{
    Place there = place(address);
    return bytes == 0 ||
           (there.kind == Kind::device && there.device == device && there.left >= bytes);
}

void count_memory(struct emu_live &live)
{
    std::lock_guard<std::mutex> lock(mutex);
    for (auto &[start, allocation] : allocations) {
        live.device += allocation.kind == Kind::device;
        live.pinned += allocation.kind == Kind::pinned;
        live.device_bytes += allocation.kind == Kind::device ? allocation.bytes : 0;
    }
}

/* Fills new memory: NaN as float, -1 as integer. Only both ends of very large blocks, because
 * filling all of it would take longer than the computations. */
static void fill(void *memory, size_t bytes)
{
    const size_t max = 16 << 20;
    const size_t last = bytes > max ? 1 << 20 : 0;
    memset(memory, 0xff, bytes > max ? max : bytes);
    memset(static_cast<char *>(memory) + bytes - last, 0xff, last);
}

static cudaError_t allocate(void **pointer, size_t bytes, Kind kind)
{
    cudaError_t error = enter(EMU_MALLOC);
    if (error != cudaSuccess)
        return error;
    *pointer = nullptr;
    if (!bytes)
        return cudaSuccess;
    int device = current_device();
    std::lock_guard<std::mutex> lock(mutex);
    size_t counted = kind == Kind::device ? bytes : 0;
    if (device >= device_count())
        return remember(cudaErrorNoDevice);
    void *memory = nullptr;
    if (counted > memory_bytes() - used[device] || posix_memalign(&memory, 256, bytes))
        return remember(cudaErrorMemoryAllocation);
    fill(memory, bytes);
    allocations[reinterpret_cast<uintptr_t>(memory)] = {bytes, kind, device};
    used[device] += counted;
    *pointer = memory;
    return cudaSuccess;
}

static cudaError_t release(void *pointer, Kind kind)
{
    if (pointer) {
        finish_all();
        std::lock_guard<std::mutex> lock(mutex);
        auto found = allocations.find(reinterpret_cast<uintptr_t>(pointer));
        if (found == allocations.end() || found->second.kind != kind)
            return remember(cudaErrorInvalidValue);
        used[found->second.device] -= kind == Kind::device ? found->second.bytes : 0;
        allocations.erase(found);
        free(pointer);
    }
    return remember(staying(current_device()));
}

/* ---- copies ----------------------------------------------------------------------------------
 */

/* Rows of a copy; a copy of contiguous bytes is one row. */
struct Copy {
    char *to;
    size_t to_pitch;
    const char *from;
    size_t from_pitch;
    size_t width;
    size_t height;

    size_t to_bytes() const
    {
        return to_pitch * (height - 1) + width;
    }
    size_t from_bytes() const
    {
        return from_pitch * (height - 1) + width;
    }
    void run() const
    {
        for (size_t row = 0; row < height; row++)
            memmove(to + row * to_pitch, from + row * from_pitch, width);
    }
};

static cudaError_t check_copy(const Copy &copy, cudaMemcpyKind kind, const Place &to,
                              const Place &from, int device)
{
    bool up = kind == cudaMemcpyHostToDevice;
    if (!up && kind != cudaMemcpyDeviceToHost)
        return cudaErrorInvalidMemcpyDirection;
    const Place &there = up ? to : from;
    const Place &here = up ? from : to;
    if (there.kind != Kind::device || there.device != device || here.kind == Kind::device)
        return cudaErrorInvalidValue;
    if (to.left < copy.to_bytes() || from.left < copy.from_bytes())
        return cudaErrorInvalidValue;
    return cudaSuccess;
}

static cudaError_t copy_async(Copy copy, cudaMemcpyKind kind, cudaStream_t handle)
{
    cudaError_t error;
    Stream stream = enter_stream(EMU_COPY, handle, &error);
    if (!stream)
        return error;
    if (!copy.width || !copy.height)
        return cudaSuccess;
    if (copy.to_pitch < copy.width || copy.from_pitch < copy.width)
        return remember(cudaErrorInvalidPitchValue);
    Place to = place(copy.to);
    Place from = place(copy.from);
    error = check_copy(copy, kind, to, from, stream->device);
    if (error != cudaSuccess)
        return remember(error);
    /* Pageable memory is read before the call returns, pinned memory when the copy runs. */
    std::shared_ptr<char> snapshot;
    if (from.kind == Kind::pageable) {
        size_t bytes = copy.from_bytes();
        snapshot = {static_cast<char *>(malloc(bytes)), free};
        Copy{snapshot.get(), copy.from_pitch, copy.from, copy.from_pitch, copy.width, copy.height}
            .run();
        copy.from = snapshot.get();
    }
    bool down = kind == cudaMemcpyDeviceToHost;
    enqueue(stream, [copy, snapshot, down] {
        if (tracing())
            trace("copy %s %p, %zu x %zu bytes", down ? "to host" : "to device", (void *)copy.to,
                  copy.height, copy.width);
        copy.run();
    });
    if (to.kind == Kind::pageable) {
        finish(stream);
        return remember(staying(stream->device));
    }
    return cudaSuccess;
}

} // namespace emu

using namespace emu;

cudaError_t cudaMalloc(void **pointer, size_t bytes)
{
    return allocate(pointer, bytes, Kind::device);
}

cudaError_t cudaFree(void *pointer)
{
    return release(pointer, Kind::device);
}

cudaError_t cudaMallocHost(void **pointer, size_t bytes)
{
    return allocate(pointer, bytes, Kind::pinned);
}

cudaError_t cudaFreeHost(void *pointer)
{
    return release(pointer, Kind::pinned);
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    return copy_async(
        {static_cast<char *>(to), bytes, static_cast<const char *>(from), bytes, bytes, 1}, kind,
        stream);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch,
                              size_t width, size_t height, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    return copy_async({static_cast<char *>(to), to_pitch, static_cast<const char *>(from),
                       from_pitch, width, height},
                      kind, stream);
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t bytes, cudaStream_t handle)
{
    cudaError_t error;
    Stream stream = enter_stream(EMU_COPY, handle, &error);
    if (!stream)
        return error;
    if (!on_device(pointer, bytes, stream->device))
        return remember(cudaErrorInvalidValue);
    if (bytes)
        enqueue(stream, [pointer, value, bytes] { memset(pointer, value, bytes); });
    return cudaSuccess;
}
