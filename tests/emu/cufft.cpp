/* cuFFT over FFTW. Unlike a lenient library, it spoils all that cuFFT may spoil: the work area, and
 * the input of transforms to real numbers. Plans are of one device and need a stream of it. */
#include "cufft.h"
#include "runtime.h"

#include <fftw3.h>
#include <map>
#include <math.h>
#include <string.h>
#include <vector>

namespace emu
{

/* One side of a batch: where element (i, j, ...) of image b lies. */
struct Layout {
    std::vector<int> size; /* elements that are transformed */
    std::vector<int> embed;
    int stride;
    int distance;
};

struct Plan {
    bool automatic = true; /* has its own work area */
    void *work = nullptr;
    size_t work_bytes = 0;
    cudaStream_t stream = nullptr;
    bool made = false;
    cufftType type = CUFFT_R2C;
    std::vector<int> size;
    int batch = 0;
    Layout in;
    Layout out;
    int device = 0;
    /* Made when they are first run: forward or inverse, in place or not. */
    std::mutex mutex;
    fftwf_plan fftw[2][2] = {};

    ~Plan();
};

static std::mutex mutex; /* of the table, and of FFTW's planner */
static std::map<cufftHandle, std::shared_ptr<Plan>> plans;
static cufftHandle last_handle;

/* Others of this process plan too, under locks of their own. */
__attribute__((constructor)) static void share_planner()
{
    fftwf_make_planner_thread_safe();
}

Plan::~Plan()
{
    for (auto &direction : fftw)
        for (fftwf_plan plan : direction)
            if (plan)
                fftwf_destroy_plan(plan);
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

/* Elements from the first to the end of the last. */
static size_t extent(const Layout &layout, int batch)
{
    size_t last = 0;
    for (size_t i = 0; i < layout.size.size(); i++)
        last = last * (size_t)layout.embed[i] + (size_t)(layout.size[i] - 1);
    return last * (size_t)layout.stride + (size_t)(batch - 1) * (size_t)layout.distance + 1;
}

static Layout layout(std::vector<int> size, const int *embed, int stride, int distance)
{
    Layout made = {size, size, 1, 1};
    if (embed) {
        made.embed.assign(embed, embed + size.size());
        made.stride = stride;
        made.distance = distance;
    } else
        for (int n : size)
            made.distance *= n;
    return made;
}

static bool is_sound(const Layout &layout)
{
    for (size_t i = 1; i < layout.size.size(); i++)
        if (layout.embed[i] < layout.size[i])
            return false;
    return layout.stride > 0 && layout.distance >= 0;
}

static fftwf_plan make(const Plan &plan, int direction, void *in, void *out)
{
    const unsigned flags = FFTW_ESTIMATE | FFTW_UNALIGNED;
    int rank = (int)plan.size.size();
    auto *in_complex = static_cast<fftwf_complex *>(in);
    auto *out_complex = static_cast<fftwf_complex *>(out);
    const Layout &i = plan.in;
    const Layout &o = plan.out;
    switch (plan.type) {
    case CUFFT_R2C:
        return fftwf_plan_many_dft_r2c(rank, plan.size.data(), plan.batch, static_cast<float *>(in),
                                       i.embed.data(), i.stride, i.distance, out_complex,
                                       o.embed.data(), o.stride, o.distance, flags);
    case CUFFT_C2R:
        return fftwf_plan_many_dft_c2r(
            rank, plan.size.data(), plan.batch, in_complex, i.embed.data(), i.stride, i.distance,
            static_cast<float *>(out), o.embed.data(), o.stride, o.distance, flags);
    case CUFFT_C2C:
        return fftwf_plan_many_dft(rank, plan.size.data(), plan.batch, in_complex, i.embed.data(),
                                   i.stride, i.distance, out_complex, o.embed.data(), o.stride,
                                   o.distance, direction, flags);
    }
    return nullptr;
}

/* Calls f(offset) for every element of a side. */
template <class F> static void each(const Layout &layout, int batch, F f)
{
    std::vector<int> at(layout.size.size(), 0);
    for (;;) {
        size_t offset = 0;
        for (size_t i = 0; i < at.size(); i++)
            offset = offset * (size_t)layout.embed[i] + (size_t)at[i];
        for (int b = 0; b < batch; b++)
            f(offset * (size_t)layout.stride + (size_t)b * (size_t)layout.distance);
        size_t i = at.size();
        while (i && ++at[i - 1] == layout.size[i - 1])
            at[--i] = 0;
        if (!i)
            return;
    }
}

static void run(Plan &plan, int direction, void *work, void *in, void *out)
{
    if (tracing())
        trace("transform of %d x %d, %d of them", plan.size[0],
              plan.size.size() > 1 ? plan.size[1] : 1, plan.batch);
    if (work)
        memset(work, 0xff, plan.work_bytes);
    fftwf_plan fftw;
    {
        std::lock_guard<std::mutex> lock(plan.mutex);
        fftwf_plan &kept = plan.fftw[direction == CUFFT_INVERSE][in == out];
        if (!kept)
            kept = make(plan, direction, in, out);
        fftw = kept;
    }
    if (!fftw) {
        report("FFTW has no plan for a transform");
        (void)stay(plan.device, cudaErrorLaunchFailure);
        return;
    }
    auto *in_complex = static_cast<fftwf_complex *>(in);
    auto *out_complex = static_cast<fftwf_complex *>(out);
    if (plan.type == CUFFT_R2C)
        fftwf_execute_dft_r2c(fftw, static_cast<float *>(in), out_complex);
    else if (plan.type == CUFFT_C2R) {
        fftwf_execute_dft_c2r(fftw, in_complex, static_cast<float *>(out));
        if (in != out)
            each(plan.in, plan.batch, [=](size_t i) { in_complex[i][0] = in_complex[i][1] = NAN; });
    } else
        fftwf_execute_dft(fftw, in_complex, out_complex);
}

static bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    auto from_a = reinterpret_cast<uintptr_t>(a);
    auto from_b = reinterpret_cast<uintptr_t>(b);
    return from_a < from_b + b_bytes && from_b < from_a + a_bytes;
}

static cufftResult execute(cufftHandle handle, cufftType type, int direction, void *in, void *out)
{
    bool fails = injected(EMU_FFT);
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || !plan->made || plan->type != type)
        return CUFFT_INVALID_PLAN;
    Stream stream = find_stream(plan->stream);
    if (fails || !stream || staying(stream->device) != cudaSuccess)
        return CUFFT_EXEC_FAILED;
    size_t in_bytes = extent(plan->in, plan->batch) * (type == CUFFT_R2C ? 4 : 8);
    size_t out_bytes = extent(plan->out, plan->batch) * (type == CUFFT_C2R ? 4 : 8);
    if (reinterpret_cast<uintptr_t>(in) % (type == CUFFT_R2C ? 4 : 8) ||
        reinterpret_cast<uintptr_t>(out) % (type == CUFFT_C2R ? 4 : 8))
        return CUFFT_UNALIGNED_DATA;
    if (stream->device != current_device() || !on_device(in, in_bytes, stream->device) ||
        !on_device(out, out_bytes, stream->device))
        return CUFFT_INVALID_VALUE;
    if (in != out && overlap(in, in_bytes, out, out_bytes))
        return CUFFT_INVALID_VALUE;
    if (!plan->automatic) {
        if (!plan->work || !on_device(plan->work, plan->work_bytes, stream->device) ||
            overlap(plan->work, plan->work_bytes, in, in_bytes) ||
            overlap(plan->work, plan->work_bytes, out, out_bytes))
            return CUFFT_EXEC_FAILED;
    }
    void *work = plan->automatic ? nullptr : plan->work;
    enqueue(stream, [=] { run(*plan, direction, work, in, out); });
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

cufftResult cufftGetVersion(int *version)
{
    *version = CUFFT_VERSION;
    return CUFFT_SUCCESS;
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
    if (!plan || plan->made)
        return CUFFT_INVALID_PLAN;
    if (staying(plan->device) != cudaSuccess)
        return CUFFT_SETUP_FAILED;
    if (type != CUFFT_R2C && type != CUFFT_C2R && type != CUFFT_C2C)
        return CUFFT_INVALID_TYPE;
    if (rank < 1 || rank > 3 || batch < 1 || !inembed != !onembed)
        return CUFFT_INVALID_VALUE;
    for (int i = 0; i < rank; i++)
        if (n[i] < 1)
            return CUFFT_INVALID_SIZE;
    std::vector<int> size(n, n + rank);
    std::vector<int> half = size;
    half.back() = half.back() / 2 + 1;
    Layout in = layout(type == CUFFT_C2R ? half : size, inembed, istride, idist);
    Layout out = layout(type == CUFFT_R2C ? half : size, onembed, ostride, odist);
    if (!is_sound(in) || !is_sound(out))
        return CUFFT_INVALID_VALUE;
    plan->type = type;
    plan->size = size;
    plan->batch = batch;
    plan->in = in;
    plan->out = out;
    plan->work_bytes = sizeof(fftwf_complex) * (size_t)batch;
    for (int side : half)
        plan->work_bytes *= (size_t)side;
    plan->made = true;
    *work_bytes = plan->work_bytes;
    return CUFFT_SUCCESS;
}

cufftResult cufftGetSize(cufftHandle handle, size_t *work_bytes)
{
    std::shared_ptr<Plan> plan = find(handle);
    if (!plan || !plan->made)
        return CUFFT_INVALID_PLAN;
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
    return execute(handle, CUFFT_R2C, CUFFT_FORWARD, in, out);
}

cufftResult cufftExecC2R(cufftHandle handle, cufftComplex *in, cufftReal *out)
{
    return execute(handle, CUFFT_C2R, CUFFT_INVERSE, in, out);
}

cufftResult cufftExecC2C(cufftHandle handle, cufftComplex *in, cufftComplex *out, int direction)
{
    return execute(handle, CUFFT_C2C, direction, in, out);
}
