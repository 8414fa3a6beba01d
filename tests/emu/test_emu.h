/* Shared by the tests of the emulation. */
#ifndef TEST_EMU_H
#define TEST_EMU_H

#include "kernel.h"

#include "emu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <complex>
#include <string>
#include <thread>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#define OK(expression)            assert_int_equal(expression, cudaSuccess)
#define EXPECT(error, expression) assert_int_equal(expression, error)

template <class T> static inline cudaError_t cudaMalloc(T **pointer, size_t bytes)
{
    return cudaMalloc(reinterpret_cast<void **>(pointer), bytes);
}

/* An array on the GPU; copies use the default stream and so are immediate. */
template <class T> struct Device {
    T *data = nullptr;
    size_t count;
    explicit Device(size_t elements) : count(elements)
    {
        OK(cudaMalloc(&data, count * sizeof(T)));
    }
    Device(size_t elements, T value) : Device(elements)
    {
        send(std::vector<T>(count, value));
    }
    ~Device()
    {
        (void)cudaFree(data);
    }
    Device(const Device &) = delete;
    operator T *() const
    {
        return data;
    }
    void send(const std::vector<T> &values)
    {
        OK(cudaMemcpyAsync(data, values.data(), count * sizeof(T), cudaMemcpyHostToDevice, 0));
    }
    std::vector<T> receive() const
    {
        std::vector<T> values(count);
        OK(cudaMemcpyAsync(values.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost, 0));
        return values;
    }
};

static inline __global__ void fill(float *values, int count, float value)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count)
        values[i] = value;
}

static inline float *new_pinned(size_t count)
{
    void *pinned;
    OK(cudaMallocHost(&pinned, count * sizeof(float)));
    return static_cast<float *>(pinned);
}

static inline cudaStream_t new_stream()
{
    cudaStream_t stream;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static inline int nothing_left(void **state)
{
    (void)state;
    struct emu_live live = emu_live();
    emu_reset();
    return live.device || live.pinned || live.streams || live.events || live.plans;
}

static inline void assert_reported(const char *text)
{
    if (!strstr(emu_report(), text))
        fail_msg("\"%s\" is not in \"%s\"", text, emu_report());
}

/* Runs `body` in a child process; returns its stderr and its status. */
template <class F> static std::string child(F body, int *ret_status)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)fflush(nullptr);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], 2);
        body();
        exit(0);
    }
    (void)close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
        text.append(buffer, (size_t)n);
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, ret_status, 0), pid);
    return text;
}

#endif
