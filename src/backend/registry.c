/* The backends of this build, in the order that "auto" tries them. */
#include "backend/backend.h"

#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#ifdef PS_CUDA
static int open_gpu(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                    struct ps_error *error)
{
    return ps_backend_cuda.open(options, ret_backend, error);
}
#else
int ps_cuda_count(void)
{
    return 0;
}

static int open_gpu(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                    struct ps_error *error)
{
    (void)options;
    (void)ret_backend;
    return ps_fail(error, PS_E_DEVICE, "built without CUDA support");
}
#endif

int ps_backend_devices(const char *choice, const struct ps_list *devices,
                       int ret_devices[PS_MAX_DEVICES], int *ret_count, struct ps_error *error)
{
    uint64_t number = 0;
    int gpus = strcmp(choice, "cpu") == 0 ? 0 : ps_cuda_count();
    bool named = strncmp(choice, "cuda:", 5) == 0;
    bool all = devices->count == 1 && strcmp(devices->items[0], "all") == 0;
    ret_devices[0] = 0;
    *ret_count = 1;
    if (named && ps_text_to_uint(choice + 5, 0, PS_MAX_DEVICES - 1, &number)) {
        ret_devices[0] = (int)number;
    } else if (gpus && all) {
        *ret_count = gpus < PS_MAX_DEVICES ? gpus : PS_MAX_DEVICES;
        for (int i = 0; i < *ret_count; i++)
            ret_devices[i] = i;
    } else if (gpus) {
        *ret_count = 0;
        for (size_t i = 0; i < devices->count && i < PS_MAX_DEVICES; i++) {
            if (!ps_text_to_uint(devices->items[i], 0, (uint64_t)gpus - 1, &number))
                return ps_fail(error, PS_E_DEVICE,
                               "compute.devices = %.20s: this machine has %d GPU%s",
                               devices->items[i], gpus, gpus == 1 ? "" : "s");
            ret_devices[(*ret_count)++] = (int)number;
        }
    }
    return 0;
}

int ps_backend_open(const char *choice, int device, int threads, bool require_gpu,
                    struct ps_backend **ret_backend, struct ps_error *error)
{
    struct ps_backend_options options = {.threads = threads, .device = device};
    if (strcmp(choice, "cpu") == 0)
        return ps_backend_cpu.open(&options, ret_backend, error);
    struct ps_error reason;
    int status = open_gpu(&options, ret_backend, &reason);
    if (status == 0)
        return 0;
    bool gpu_named = strncmp(choice, "cuda", 4) == 0;
    if (gpu_named || require_gpu)
        return ps_fail(error, PS_E_DEVICE, "%s: %s; compute.backend = cpu needs no GPU",
                       gpu_named ? choice : "compute.require_gpu", reason.message);
    status = ps_backend_cpu.open(&options, ret_backend, error);
    if (status == 0)
        (void)snprintf((*ret_backend)->note, sizeof(*ret_backend)->note, "%.255s", reason.message);
    return status;
}
