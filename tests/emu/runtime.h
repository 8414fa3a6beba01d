/* Internals of the emulated runtime, shared by its files.
 *
 * The model, and its differences from a GPU:
 *  - A stream is a queue of work. Only a thread that waits for it runs it, in that thread; other
 *    threads wait for work that is running. Each GPU has its own memory, streams and errors.
 *  - cudaFree() and cudaFreeHost() wait for all streams, as they do in practice; destroying a
 * stream waits for it; a copy to or from pageable memory accesses it before the call returns.
 *  - The failure of a kernel is sticky: all later calls for that GPU return it, and all later work
 *    is dropped. Calls that free memory do so and then return it, so that leaks can be told apart.
 *  - Streams never wait for each other: cudaStreamNonBlocking is required. The default stream runs
 *    work at once; its uses are counted, because the backend must not use it.
 *
 * Lock order: a registry (of live objects), then a stream. None is held while work runs. */
#ifndef EMU_RUNTIME_H
#define EMU_RUNTIME_H

#include "cuda_runtime.h"
#include "emu.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <vector>
#include <memory>
#include <mutex>
#include <stdint.h>
#include <string>

struct CUstream_st {
    int device;
    bool is_default;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue;
    uint64_t enqueued = 0; /* pieces of work, in total */
    uint64_t completed = 0;
    bool running = false; /* a thread runs a piece */
};

namespace emu
{

using Stream = std::shared_ptr<CUstream_st>;
enum { MAX_DEVICES = 16 };

/* ---- errors and failures (control.cpp) ---- */

/* Counts a call of `site` and returns its error: an injected one, or the sticky one of the thread's
 * GPU. Both are remembered. */
cudaError_t enter(emu_site site);
/* Remembers an error for cudaGetLastError(), and returns it. */
cudaError_t remember(cudaError_t error);
/* Error that cudaGetLastError() reports, which is cleared. */
cudaError_t take_last_error();
/* Makes an error sticky for a GPU, and returns it. */
cudaError_t stay(int device, cudaError_t error);
/* Sticky error of a GPU, or cudaSuccess. */
cudaError_t staying(int device);
/* Counts a call of `site` and returns whether it must fail, for sites with other error types. */
bool injected(emu_site site);
void report(const std::string &text);

int current_device(); /* of the calling thread */
void set_current_device(int device);
int device_count();
size_t memory_bytes(); /* of each GPU */
int driver_version();  /* CUDA that the driver supports */
int old_device();      /* the GPU whose compute capability is too low */
void count_default_stream_use();
bool tracing();
__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);

/* ---- memory (memory.cpp) ---- */

enum class Kind { pageable, pinned, device };
struct Place {
    Kind kind;
    int device;
    size_t left; /* bytes to the end of the allocation */
};
/* Allocation that contains an address. */
Place place(const void *address);
/* True if `bytes` from `address` on lie in one allocation on `device`. */
bool on_device(const void *address, size_t bytes, int device);
void count_memory(struct emu_live &live);

/* ---- streams (stream.cpp) ---- */

/* NULL: no such stream. A NULL handle is the default stream of the thread's GPU. */
Stream find_stream(cudaStream_t handle);
/* enter(), and the stream of the call. NULL: the call must return `*ret_error`. */
Stream enter_stream(emu_site site, cudaStream_t handle, cudaError_t *ret_error);
/* Adds work to a stream and returns its number there. It is dropped if its GPU has a sticky error
 * when its turn comes. */
uint64_t enqueue(const Stream &stream, std::function<void()> work);
/* Runs a stream until its present work is done. */
void finish(const Stream &stream);
/* Every stream of every GPU. */
void finish_all();
void count_streams(struct emu_live &live);
bool eager();

/* ---- cuFFT (cufft.cpp) ---- */

size_t count_plans();

} // namespace emu

#endif
