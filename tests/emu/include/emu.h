/* Control of the emulated GPU by a test, beside the emulated interfaces.
 *
 * The emulation runs the CUDA backend on any machine: kernels compiled as C++, memory from the
 * heap, transforms by FFTW. It only has the calls that the backend makes: a program that calls
 * cudaDeviceSynchronize() does not link. Its purpose is to reveal mistakes, not speed:
 *
 *  - the work of a stream is queued until something waits for it, so that a missing wait, or a
 *    staging buffer overwritten too early, gives a wrong result;
 *  - new memory is full of NaN; transforms to real numbers overwrite their input and work area;
 *  - copies check their addresses; AddressSanitizer reports kernels that leave their memory;
 *  - a barrier or shuffle that not all threads reach is reported with its kernel and thread;
 *  - threads and blocks can run in another order, which reveals races.
 *
 * Environment, read at the first call:
 *   EMU_DEVICES=N        number of GPUs (1)
 *   EMU_OLD=DEVICE       this one has compute capability 6.0, the others 12.0
 *   EMU_MEMORY=BYTES     memory of each (8 GiB)
 *   EMU_DRIVER=VERSION   CUDA version of the driver: 12040 is 12.4 (default: the runtime's); 0: no
 *                        driver
 *   EMU_ORDER=ORDER      forward, reverse or random:SEED: see emu_order()
 *   EMU_EAGER=1          run work at once, for a debugger
 *   EMU_FAIL=SITE:K      see emu_fail()
 *   EMU_LEAKS=1          at exit, report leaks and end with status 23
 *   EMU_TRACE=1          log every kernel, copy and transform to stderr as it runs
 */
#ifndef EMU_H
#define EMU_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of calls that can fail. */
enum emu_site {
    EMU_MALLOC, /* cudaMalloc, cudaMallocHost: out of memory */
    EMU_CREATE, /* streams and events */
    EMU_COPY,   /* cudaMemcpy*Async, cudaMemsetAsync; sticky, as after an illegal address */
    EMU_LAUNCH, /* launch of a kernel; sticky */
    EMU_FAULT,  /* execution of a kernel; sticky */
    EMU_SYNC,   /* cudaStreamSynchronize, cudaEventSynchronize; sticky */
    EMU_PLAN,   /* creating a cuFFT plan, and setting its stream and work area */
    EMU_FFT,    /* executing it */
    EMU_OTHER,  /* any other call that returns an error and frees nothing */
    EMU_SITES
};

/* "malloc", "create", ... */
const char *emu_site_name(enum emu_site site);

/* Makes the k-th call (from 1) of a site fail, counted from now; 0: none. Only one site fails at a
 * time. EMU_SITES: the k-th call of any site. */
void emu_fail(enum emu_site site, unsigned long k);

/* Calls of a site since emu_fail() or emu_reset(). */
unsigned long emu_calls(enum emu_site site);

/* Calls that use the default stream, since emu_reset(). */
unsigned long emu_default_stream_uses(void);

/* Clears sticky errors, injected failures and counts, and resets order and eagerness to the
 * environment's values. Allocations stay. */
void emu_reset(void);

/* Live objects. */
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
 * differs for every block and barrier. */
void emu_order(const char *order);

/* Makes streams run work when it is enqueued, or when something waits for it. */
void emu_eager(int eager);

/* The latest report of a failed kernel (on stderr too), "" if none. Valid until the next report. */
const char *emu_report(void);

/* Dynamic shared memory of a block, in bytes: by default, and the limit of cudaFuncSetAttribute().
 * The limit is that of large GPUs, so that kernels which use all of it run at their largest. Turing
 * GPUs have 64 KB; tests set that in the backend. */
enum { EMU_DEFAULT_SHARED_BYTES = 48 << 10, EMU_MAX_SHARED_BYTES = 227 << 10 };

#ifdef __cplusplus
}
#endif

#endif
