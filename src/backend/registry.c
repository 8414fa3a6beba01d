/* The backends of this build, in the order in which "auto" tries them. */
#include "backend/backend.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

int ps_backend_open(const char *choice, int threads, bool require_gpu,
                    struct ps_backend **ret_backend, struct ps_error *error)
{
    struct ps_backend_options options = {.threads = threads};
    bool gpu_named = strncmp(choice, "cuda", 4) == 0;
    if (gpu_named || require_gpu)
        return ps_fail(error, PS_E_DEVICE,
                       "%s: this build computes on the CPU only; set compute.backend = cpu",
                       gpu_named ? choice : "compute.require_gpu");
    return ps_backend_cpu.open(&options, ret_backend, error);
}
