/* Streams and events. A stream's work has numbers; an event that was recorded is the number of a
 * piece of work in a stream, and waiting for it is running the stream up to there. */
#include "runtime.h"

#include <map>
#include <time.h>

namespace emu
{

struct Recording {
    Stream stream;
    uint64_t number;
    double seconds; /* when it was reached; guarded by the stream's lock */
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
static Stream default_streams[MOST_DEVICES];

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

/* Runs a stream until `number` pieces of its work are done, or until this thread has run `most`. */
static void run_until(const Stream &stream, uint64_t number, uint64_t most)
{
    std::unique_lock<std::mutex> lock(stream->mutex);
    while (stream->completed < number && most) {
        if (stream->running) {
            stream->changed.wait(lock);
            continue;
        }
        most--;
        std::function<void()> work = std::move(stream->queue.front());
        stream->queue.pop_front();
        stream->running = true;
        lock.unlock();
        if (work && staying(stream->device) == cudaSuccess)
            work();
        work = nullptr; /* what it holds goes before others learn that it is done */
        lock.lock();
        stream->running = false;
        stream->completed++;
        stream->changed.notify_all();
    }
}

/* Returns the number of the work. */
static uint64_t add(const Stream &stream, std::function<void()> work)
{
    if (is_default(stream)) {
        std::vector<Stream> before;
        {
            std::lock_guard<std::mutex> lock(mutex);
            for (auto &[handle, other] : streams)
                if (other->blocking && other->device == stream->device)
                    before.push_back(other);
        }
        for (auto &other : before)
            finish(other);
    }
    uint64_t number;
    {
        std::lock_guard<std::mutex> lock(stream->mutex);
        stream->queue.push_back(std::move(work));
        number = ++stream->enqueued;
    }
    if (is_default(stream) || eager())
        run_until(stream, number, UINT64_MAX);
    return number;
}

void enqueue(const Stream &stream, std::function<void()> work)
{
    (void)add(stream, std::move(work));
}

void finish(const Stream &stream)
{
    uint64_t number;
    {
        std::lock_guard<std::mutex> lock(stream->mutex);
        number = stream->enqueued;
    }
    run_until(stream, number, UINT64_MAX);
}

void finish_device(int device)
{
    std::vector<Stream> all;
    {
        std::lock_guard<std::mutex> lock(mutex);
        for (auto &[handle, stream] : streams)
            if (stream->device == device)
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

static Stream new_stream(int device, bool blocking)
{
    Stream stream = std::make_shared<CUstream_st>();
    stream->device = device;
    stream->blocking = blocking;
    return stream;
}

bool is_default(const Stream &stream)
{
    std::lock_guard<std::mutex> lock(mutex);
    return stream == default_streams[stream->device];
}

Stream find_stream(cudaStream_t handle)
{
    std::lock_guard<std::mutex> lock(mutex);
    if (!handle) {
        count_device_wait();
        Stream &stream = default_streams[current_device()];
        if (!stream)
            stream = new_stream(current_device(), false);
        return stream;
    }
    auto found = streams.find(handle);
    return found == streams.end() ? nullptr : found->second;
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
    Stream made = new_stream(current_device(), !(flags & cudaStreamNonBlocking));
    std::lock_guard<std::mutex> lock(emu::mutex);
    streams[made.get()] = made;
    *stream = made.get();
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int priority)
{
    (void)priority;
    return cudaStreamCreateWithFlags(stream, flags);
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
    cudaError_t error = enter(EMU_SYNC);
    if (error != cudaSuccess)
        return error;
    Stream stream = find_stream(handle);
    if (!stream)
        return remember(cudaErrorInvalidResourceHandle);
    finish(stream);
    return remember(staying(stream->device));
}

/* Asking again and again comes to an end: each time one piece of work is done. */
static cudaError_t query(const Stream &stream, uint64_t number)
{
    run_until(stream, number, 1);
    if (staying(stream->device) != cudaSuccess)
        return remember(staying(stream->device));
    return is_done(stream, number) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaStreamQuery(cudaStream_t handle)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    Stream stream = find_stream(handle);
    if (!stream)
        return remember(cudaErrorInvalidResourceHandle);
    uint64_t number;
    {
        std::lock_guard<std::mutex> lock(stream->mutex);
        number = stream->enqueued;
    }
    return query(stream, number);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event_handle, unsigned flags)
{
    (void)flags;
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    Stream stream = find_stream(handle);
    Event event;
    if (!stream || !find_event(event_handle, &event))
        return remember(cudaErrorInvalidResourceHandle);
    if (std::shared_ptr<Recording> recording = event.recording)
        enqueue(stream,
                [recording] { run_until(recording->stream, recording->number, UINT64_MAX); });
    return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t handle, cudaHostFn_t function, void *data)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    Stream stream = find_stream(handle);
    if (!stream)
        return remember(cudaErrorInvalidResourceHandle);
    enqueue(stream, [function, data] { function(data); });
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    cudaError_t error = enter(EMU_SYNC);
    if (error != cudaSuccess)
        return error;
    count_device_wait();
    finish_device(current_device());
    return remember(staying(current_device()));
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
    return cudaEventCreateWithFlags(event, cudaEventDefault);
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
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    Stream stream = find_stream(stream_handle);
    Event event;
    if (!stream || !find_event(handle, &event) || event.device != stream->device)
        return remember(cudaErrorInvalidResourceHandle);
    auto recording = std::make_shared<Recording>();
    /* Held weakly, for the recording holds the stream. */
    std::weak_ptr<Recording> weak = recording;
    recording->stream = stream;
    recording->seconds = 0;
    recording->number = add(stream, [weak] {
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
        run_until(event.recording->stream, event.recording->number, UINT64_MAX);
    return remember(staying(event.device));
}

cudaError_t cudaEventQuery(cudaEvent_t handle)
{
    cudaError_t error = enter(EMU_OTHER);
    if (error != cudaSuccess)
        return error;
    Event event;
    if (!find_event(handle, &event))
        return remember(cudaErrorInvalidResourceHandle);
    return event.recording ? query(event.recording->stream, event.recording->number) : cudaSuccess;
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
