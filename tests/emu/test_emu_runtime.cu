/* Memory, launches and errors of the emulation, with two GPUs of 64 MiB. */
#include "test_emu.h"

#include <cufft.h>
#include <math.h>

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
