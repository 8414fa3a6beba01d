/* What a test asks of the emulated GPU and tells it, beside the interfaces that it stands for.
 *
 * The emulation runs the CUDA backend on any machine: kernels compiled as C++, memory from the
 * heap, transforms by FFTW. It has the calls that the backend makes, and no other: a program with
 * cudaDeviceSynchronize() does not link. It is there to show mistakes, not to be like a GPU in
 * speed:
 *
 *  - work of a stream waits in a queue until something waits for it, so that a missing wait shows
 *    as a wrong result, and a staging buffer overwritten too early too;
 *  - new memory is full of NaN; transforms to real numbers spoil their input and their work area;
 *  - copies know what lies where; a kernel that leaves its memory meets AddressSanitizer;
 *  - a barrier or a shuffle that not all threads reach is reported with its kernel and thread;
 *  - threads and blocks can be run in another order, which races do not survive.
 *
 * Environment, read at the first call:
 *   EMU_DEVICES=N        how many GPUs (1)
 *   EMU_OLD=DEVICE       this one has compute capability 6.0, the others 12.0
 *   EMU_MEMORY=BYTES     memory of each (8 GiB)
 *   EMU_DRIVER=VERSION   CUDA that the driver knows: 12040 is 12.4 (the runtime's); 0: no driver
 *   EMU_ORDER=ORDER      forward, reverse or random:SEED: see emu_order()
 *   EMU_EAGER=1          run work at once, for looking at it in a debugger
 *   EMU_FAIL=SITE:K      see emu_fail()
 *   EMU_LEAKS=1          at exit, complain and end with status 23 where anything was left
 *   EMU_TRACE=1          every kernel, copy and transform on stderr as it runs
 */
#ifndef EMU_H
#define EMU_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where a call can be made to fail. */
enum emu_site {
    EMU_MALLOC, /* cudaMalloc, cudaMallocHost: out of memory */
    EMU_CREATE, /* streams and events */
    EMU_COPY,   /* cudaMemcpy*Async, cudaMemsetAsync; stays, as after an illegal address */
    EMU_LAUNCH, /* a kernel cannot be launched; stays */
    EMU_FAULT,  /* a kernel is launched and fails when it runs; stays */
    EMU_SYNC,   /* cudaStreamSynchronize, cudaEventSynchronize; stays */
    EMU_PLAN,   /* making a plan of cuFFT, and telling it of stream and work area */
    EMU_FFT,    /* running it */
    EMU_OTHER,  /* any other call that returns an error and frees nothing */
    EMU_SITES
};

/* "malloc", "create", ... */
const char *emu_site_name(enum emu_site site);

/* Makes the k-th call (from 1) of a site fail, counted from now. 0: none. Only one site fails at a
 * time. EMU_SITES: the k-th call of any site. */
void emu_fail(enum emu_site site, unsigned long k);

/* Calls of a site since emu_fail() or emu_reset(). */
unsigned long emu_calls(enum emu_site site);

/* Calls that use the default stream, since emu_reset(). */
unsigned long emu_default_stream_uses(void);

/* Forgets errors that stay, failures to come and counts, and puts order and eagerness back to what
 * the environment says; what is allocated stays. */
void emu_reset(void);

/* What is alive. */
struct emu_live {
    size_t device; /* allocations */
    size_t pinned;
    size_t device_bytes;
    size_t streams;
    size_t events;
    size_t plans;
};
struct emu_live emu_live(void);

/* Order of the threads of a block, and of the blocks: "forward", "reverse", or "random:SEED", which
 * is another one for every block and barrier. */
void emu_order(const char *order);

/* Whether streams run what they are given at once. */
void emu_eager(int eager);

/* The latest report of a kernel that went wrong (on stderr too), "" before any. Valid until the
 * next one. */
const char *emu_report(void);

/* The largest dynamic shared memory of a block, in bytes: without asking, and after
 * cudaFuncSetAttribute(). The second is that of large cards, so that kernels which take what there
 * is are seen at their largest; Turing cards have 64 KB, and tests tell the backend so. */
enum { EMU_SHARED_BYTES = 48 << 10, EMU_SHARED_BYTES_MOST = 227 << 10 };

#ifdef __cplusplus
}
#endif

#endif
