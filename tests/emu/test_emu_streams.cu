/* Streams and events of the emulation. */
#include "test_emu.h"

#include <math.h>

__global__ void add(float *sum, const float *values, int count)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        sum[i] += values[i];
}

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

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_missing_wait_shows, nothing_left),
        cmocka_unit_test_teardown(test_staging_overwritten_too_early_shows, nothing_left),
        cmocka_unit_test_teardown(test_waiting_for_an_event_is_waiting_up_to_there, nothing_left),
        cmocka_unit_test_teardown(test_events, nothing_left),
        cmocka_unit_test_teardown(test_threads_with_streams, nothing_left),
        cmocka_unit_test_teardown(test_the_default_stream_is_counted, nothing_left),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
