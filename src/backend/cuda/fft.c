/* cuFFT: the library and its plans. */
#include "backend/cuda/slot.h"

#include <dlfcn.h>
#include <string.h>

#define TEXT(x)        #x
#define LIBRARY(major) "libcufft.so." TEXT(major)

/* RTLD_NODELETE: the runtime can still refer to cuFFT's kernels when the program ends. */
enum { HOW = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE };

int cuda_fft_load(struct cuda_fft *ret_fft, struct ps_error *error)
{
    /* The dynamic loader does not always search the toolkit's directory. */
    static const char *const names[] = {LIBRARY(CUFFT_VER_MAJOR),
                                        "/usr/local/cuda/lib64/" LIBRARY(CUFFT_VER_MAJOR)};
    const char *name = names[0];
    struct cuda_fft fft = {.library = dlopen(name, HOW)};
    if (!fft.library)
        fft.library = dlopen(names[1], HOW);
    if (!fft.library)
        return ps_fail(error, PS_E_DEVICE, "the GPU needs cuFFT: %s", dlerror());
    const struct {
        const char *symbol;
        void *function;
    } functions[] = {
        {"cufftCreate", &fft.create},
        {"cufftSetAutoAllocation", &fft.set_auto_allocation},
        {"cufftMakePlanMany", &fft.make_plan_many},
        {"cufftSetWorkArea", &fft.set_work_area},
        {"cufftSetStream", &fft.set_stream},
        {"cufftExecR2C", &fft.exec_r2c},
        {"cufftExecC2R", &fft.exec_c2r},
        {"cufftDestroy", &fft.destroy},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *address = dlsym(fft.library, functions[i].symbol);
        if (!address) {
            (void)dlclose(fft.library);
            return ps_fail(error, PS_E_DEVICE, "%s lacks %s", name, functions[i].symbol);
        }
        memcpy(functions[i].function, &address, sizeof address);
    }
    *ret_fft = fft;
    return 0;
}

void cuda_fft_unload(struct cuda_fft *fft)
{
    if (fft->library)
        (void)dlclose(fft->library);
    *fft = (struct cuda_fft){0};
}

static const char *result_name(cufftResult result)
{
    switch (result) {
    case CUFFT_INVALID_PLAN:
        return "CUFFT_INVALID_PLAN";
    case CUFFT_ALLOC_FAILED:
        return "CUFFT_ALLOC_FAILED";
    case CUFFT_INVALID_VALUE:
        return "CUFFT_INVALID_VALUE";
    case CUFFT_INTERNAL_ERROR:
        return "CUFFT_INTERNAL_ERROR";
    case CUFFT_EXEC_FAILED:
        return "CUFFT_EXEC_FAILED";
    case CUFFT_SETUP_FAILED:
        return "CUFFT_SETUP_FAILED";
    case CUFFT_INVALID_SIZE:
        return "CUFFT_INVALID_SIZE";
    default:
        return "an error of cuFFT";
    }
}

int cuda_check_fft(cufftResult result, const char *expression, struct ps_error *error)
{
    if (result == CUFFT_SUCCESS)
        return 0;
    return ps_fail(error, result == CUFFT_ALLOC_FAILED ? PS_E_NOMEM : PS_E_DEVICE,
                   "%s (%d) in %.120s", result_name(result), (int)result, expression);
}

/* cuFFT reports an internal error if memory for a plan is missing. */
static int plan_check(cufftResult result, const char *expression, struct ps_error *error)
{
    int status = cuda_check_fft(result, expression, error);
    if (result == CUFFT_INTERNAL_ERROR || result == CUFFT_SETUP_FAILED)
        status = error->code = PS_E_NOMEM;
    return status;
}
#define PLAN(expression) plan_check(expression, #expression, error)

void cuda_plan_done(struct cuda_slot *slot, struct cuda_plan *plan)
{
    if (plan->handles > 0)
        (void)slot->cuda->fft.destroy(plan->forward);
    if (plan->handles > 1)
        (void)slot->cuda->fft.destroy(plan->inverse);
    *plan = (struct cuda_plan){0};
}

static int plan_make(struct cuda_slot *slot, struct cuda_plan *plan, bool forward,
                     size_t *ret_work_bytes, struct ps_error *error)
{
    const struct cuda_fft *fft = &slot->cuda->fft;
    struct cuda_fft_shape *s = &plan->shape;
    cufftHandle *handle = forward ? &plan->forward : &plan->inverse;
    int size[2] = {s->height, s->width};
    int real[2] = {s->height, s->real_stride};
    int complex[2] = {s->height, s->complex_stride};
    int status = PLAN(fft->create(handle));
    plan->handles += status == 0;
    if (status == 0)
        status = CUFFT(fft->set_auto_allocation(*handle, 0));
    if (status == 0 && forward)
        status =
            PLAN(fft->make_plan_many(*handle, 2, size, real, 1, s->real_distance, complex, 1,
                                     s->complex_distance, CUFFT_R2C, s->batch, ret_work_bytes));
    else if (status == 0)
        status =
            PLAN(fft->make_plan_many(*handle, 2, size, complex, 1, s->complex_distance, real, 1,
                                     s->real_distance, CUFFT_C2R, s->batch, ret_work_bytes));
    if (status == 0)
        status = CUFFT(fft->set_stream(*handle, slot->stream));
    return status;
}

int cuda_plan_reserve(struct cuda_slot *slot, struct cuda_plan *plan,
                      const struct cuda_fft_shape *shape, struct cuda_buffer *work,
                      struct ps_error *error)
{
    const struct cuda_fft *fft = &slot->cuda->fft;
    int status = 0;
    if (!plan->handles || memcmp(&plan->shape, shape, sizeof *shape) != 0) {
        cuda_plan_done(slot, plan);
        plan->shape = *shape;
        size_t forward = 0;
        size_t inverse = 0;
        status = plan_make(slot, plan, true, &forward, error);
        if (status == 0)
            status = plan_make(slot, plan, false, &inverse, error);
        if (status == 0)
            status = cuda_reserve(slot, work, forward > inverse ? forward : inverse,
                                  "the work area of cuFFT", error);
    }
    /* Another plan of the slot can have grown, and so moved, the work area. */
    if (status == 0)
        status = CUFFT(fft->set_work_area(plan->forward, work->data));
    if (status == 0)
        status = CUFFT(fft->set_work_area(plan->inverse, work->data));
    if (status)
        cuda_plan_done(slot, plan);
    return status;
}
