/* Launchers of the kernels, in plain C for the host code (src/backend/cuda_*.c).
 *
 * Each enqueues its kernels on `stream` and returns what the runtime said of the launches. Pointers
 * are into device memory; images lie row by row. Nothing here allocates, waits or decides. */
#ifndef PS_KERNELS_LAUNCH_H
#define PS_KERNELS_LAUNCH_H

#include <cuda_runtime_api.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
}
#endif

#endif
