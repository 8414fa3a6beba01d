/* The backends of this build, in the order in which "auto" tries them. */
#include "backend/backend.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef PS_CUDA
static int open_gpu(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                    struct ps_error *error)
{
    return ps_backend_cuda.open(options, ret_backend, error);
}
#else
static int open_gpu(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                    struct ps_error *error)
{
    (void)options;
    (void)ret_backend;
    return ps_fail(error, PS_E_DEVICE, "this build computes on the CPU only");
}
#endif

int ps_backend_open(const char *choice, int threads, bool require_gpu,
                    struct ps_backend **ret_backend, struct ps_error *error)
{
    struct ps_backend_options options = {.threads = threads};
    bool gpu_named = strncmp(choice, "cuda", 4) == 0;
    if (strcmp(choice, "cpu") == 0 && !require_gpu)
        return ps_backend_cpu.open(&options, ret_backend, error);
    if (strncmp(choice, "cuda:", 5) == 0)
        options.device = (int)strtol(choice + 5, NULL, 10);
    struct ps_error reason;
    int status = open_gpu(&options, ret_backend, &reason);
    if (status == 0)
        return 0;
    if (gpu_named || require_gpu)
        return ps_fail(error, PS_E_DEVICE, "%s: %s; compute.backend = cpu needs no GPU",
                       gpu_named ? choice : "compute.require_gpu", reason.message);
    status = ps_backend_cpu.open(&options, ret_backend, error);
    if (status == 0)
        (void)snprintf((*ret_backend)->note, sizeof(*ret_backend)->note, "%.255s", reason.message);
    return status;
}
