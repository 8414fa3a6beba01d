/* Streams and events. The work of a stream is numbered; a recorded event is a number in a stream,
 * and waiting for it runs the stream up to that number. */
#include "runtime.h"

#include <map>
#include <time.h>

namespace emu
{

struct Recording {
    Stream stream;
    uint64_t number;
    double seconds; /* time at which it was reached; guarded by the stream's lock */
};

struct Event {
    unsigned flags;
    int device;
    std::shared_ptr<Recording> recording; /* the latest; NULL before any */
};

static std::mutex mutex; /* of all below */
static std::map<cudaStream_t, Stream> streams;
static std::map<cudaEvent_t, Event> events;
static uintptr_t events_made;
static Stream default_streams[MAX_DEVICES];

static double now()
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void count_streams(struct emu_live &live)
{
    std::lock_guard<std::mutex> lock(mutex);
    live.streams = streams.size();
    live.events = events.size();
}

/* ---- running ---------------------------------------------------------------------------------
 */

/* Runs a stream until `number` pieces of its work are done. */
static void run_until(const Stream &stream, uint64_t number)
{
    std::unique_lock<std::mutex> lock(stream->mutex);
    while (stream->completed < number) {
        if (stream->running) {
            stream->changed.wait(lock);
            continue;
        }
        std::function<void()> work = std::move(stream->queue.front());
        stream->queue.pop_front();
        stream->running = true;
        lock.unlock();
        if (work && staying(stream->device) == cudaSuccess)
            work();
        work = nullptr; /* destroy captured objects before other threads see it as completed */
        lock.lock();
        stream->running = false;
        stream->completed++;
        stream->changed.notify_all();
    }
}

uint64_t enqueue(const Stream &stream, std::function<void()> work)
{
    uint64_t number;
    {
        std::lock_guard<std::mutex> lock(stream->mutex);
        stream->queue.push_back(std::move(work));
        number = ++stream->enqueued;
    }
    if (stream->is_default || eager())
        run_until(stream, number);
    return number;
}

void finish(const Stream &stream)
{
    uint64_t number;
    {
        std::lock_guard<std::mutex> lock(stream->mutex);
        number = stream->enqueued;
    }
    run_until(stream, number);
}

void finish_all()
{
    std::vector<Stream> all;
    {
        std::lock_guard<std::mutex> lock(mutex);
        for (auto &[handle, stream] : streams)
            all.push_back(stream);
    }
    for (auto &stream : all)
        finish(stream);
}

static bool is_done(const Stream &stream, uint64_t number)
{
    std::lock_guard<std::mutex> lock(stream->mutex);
    return stream->completed >= number;
}

/* ---- handles ---------------------------------------------------------------------------------
 */

static Stream new_stream(bool is_default)
{
    Stream stream = std::make_shared<CUstream_st>();
    stream->device = current_device();
    stream->is_default = is_default;
    return stream;
}

Stream find_stream(cudaStream_t handle)
{
    std::lock_guard<std::mutex> lock(mutex);
    if (!handle) {
        count_default_stream_use();
        Stream &stream = default_streams[current_device()];
        if (!stream)
            stream = new_stream(true);
        return stream;
    }
    auto found = streams.find(handle);
    return found == streams.end() ? nullptr : found->second;
}

Stream enter_stream(emu_site site, cudaStream_t handle, cudaError_t *ret_error)
{
    *ret_error = enter(site);
    Stream stream = *ret_error == cudaSuccess ? find_stream(handle) : nullptr;
    if (*ret_error == cudaSuccess && !stream)
        *ret_error = remember(cudaErrorInvalidResourceHandle);
    return stream;
}

/* False: no such event. */
static bool find_event(cudaEvent_t handle, Event *ret_event)
{
    std::lock_guard<std::mutex> lock(mutex);
    auto found = events.find(handle);
    if (found == events.end())
        return false;
    *ret_event = found->second;
    return true;
}

} // namespace emu

using namespace emu;

/* ---- streams ---------------------------------------------------------------------------------
 */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    cudaError_t error = enter(EMU_CREATE);
    if (error != cudaSuccess)
        return error;
    if (flags != cudaStreamNonBlocking)
        return remember(cudaErrorInvalidValue);
    Stream made = new_stream(false);
    std::lock_guard<std::mutex> lock(emu::mutex);
    streams[made.get()] = made;
    *stream = made.get();
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t handle)
{
    Stream stream = handle ? find_stream(handle) : nullptr;
    if (!stream)
        return remember(cudaErrorInvalidResourceHandle);
    finish(stream);
    std::lock_guard<std::mutex> lock(emu::mutex);
    streams.erase(handle);
    return remember(staying(stream->device));
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle)
{
    cudaError_t error;
    Stream stream = enter_stream(EMU_SYNC, handle, &error);
    if (!stream)
        return error;
    finish(stream);
    return remember(staying(stream->device));
}

/* ---- events ----------------------------------------------------------------------------------
 */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    cudaError_t error = enter(EMU_CREATE);
    if (error != cudaSuccess)
        return error;
    std::lock_guard<std::mutex> lock(emu::mutex);
    *event = reinterpret_cast<cudaEvent_t>(++events_made << 4);
    events[*event] = {flags, current_device(), nullptr};
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    std::lock_guard<std::mutex> lock(emu::mutex);
    if (!events.erase(event))
        return remember(cudaErrorInvalidResourceHandle);
    return remember(staying(current_device()));
}

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream_handle)
{
    cudaError_t error;
    Stream stream = enter_stream(EMU_OTHER, stream_handle, &error);
    if (!stream)
        return error;
    Event event;
    if (!find_event(handle, &event) || event.device != stream->device)
        return remember(cudaErrorInvalidResourceHandle);
    auto recording = std::make_shared<Recording>();
    /* Weak, because the recording owns the stream. */
    std::weak_ptr<Recording> weak = recording;
    recording->stream = stream;
    recording->seconds = 0;
    recording->number = enqueue(stream, [weak] {
        if (auto reached = weak.lock()) {
            std::lock_guard<std::mutex> lock(reached->stream->mutex);
            reached->seconds = now();
        }
    });
    std::lock_guard<std::mutex> lock(emu::mutex);
    auto found = events.find(handle);
    if (found != events.end())
        found->second.recording = recording;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle)
{
    cudaError_t error = enter(EMU_SYNC);
    if (error != cudaSuccess)
        return error;
    Event event;
    if (!find_event(handle, &event))
        return remember(cudaErrorInvalidResourceHandle);
    if (event.recording)
        run_until(event.recording->stream, event.recording->number);
    return remember(staying(event.device));
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    double seconds[2];
    cudaEvent_t handles[2] = {start, end};
    for (int i = 0; i < 2; i++) {
        Event event;
        if (!find_event(handles[i], &event) || !event.recording ||
            (event.flags & cudaEventDisableTiming))
            return remember(cudaErrorInvalidResourceHandle);
        Recording &recording = *event.recording;
        if (!is_done(recording.stream, recording.number))
            return remember(cudaErrorNotReady);
        std::lock_guard<std::mutex> lock(recording.stream->mutex);
        seconds[i] = recording.seconds;
    }
    *milliseconds = (float)((seconds[1] - seconds[0]) * 1e3);
    return cudaSuccess;
}
