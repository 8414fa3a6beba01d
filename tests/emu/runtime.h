/* The inside of the emulated runtime: what its files share.
 *
 * The model, and where it differs from a real GPU:
 *  - A stream is a queue of work. Nothing runs it but a thread that waits for it: the work then
 * runs in that thread. Work that was begun is waited for by others. Of several GPUs, each has its
 * own memory, streams and errors.
 *  - cudaFree() and cudaFreeHost() wait for all streams, as they do in practice; destroying a
 * stream waits for it; a copy to or from pageable memory reads or writes it before it returns.
 *  - A failure of a kernel stays: all later calls for that GPU return it, all later work is
 *    dropped. Calls that free do free, and then return it, so that leaks can be told from it.
 *  - No stream waits for another: all are made with cudaStreamNonBlocking, or refused. The default
 *    stream runs what it is given at once; its uses are counted, for the backend is to have none.
 *
 * Locks: the registry's (what is alive), then a stream's. None is held while work runs. */
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
    uint64_t enqueued = 0; /* pieces of work, ever */
    uint64_t completed = 0;
    bool running = false; /* one of them, in some thread */
};

namespace emu
{

using Stream = std::shared_ptr<CUstream_st>;
enum { MOST_DEVICES = 16 };

/* ---- errors and failures (device.cpp) ---- */

/* Counts a call of `site`. The error to return at once: an injected one, or one that stays with the
 * thread's GPU; both are remembered. */
cudaError_t enter(emu_site site);
/* Remembers an error for cudaGetLastError(), and returns it. */
cudaError_t remember(cudaError_t error);
/* Makes an error stay with a GPU, and returns it. */
cudaError_t stay(int device, cudaError_t error);
/* What stays with a GPU, cudaSuccess mostly. */
cudaError_t staying(int device);
/* Counts a call of `site` and says whether it is to fail: for those that have errors of their own.
 */
bool injected(emu_site site);
void report(const std::string &text);

int current_device();
int device_count();
size_t memory_bytes();
void count_default_stream_use();
bool tracing();
__attribute__((format(printf, 1, 2))) void trace(const char *format, ...);

/* ---- memory (memory.cpp) ---- */

enum class Kind { pageable, pinned, device };
struct Place {
    Kind kind;
    int device;
    size_t left; /* bytes from there to the end of the allocation */
};
/* Where an address lies. */
Place place(const void *address);
/* Whether `bytes` from `address` on lie in one allocation on `device`. */
bool on_device(const void *address, size_t bytes, int device);
void count_memory(struct emu_live &live);

/* ---- streams (stream.cpp) ---- */

/* NULL: no such stream. The default stream of the thread's GPU is one. */
Stream find_stream(cudaStream_t handle);
/* enter(), and the stream that the call is for. NULL: the call is to return `*ret_error`. */
Stream enter_stream(emu_site site, cudaStream_t handle, cudaError_t *ret_error);
/* Adds work to a stream, which is dropped if an error stays with its GPU by then. Returns its
 * number there. */
uint64_t enqueue(const Stream &stream, std::function<void()> work);
/* Runs a stream until all that is in it now is done. */
void finish(const Stream &stream);
/* Every stream of every GPU. */
void finish_all();
void count_streams(struct emu_live &live);
bool eager();

/* ---- cuFFT (cufft.cpp) ---- */

size_t count_plans();

} // namespace emu

#endif
