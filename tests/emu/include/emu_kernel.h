/* The language of kernels for a C++ compiler, as far as this project's kernels use it.
 *
 * A kernel is an ordinary function, called once per thread. Differences from CUDA:
 *  - __shared__ arrays exist once per OS thread and keep the values of the block before; dynamic
 *    shared memory (PS_SHARED) is full of NaN when a block starts.
 *  - Blocks run one after the other, in any order: a block that waits for another hangs.
 *  - threadIdx and similar names are macros, as are __syncthreads() and the warp functions, which
 *    thereby know file and line for reports; all threads must reach the same line.
 *  - Pointers passed to a kernel must be NULL or lie in the GPU's memory or in pinned memory.
 */
#ifndef EMU_KERNEL_H
#define EMU_KERNEL_H

#include "cuda_runtime.h"
#include "emu_device.h"

#include <string.h>
#include <tuple>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __shared__      static thread_local
#define __launch_bounds__(...)

/* ---- indices ---- */

struct emu_place {
    uint3 thread;
    uint3 block;
    uint3 block_size;
    uint3 grid_size;
    void *shared;
};
extern __thread struct emu_place emu_place __attribute__((tls_model("initial-exec")));

#define threadIdx (static_cast<const uint3 &>(emu_place.thread))
#define blockIdx  (static_cast<const uint3 &>(emu_place.block))
#define blockDim  (static_cast<const uint3 &>(emu_place.block_size))
#define gridDim   (static_cast<const uint3 &>(emu_place.grid_size))

#define PS_SHARED(type, name) type *name = static_cast<type *>(emu_place.shared)

/* ---- launches ---- */

/* A kernel and its arguments. */
struct emu_launch {
    const char *name;
    const void *function;
    dim3 grid;
    dim3 block;
    size_t shared_bytes;
    void *call; /* arguments */
    void (*run)(void *call);
    void (*drop)(void *call);
    const void *pointers[32]; /* among the arguments */
    int pointer_count;
};
/* Takes ownership of the call, even if it fails. */
cudaError_t emu_enqueue(const struct emu_launch &launch, cudaStream_t stream);

template <class... P> struct emu_call {
    void (*kernel)(P...);
    std::tuple<std::decay_t<P>...> arguments;

    static void run(void *self)
    {
        emu_call *call = static_cast<emu_call *>(self);
        std::apply(call->kernel, call->arguments);
    }
    static void drop(void *self)
    {
        delete static_cast<emu_call *>(self);
    }
};

template <class T> static inline void emu_note_pointer(emu_launch &launch, const T &argument)
{
    if constexpr (std::is_pointer_v<T>)
        if (launch.pointer_count < 32)
            launch.pointers[launch.pointer_count++] =
                const_cast<const void *>(static_cast<const volatile void *>(argument));
}

template <class... P, class... A>
static inline cudaError_t emu_start(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                                    size_t shared_bytes, cudaStream_t stream, A &&...arguments)
{
    auto *call = new emu_call<P...>{kernel, {static_cast<P>(arguments)...}};
    emu_launch launch = {name,
                         reinterpret_cast<const void *>(kernel),
                         grid,
                         block,
                         shared_bytes,
                         call,
                         emu_call<P...>::run,
                         emu_call<P...>::drop,
                         {},
                         0};
    std::apply([&](const auto &...a) { (emu_note_pointer(launch, a), ...); }, call->arguments);
    (void)emu_enqueue(launch, stream);
    return cudaGetLastError();
}

#define PS_LAUNCH(kernel, grid, block, shared_bytes, stream, ...)                                  \
    emu_start(#kernel, kernel, grid, block, shared_bytes, stream __VA_OPT__(, ) __VA_ARGS__)

/* ---- synchronisation ---- */

struct emu_line {
    const char *file;
    int line;
    const char *what;
};
#define EMU_LINE(what)                                                                             \
    ({                                                                                             \
        static const emu_line emu_here = {__FILE__, __LINE__, what};                               \
        &emu_here;                                                                                 \
    })

/* Returns whether any thread voted yes. */
bool emu_barrier(const emu_line *line, bool vote);

#define __syncthreads() ((void)emu_barrier(EMU_LINE("__syncthreads"), false))
#define __syncthreads_or(predicate)                                                                \
    static_cast<int>(emu_barrier(EMU_LINE("__syncthreads_or"), (predicate) != 0))

/* Waits until all lanes of `mask` that have not ended are here. Returns the value of lane `source`,
 * or of the lane itself if that is -1. */
unsigned long long emu_exchange(const emu_line *line, unsigned mask, unsigned long long value,
                                int source);
/* Likewise; returns the lanes that voted yes. */
unsigned emu_vote(const emu_line *line, unsigned mask, bool vote);
/* 0 to 31 */
int emu_lane(void);

template <class T>
static inline T emu_shuffle(const emu_line *line, unsigned mask, T value, int source)
{
    static_assert(sizeof(T) <= 8, "at most 8 bytes are shuffled");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = emu_exchange(line, mask, bits, source);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A source outside the warp is the lane itself. */
template <class T>
static inline T emu_shuffle_up(const emu_line *line, unsigned mask, T value, int delta)
{
    return emu_shuffle(line, mask, value, emu_lane() < delta ? -1 : emu_lane() - delta);
}
template <class T>
static inline T emu_shuffle_down(const emu_line *line, unsigned mask, T value, int delta)
{
    return emu_shuffle(line, mask, value, emu_lane() + delta > 31 ? -1 : emu_lane() + delta);
}
template <class T>
static inline T emu_shuffle_xor(const emu_line *line, unsigned mask, T value, int bits)
{
    return emu_shuffle(line, mask, value, emu_lane() ^ bits);
}

#define __shfl_up_sync(...)   emu_shuffle_up(EMU_LINE("__shfl_up_sync"), __VA_ARGS__)
#define __shfl_down_sync(...) emu_shuffle_down(EMU_LINE("__shfl_down_sync"), __VA_ARGS__)
#define __shfl_xor_sync(...)  emu_shuffle_xor(EMU_LINE("__shfl_xor_sync"), __VA_ARGS__)

#define __ballot_sync(mask, predicate) emu_vote(EMU_LINE("__ballot_sync"), mask, (predicate) != 0)

#endif
