/* Streams, events, memory and errors of the emulation, with two GPUs of 64 MiB. */
#include "test_emu.h"

#include <cufft.h>
#include <math.h>

__global__ void fill(float *values, int count, float value)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        values[i] = value;
}

__global__ void add(float *sum, const float *values, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        sum[i] += values[i];
}

static float *new_pinned(size_t count)
{
    void *pinned;
    OK(cudaMallocHost(&pinned, count * sizeof(float)));
    return static_cast<float *>(pinned);
}

/* ---- streams ---- */

static void test_missing_wait_shows(void **)
{
    cudaStream_t stream = new_stream();
    Device<float> device(10);
    float *pinned = new_pinned(10);
    OK(PS_LAUNCH(fill, 1, 32, 0, stream, device, 10, 5.0F));
    OK(cudaMemcpyAsync(pinned, device, 40, cudaMemcpyDeviceToHost, stream));
    assert_true(isnan(pinned[3]));
    OK(cudaStreamSynchronize(stream));
    assert_true(pinned[3] == 5);
    OK(PS_LAUNCH(fill, 1, 32, 0, stream, device, 10, 6.0F));
    float pageable[10];
    OK(cudaMemcpyAsync(pageable, device, 40, cudaMemcpyDeviceToHost, stream));
    assert_true(pageable[3] == 6);
    emu_eager(1);
    OK(PS_LAUNCH(fill, 1, 32, 0, stream, device, 10, 7.0F));
    OK(cudaMemcpyAsync(pinned, device, 40, cudaMemcpyDeviceToHost, stream));
    assert_true(pinned[3] == 7);
    OK(cudaStreamDestroy(stream));
    OK(cudaFreeHost(pinned));
}

static void test_staging_overwritten_too_early_shows(void **)
{
    cudaStream_t stream = new_stream();
    Device<float> device(1);
    float *pinned = new_pinned(1);
    float pageable = 1;
    *pinned = 1;
    OK(cudaMemcpyAsync(device, pinned, 4, cudaMemcpyHostToDevice, stream));
    *pinned = 2;
    OK(cudaStreamSynchronize(stream));
    assert_true(device.receive()[0] == 2);
    OK(cudaMemcpyAsync(device, &pageable, 4, cudaMemcpyHostToDevice, stream));
    pageable = 2;
    OK(cudaStreamSynchronize(stream));
    assert_true(device.receive()[0] == 1);
    OK(cudaStreamDestroy(stream));
    OK(cudaFreeHost(pinned));
}

/* Result of adding in a second stream while the first sets 3, records an event, and sets 100. */
static float sum_over_streams(bool wait)
{
    cudaStream_t first = new_stream();
    cudaStream_t second = new_stream();
    cudaEvent_t filled;
    OK(cudaEventCreateWithFlags(&filled, cudaEventDisableTiming));
    Device<float> values(1, 0);
    Device<float> sum(1, 0);
    OK(PS_LAUNCH(fill, 1, 1, 0, first, values, 1, 3.0F));
    OK(cudaEventRecord(filled, first));
    OK(PS_LAUNCH(fill, 1, 1, 0, first, values, 1, 100.0F));
    if (wait)
        OK(cudaEventSynchronize(filled));
    OK(PS_LAUNCH(add, 1, 1, 0, second, sum, values, 1));
    OK(cudaStreamSynchronize(second));
    float result = sum.receive()[0];
    OK(cudaStreamSynchronize(first));
    OK(cudaEventDestroy(filled));
    OK(cudaStreamDestroy(first));
    OK(cudaStreamDestroy(second));
    return result;
}

static void test_waiting_for_an_event_is_waiting_up_to_there(void **)
{
    assert_true(sum_over_streams(true) == 3);
    assert_true(sum_over_streams(false) == 0);
}

static void test_events(void **)
{
    cudaStream_t stream = new_stream();
    Device<float> device(1000000);
    cudaEvent_t start;
    cudaEvent_t end;
    cudaEvent_t untimed;
    float milliseconds;
    OK(cudaEventCreate(&start));
    OK(cudaEventCreate(&end));
    OK(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
    OK(cudaEventSynchronize(start)); /* never recorded: nothing to wait for */
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&milliseconds, start, end));
    EXPECT(cudaErrorInvalidResourceHandle, cudaGetLastError());
    OK(cudaEventRecord(start, stream));
    OK(PS_LAUNCH(fill, 1000, 1000, 0, stream, device, 1000000, 1.0F));
    OK(cudaEventRecord(end, stream));
    OK(cudaEventRecord(untimed, stream));
    EXPECT(cudaErrorNotReady, cudaEventElapsedTime(&milliseconds, start, end));
    OK(cudaEventSynchronize(end));
    OK(cudaEventElapsedTime(&milliseconds, start, end));
    assert_true(milliseconds > 0);
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventElapsedTime(&milliseconds, start, untimed));
    OK(cudaEventRecord(end, stream));
    EXPECT(cudaErrorNotReady, cudaEventElapsedTime(&milliseconds, start, end));
    OK(cudaStreamSynchronize(stream));
    OK(cudaEventElapsedTime(&milliseconds, start, end));
    OK(cudaEventDestroy(start));
    OK(cudaEventDestroy(end));
    OK(cudaEventDestroy(untimed));
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventRecord(end, stream));
    EXPECT(cudaErrorInvalidResourceHandle, cudaEventSynchronize(end));
    OK(cudaStreamDestroy(stream));
    EXPECT(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stream));
}

static void test_threads_with_streams(void **)
{
    const int threads = 4;
    Device<float> shared(threads, 0);
    std::vector<int> wrong(threads, 0);
    std::vector<std::thread> all;
    for (int t = 0; t < threads; t++)
        all.emplace_back([t, &wrong, &shared] {
            cudaStream_t stream;
            cudaEvent_t event;
            float *device;
            float *pinned;
            wrong[t] += cudaSetDevice(0) != cudaSuccess;
            wrong[t] += cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess;
            wrong[t] += cudaEventCreate(&event) != cudaSuccess;
            wrong[t] += cudaMalloc(&device, 4000) != cudaSuccess;
            wrong[t] += cudaMallocHost(reinterpret_cast<void **>(&pinned), 4000) != cudaSuccess;
            for (int i = 0; i < 20; i++) {
                wrong[t] += PS_LAUNCH(fill, 8, 128, 0, stream, device, 1000, (float)i);
                wrong[t] += PS_LAUNCH(add, 1, 1, 0, stream, shared + t, device, 1);
                wrong[t] += cudaMemcpyAsync(pinned, device, 4000, cudaMemcpyDeviceToHost, stream);
                wrong[t] += cudaEventRecord(event, stream);
                wrong[t] += cudaEventSynchronize(event);
                wrong[t] += pinned[0] != i || pinned[999] != i;
            }
            wrong[t] += cudaFree(device) + cudaFreeHost(pinned) + cudaEventDestroy(event) +
                        cudaStreamDestroy(stream);
        });
    for (std::thread &thread : all)
        thread.join();
    assert_true(wrong == std::vector<int>(threads, 0));
    assert_true(shared.receive() == std::vector<float>(threads, 190));
}

static void test_the_default_stream_is_counted(void **)
{
    cudaStream_t stream = new_stream();
    Device<float> device(1);
    emu_reset();
    OK(PS_LAUNCH(fill, 1, 1, 0, stream, device, 1, 1.0F));
    OK(cudaStreamSynchronize(stream));
    assert_int_equal(emu_default_stream_uses(), 0);
    OK(PS_LAUNCH(fill, 1, 1, 0, 0, device, 1, 2.0F));
    assert_int_equal(emu_default_stream_uses(), 1);
    float host = 0;
    OK(cudaMemcpyAsync(&host, device, 4, cudaMemcpyDeviceToHost, stream));
    assert_true(host == 2); /* it had run */
    assert_int_equal(emu_default_stream_uses(), 1);
    OK(cudaStreamSynchronize(0));
    assert_int_equal(emu_default_stream_uses(), 2);
    cudaStream_t blocking;
    EXPECT(cudaErrorInvalidValue, cudaStreamCreateWithFlags(&blocking, 0));
    OK(cudaStreamDestroy(stream));
}

/* ---- memory ---- */

static void test_copies_are_checked(void **)
{
    cudaStream_t stream = new_stream();
    Device<float> device(10, 1);
    Device<float> other(20);
    std::vector<float> numbers(20);
    for (int i = 0; i < 20; i++)
        numbers[i] = (float)i;
    other.send(numbers);
    float host[20] = {};
    float *pinned = new_pinned(10);
    EXPECT(cudaErrorInvalidMemcpyDirection,
           cudaMemcpyAsync(device, other, 40, (enum cudaMemcpyKind)3, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(host, host + 10, 40, cudaMemcpyHostToDevice, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(device, other, 40, cudaMemcpyHostToDevice, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(host, pinned, 40, cudaMemcpyDeviceToHost, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(device, host, 41, cudaMemcpyHostToDevice, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(device + 1, host, 40, cudaMemcpyHostToDevice, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(pinned, other, 44, cudaMemcpyDeviceToHost, stream));
    EXPECT(cudaErrorInvalidValue, cudaMemsetAsync(device + 1, 0, 40, stream));
    EXPECT(cudaErrorInvalidValue, cudaMemsetAsync(host, 0, 40, stream));
    EXPECT(cudaErrorInvalidPitchValue,
           cudaMemcpy2DAsync(host, 8, other, 16, 12, 2, cudaMemcpyDeviceToHost, stream));
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpy2DAsync(host, 16, device, 16, 12, 3, cudaMemcpyDeviceToHost, stream));
    OK(cudaMemcpy2DAsync(host, 16, other, 32, 12, 2, cudaMemcpyDeviceToHost, stream));
    assert_true(host[2] == 2 && host[3] == 0 && host[4] == 8 && host[6] == 10 && host[7] == 0);
    OK(cudaMemsetAsync(device + 1, 0, 36, stream));
    OK(cudaMemcpyAsync(host, device, 40, cudaMemcpyDeviceToHost, stream));
    assert_true(host[0] == 1 && host[1] == 0 && host[9] == 0);
    OK(cudaFreeHost(pinned));
    OK(cudaStreamDestroy(stream));
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidValue);
}

static void test_pointers_of_kernels_are_checked(void **)
{
    cudaStream_t stream = new_stream();
    float host[4];
    OK(PS_LAUNCH(fill, 1, 4, 0, stream, host, 4, 1.0F));
    EXPECT(cudaErrorIllegalAddress, cudaStreamSynchronize(stream));
    assert_reported("kernel fill: pointer 1 among its arguments, ");
    assert_reported("neither of the GPU nor pinned");
    emu_reset();
    float *freed;
    OK(cudaMalloc(&freed, 16));
    OK(cudaFree(freed));
    OK(PS_LAUNCH(fill, 1, 4, 0, stream, freed, 4, 1.0F));
    EXPECT(cudaErrorIllegalAddress, cudaStreamSynchronize(stream));
    emu_reset();
    OK(cudaStreamDestroy(stream));
}

static void test_memory_is_limited_and_counted(void **)
{
    float *large;
    float *small;
    OK(cudaMalloc(&large, 60 << 20));
    EXPECT(cudaErrorMemoryAllocation, cudaMalloc(&small, 5 << 20));
    assert_null(small);
    EXPECT(cudaErrorMemoryAllocation, cudaGetLastError());
    OK(cudaGetLastError());
    OK(cudaMalloc(&small, 4 << 20));
    OK(cudaFree(small));
    struct emu_live live = emu_live();
    assert_int_equal(live.device, 1);
    assert_int_equal(live.device_bytes, 60 << 20);
    EXPECT(cudaErrorInvalidValue, cudaFreeHost(large));
    EXPECT(cudaErrorInvalidValue, cudaFree(large + 1));
    OK(cudaFree(large));
    EXPECT(cudaErrorInvalidValue, cudaFree(large));
    OK(cudaFree(nullptr));
    OK(cudaMalloc(&small, 5 << 20));
    OK(cudaFree(small));
}

static void test_leaks_at_exit(void **)
{
    int status;
    std::string text = child(
        [] {
            float *leaked;
            OK(cudaMalloc(&leaked, 77));
            char program[] = "/proc/self/exe";
            char leak[] = "leak";
            char *arguments[] = {program, leak, nullptr};
            (void)setenv("EMU_LEAKS", "1", 1);
            (void)execv(program, arguments);
        },
        &status);
    assert_int_equal(WEXITSTATUS(status), 23);
    assert_non_null(strstr(text.c_str(), "left at exit: 1 allocations (77 bytes)"));
}

static void test_gpus_have_their_own(void **)
{
    int count;
    OK(cudaGetDeviceCount(&count));
    assert_int_equal(count, 2);
    EXPECT(cudaErrorInvalidDevice, cudaSetDevice(2));
    cudaStream_t stream = new_stream();
    Device<float> device(1, 0);
    OK(cudaSetDevice(1));
    EXPECT(cudaErrorInvalidResourceHandle, PS_LAUNCH(fill, 1, 1, 0, stream, device, 1, 1.0F));
    cudaStream_t second = new_stream();
    float host = 0;
    EXPECT(cudaErrorInvalidValue,
           cudaMemcpyAsync(device, &host, 4, cudaMemcpyHostToDevice, second));
    EXPECT(cudaErrorInvalidValue, cudaGetLastError());
    OK(PS_LAUNCH(fill, 1, 1, 0, second, device, 1, 1.0F));
    EXPECT(cudaErrorIllegalAddress, cudaStreamSynchronize(second));
    assert_reported("of another GPU");
    EXPECT(cudaErrorIllegalAddress, cudaStreamDestroy(second));
    /* A new thread starts on the first GPU. */
    cudaError_t launched = cudaErrorUnknown;
    std::thread([&] { launched = PS_LAUNCH(fill, 1, 1, 0, stream, device, 1, 3.0F); }).join();
    OK(launched);
    emu_reset();
    OK(cudaSetDevice(0));
    OK(cudaStreamSynchronize(stream));
    assert_true(device.receive()[0] == 3);
    OK(cudaStreamDestroy(stream));
    struct cudaDeviceProp properties;
    OK(cudaGetDeviceProperties(&properties, 1));
    assert_string_equal(properties.name, "Emulated GPU");
    assert_int_equal(properties.major, 12);
}

/* ---- errors ---- */

static void test_launches_are_checked(void **)
{
    Device<float> device(1, 0);
    cudaStream_t s = new_stream();
    EXPECT(cudaErrorInvalidConfiguration, PS_LAUNCH(fill, 1, 1025, 0, s, device, 1, 1.0F));
    EXPECT(cudaErrorInvalidConfiguration, PS_LAUNCH(fill, 1, dim3(64, 32), 0, s, device, 1, 1.0F));
    EXPECT(cudaErrorInvalidConfiguration, PS_LAUNCH(fill, 0, 1, 0, s, device, 1, 1.0F));
    EXPECT(cudaErrorInvalidConfiguration,
           PS_LAUNCH(fill, dim3(1, 65536), 1, 0, s, device, 1, 1.0F));
    OK(PS_LAUNCH(fill, 1, 1, EMU_DEFAULT_SHARED_BYTES, s, device, 1, 1.0F));
    EXPECT(cudaErrorInvalidValue,
           PS_LAUNCH(fill, 1, 1, EMU_DEFAULT_SHARED_BYTES + 1, s, device, 1, 1.0F));
    EXPECT(cudaErrorInvalidValue,
           cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                EMU_MAX_SHARED_BYTES + 1));
    OK(cudaFuncSetAttribute(fill, cudaFuncAttributeMaxDynamicSharedMemorySize,
                            EMU_MAX_SHARED_BYTES));
    EXPECT(cudaErrorInvalidValue, PS_LAUNCH(fill, 1, 1, 0, s, device, 1, 1.0F));
    OK(PS_LAUNCH(fill, 1, 1, EMU_MAX_SHARED_BYTES, s, device, 1, 1.0F));
    OK(cudaStreamDestroy(s));
}

/* Uses every kind of call; the first failure ends it. Frees what it made. */
static cudaError_t use_everything(cufftResult *ret_fft)
{
    *ret_fft = CUFFT_SUCCESS;
    float *memory = nullptr;
    void *pinned = nullptr;
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;
    cufftHandle plan = 0;
    int size[] = {1, 4};
    int complex_size[] = {1, 3};
    size_t work_bytes;
    cudaError_t error = cudaSetDevice(0);
    if (!error)
        error = cudaMalloc(&memory, 4000);
    if (!error)
        error = cudaMallocHost(&pinned, 400);
    if (!error)
        error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (!error)
        error = cudaEventCreate(&event);
    if (!error)
        error = cudaMemsetAsync(memory, 0, 4000, stream);
    if (!error)
        error = PS_LAUNCH(fill, 1, 32, 0, stream, memory, 16, 1.0F);
    if (!error)
        *ret_fft = cufftCreate(&plan);
    if (!error && !*ret_fft)
        *ret_fft = cufftSetAutoAllocation(plan, 0);
    if (!error && !*ret_fft)
        *ret_fft = cufftMakePlanMany(plan, 2, size, size, 1, 4, complex_size, 1, 3, CUFFT_R2C, 1,
                                     &work_bytes);
    if (!error && !*ret_fft)
        *ret_fft = cufftSetStream(plan, stream);
    if (!error && !*ret_fft)
        *ret_fft = cufftSetWorkArea(plan, memory + 500);
    if (!error && !*ret_fft)
        *ret_fft = cufftExecR2C(plan, memory, reinterpret_cast<float2 *>(memory + 16));
    if (!error && !*ret_fft)
        error = cudaMemcpyAsync(pinned, memory, 400, cudaMemcpyDeviceToHost, stream);
    if (!error && !*ret_fft)
        error = cudaEventRecord(event, stream);
    if (!error && !*ret_fft)
        error = cudaEventSynchronize(event);
    if (!error && !*ret_fft && static_cast<float *>(pinned)[16] != 4)
        error = cudaErrorUnknown;
    if (plan)
        (void)cufftDestroy(plan);
    if (event)
        (void)cudaEventDestroy(event);
    if (stream)
        (void)cudaStreamDestroy(stream);
    (void)cudaFreeHost(pinned);
    (void)cudaFree(memory);
    return error;
}

static void test_every_call_can_fail(void **state)
{
    const struct {
        enum emu_site site;
        cudaError_t error;
        bool stays;
        unsigned long calls;
    } sites[] = {
        {EMU_MALLOC, cudaErrorMemoryAllocation, false, 2},
        {EMU_CREATE, cudaErrorUnknown, false, 2},
        {EMU_COPY, cudaErrorIllegalAddress, true, 2},
        {EMU_LAUNCH, cudaErrorLaunchFailure, true, 1},
        {EMU_FAULT, cudaErrorIllegalAddress, true, 1},
        {EMU_SYNC, cudaErrorIllegalAddress, true, 1},
        {EMU_OTHER, cudaErrorUnknown, false, 2},
        {EMU_PLAN, cudaSuccess, false, 5},
        {EMU_FFT, cudaSuccess, false, 1},
    };
    for (const auto &site : sites) {
        unsigned long k = 0;
        cufftResult fft;
        for (;;) {
            emu_reset();
            emu_fail(site.site, ++k);
            cudaError_t error = use_everything(&fft);
            if (error == cudaSuccess && fft == CUFFT_SUCCESS)
                break;
            assert_int_equal(error, site.error);
            assert_int_equal(error == cudaSuccess, fft != CUFFT_SUCCESS);
            emu_fail(EMU_SITES, 0);
            EXPECT(site.error, cudaGetLastError());
            assert_int_equal(cudaSetDevice(0), site.stays ? site.error : cudaSuccess);
            assert_int_equal(nothing_left(state), 0);
        }
        assert_int_equal(k, site.calls + 1);
        assert_int_equal(emu_calls(site.site), site.calls);
    }
    emu_reset();
    cufftResult fft;
    OK(use_everything(&fft));
    unsigned long all = emu_calls(EMU_SITES);
    for (unsigned long k = 1; k <= all; k++) {
        emu_reset();
        emu_fail(EMU_SITES, k);
        assert_true(use_everything(&fft) != cudaSuccess || fft != CUFFT_SUCCESS);
        assert_int_equal(nothing_left(state), 0);
    }
}

static void test_error_names(void **)
{
    assert_string_equal(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
    assert_string_equal(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
    assert_string_equal(cudaGetErrorName((cudaError_t)12345), "unrecognized error code");
    assert_string_equal(emu_site_name(EMU_FAULT), "fault");
}

int main(int count, char **arguments)
{
    if (count > 1) { /* test_leaks_at_exit */
        float *leaked;
        return cudaMalloc(&leaked, 77);
    }
    if (!getenv("EMU_DEVICES")) {
        (void)setenv("EMU_DEVICES", "2", 1);
        (void)setenv("EMU_MEMORY", "67108864", 1);
        (void)execv("/proc/self/exe", arguments);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_missing_wait_shows, nothing_left),
        cmocka_unit_test_teardown(test_staging_overwritten_too_early_shows, nothing_left),
        cmocka_unit_test_teardown(test_waiting_for_an_event_is_waiting_up_to_there, nothing_left),
        cmocka_unit_test_teardown(test_events, nothing_left),
        cmocka_unit_test_teardown(test_threads_with_streams, nothing_left),
        cmocka_unit_test_teardown(test_the_default_stream_is_counted, nothing_left),
        cmocka_unit_test_teardown(test_copies_are_checked, nothing_left),
        cmocka_unit_test_teardown(test_pointers_of_kernels_are_checked, nothing_left),
        cmocka_unit_test_teardown(test_memory_is_limited_and_counted, nothing_left),
        cmocka_unit_test_teardown(test_leaks_at_exit, nothing_left),
        cmocka_unit_test_teardown(test_gpus_have_their_own, nothing_left),
        cmocka_unit_test_teardown(test_launches_are_checked, nothing_left),
        cmocka_unit_test_teardown(test_every_call_can_fail, nothing_left),
        cmocka_unit_test(test_error_names),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
