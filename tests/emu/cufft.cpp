/* cuFFT on top of FFTW, as far as the backend uses it: batches of images without gaps between the
 * elements of a row, and a work area that the caller supplies. Other uses are refused. It
 * overwrites everything that cuFFT may overwrite: the work area, and the input of transforms to
 * real numbers. A plan belongs to a device and needs a stream of that device. */
#include "cufft.h"
#include "runtime.h"

#include <fftw3.h>
#include <map>
#include <math.h>
#include <string.h>

namespace emu
{

/* One side of a batch: element (y, x) of image b is at b * distance + y * row + x. */
struct Layout {
    int width; /* elements of a row that are transformed */
    int row;
    int distance;
};

struct Plan {
    bool automatic = true; /* allocates its work area itself; not supported */
    void *work = nullptr;
    size_t work_bytes = 0;
    cudaStream_t stream = nullptr;
    bool made = false;
    cufftType type = CUFFT_R2C;
    int size[2] = {}; /* height, width of the real side */
    int batch = 0;
    Layout in = {};
    Layout out = {};
    int device = 0;
    /* Created by the first run: not in place, in place. */
    std::mutex mutex;
    fftwf_plan fftw[2] = {};

    ~Plan();
};

static std::mutex mutex; /* of the table, and of FFTW's planner */
static std::map<cufftHandle, std::shared_ptr<Plan>> plans;
static cufftHandle last_handle;

/* Other code of this process uses FFTW's planner too, under its own lock. */
__attribute__((constructor)) static void share_planner()
{
    fftwf_make_planner_thread_safe();
}

Plan::~Plan()
{
    for (fftwf_plan made_plan : fftw)
        if (made_plan)
            fftwf_destroy_plan(made_plan);
}

size_t count_plans()
{
    std::lock_guard<std::mutex> lock(mutex);
    return plans.size();
}

static std::shared_ptr<Plan> find(cufftHandle handle)
{
    std::lock_guard<std::mutex> lock(mutex);
    auto found = plans.find(handle);
    return found == plans.end() ? nullptr : found->second;
}

/* Elements from the first to the end of the last one. */
static size_t extent(const Plan &plan, const Layout &layout)
{
    return (size_t)(plan.batch - 1) * (size_t)layout.distance +
           (size_t)(plan.size[0] - 1) * (size_t)layout.row + (size_t)layout.width;
}

static bool is_sound(const Layout &layout)
{
    return layout.row >= layout.width && layout.distance >= 0;
}

static fftwf_plan make_plan(const Plan &plan, void *in, void *out)
{
    const unsigned flags = FFTW_ESTIMATE | FFTW_UNALIGNED;
    const Layout &i = plan.in;
    const Layout &o = plan.out;
    const int in_embed[] = {plan.size[0], i.row};
    const int out_embed[] = {plan.size[0], o.row};
    if (plan.type == CUFFT_R2C)
        return fftwf_plan_many_dft_r2c(2, plan.size, plan.batch, static_cast<float *>(in), in_embed,
                                       1, i.distance, static_cast<fftwf_complex *>(out), out_embed,
                                       1, o.distance, flags);
    return fftwf_plan_many_dft_c2r(2, plan.size, plan.batch, static_cast<fftwf_complex *>(in),
                                   in_embed, 1, i.distance, static_cast<float *>(out), out_embed, 1,
                                   o.distance, flags);
}

static void spoil(const Plan &plan, fftwf_complex *values)
{
    const Layout &layout = plan.in;
    for (int b = 0; b < plan.batch; b++)
        for (int y = 0; y < plan.size[0]; y++) {
            fftwf_complex *row =
                values + (size_t)b * (size_t)layout.distance + (size_t)y * (size_t)layout.row;
            for (int x = 0; x < layout.width; x++)
                row[x][0] = row[x][1] = NAN;
        }
}

static void run_plan(Plan &plan, void *work, void *in, void *out)
{
    if (tracing())
        trace("transform of %d x %d, %d of them", plan.size[0], plan.size[1], plan.batch);
    memset(work, 0xff, plan.work_bytes);
    fftwf_plan fftw;
    {
        std::lock_guard<std::mutex> lock(plan.mutex);
        fftwf_plan &kept = plan.fftw[in == out];
        if (!kept)
            kept = make_plan(plan, in, out);
        fftw = kept;
    }
    if (!fftw) {
        report("FFTW has no plan for a transform");
        (void)stay(plan.device, cudaErrorLaunchFailure);
    } else if (plan.type == CUFFT_R2C)
        fftwf_execute_dft_r2c(fftw, static_cast<float *>(in), static_cast<fftwf_complex *>(out));
    else {
        fftwf_execute_dft_c2r(fftw, static_cast<fftwf_complex *>(in), static_cast<float *>(out));
        if (in != out)
            spoil(plan, static_cast<fftwf_complex *>(in));
    }
}

static bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    auto from_a = reinterpret_cast<uintptr_t>(a);
    auto from_b = reinterpret_cast<uintptr_t>(b);
    return from_a < from_b + b_bytes && from_b < from_a + a_bytes;
}

static cufftResult execute(cufftHandle handle, cufftType type, void *in, void *out)
{
    bool fails = injected(EMU_FFT);
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || !plan->made || plan->type != type)
        return CUFFT_INVALID_PLAN;
    Stream stream = find_stream(plan->stream);
    if (fails || !stream || staying(stream->device) != cudaSuccess)
        return CUFFT_EXEC_FAILED;
    size_t in_bytes = extent(*plan, plan->in) * (type == CUFFT_R2C ? 4 : 8);
    size_t out_bytes = extent(*plan, plan->out) * (type == CUFFT_C2R ? 4 : 8);
    if (reinterpret_cast<uintptr_t>(in) % (type == CUFFT_R2C ? 4 : 8) ||
        reinterpret_cast<uintptr_t>(out) % (type == CUFFT_C2R ? 4 : 8))
        return CUFFT_UNALIGNED_DATA;
    if (stream->device != current_device() || !on_device(in, in_bytes, stream->device) ||
        !on_device(out, out_bytes, stream->device))
        return CUFFT_INVALID_VALUE;
    if (in != out && overlap(in, in_bytes, out, out_bytes))
        return CUFFT_INVALID_VALUE;
    void *work = plan->work;
    if (!work || !on_device(work, plan->work_bytes, stream->device) ||
        overlap(work, plan->work_bytes, in, in_bytes) ||
        overlap(work, plan->work_bytes, out, out_bytes))
        return CUFFT_EXEC_FAILED;
    enqueue(stream, [=] { run_plan(*plan, work, in, out); });
    return CUFFT_SUCCESS;
}

} // namespace emu

using namespace emu;

cufftResult cufftCreate(cufftHandle *handle)
{
    if (injected(EMU_PLAN))
        return CUFFT_ALLOC_FAILED;
    if (staying(current_device()) != cudaSuccess)
        return CUFFT_SETUP_FAILED;
    std::lock_guard<std::mutex> lock(emu::mutex);
    *handle = ++last_handle;
    plans[*handle] = std::make_shared<Plan>();
    plans[*handle]->device = current_device();
    return CUFFT_SUCCESS;
}

cufftResult cufftDestroy(cufftHandle handle)
{
    std::lock_guard<std::mutex> lock(emu::mutex);
    return plans.erase(handle) ? CUFFT_SUCCESS : CUFFT_INVALID_PLAN;
}

cufftResult cufftSetAutoAllocation(cufftHandle handle, int automatic)
{
    if (injected(EMU_PLAN))
        return CUFFT_INTERNAL_ERROR;
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || plan->made)
        return CUFFT_INVALID_PLAN;
    plan->automatic = automatic != 0;
    return CUFFT_SUCCESS;
}

cufftResult cufftMakePlanMany(cufftHandle handle, int rank, int *n, int *inembed, int istride,
                              int idist, int *onembed, int ostride, int odist, cufftType type,
                              int batch, size_t *work_bytes)
{
    if (injected(EMU_PLAN))
        return CUFFT_INTERNAL_ERROR;
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || plan->made || plan->automatic)
        return CUFFT_INVALID_PLAN;
    if (staying(plan->device) != cudaSuccess)
        return CUFFT_SETUP_FAILED;
    if (rank != 2 || !inembed || !onembed || istride != 1 || ostride != 1 || batch < 1)
        return CUFFT_INVALID_VALUE;
    if (n[0] < 1 || n[1] < 1)
        return CUFFT_INVALID_SIZE;
    int half = n[1] / 2 + 1;
    Layout in = {type == CUFFT_R2C ? n[1] : half, inembed[1], idist};
    Layout out = {type == CUFFT_R2C ? half : n[1], onembed[1], odist};
    if (!is_sound(in) || !is_sound(out))
        return CUFFT_INVALID_VALUE;
    plan->type = type;
    plan->size[0] = n[0];
    plan->size[1] = n[1];
    plan->batch = batch;
    plan->in = in;
    plan->out = out;
    plan->work_bytes = sizeof(fftwf_complex) * (size_t)batch * (size_t)n[0] * (size_t)half;
    plan->made = true;
    *work_bytes = plan->work_bytes;
    return CUFFT_SUCCESS;
}

cufftResult cufftSetWorkArea(cufftHandle handle, void *work)
{
    if (injected(EMU_PLAN))
        return CUFFT_INTERNAL_ERROR;
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || !plan->made)
        return CUFFT_INVALID_PLAN;
    plan->work = work;
    return CUFFT_SUCCESS;
}

cufftResult cufftSetStream(cufftHandle handle, cudaStream_t stream)
{
    if (injected(EMU_PLAN))
        return CUFFT_INTERNAL_ERROR;
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || !find_stream(stream))
        return CUFFT_INVALID_PLAN;
    plan->stream = stream;
    return CUFFT_SUCCESS;
}

cufftResult cufftExecR2C(cufftHandle handle, cufftReal *in, cufftComplex *out)
{
    return execute(handle, CUFFT_R2C, in, out);
}

cufftResult cufftExecC2R(cufftHandle handle, cufftComplex *in, cufftReal *out)
{
    return execute(handle, CUFFT_C2R, in, out);
}
