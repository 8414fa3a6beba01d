/* The language of kernels in the emulation, and the mistakes that it must report. */
#include "test_emu.h"

#include <math.h>

static const char *const ORDERS[] = {"forward", "reverse", "random:1", "random:2"};

/* ---- indices ---- */

__global__ void __launch_bounds__(256) note_places(unsigned *visits, unsigned *rows)
{
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned place = block * blockDim.x * blockDim.y * blockDim.z + thread;
    visits[place]++;
    rows[place] = threadIdx.y + 100 * blockIdx.z;
}

static void test_every_thread_runs_once(void **)
{
    const dim3 grid(3, 2, 5);
    const dim3 block(7, 3, 2);
    const size_t count = 3 * 2 * 5 * 7 * 3 * 2;
    for (const char *order : ORDERS) {
        emu_order(order);
        Device<unsigned> visits(count, 0);
        Device<unsigned> rows(count, 0);
        OK(PS_LAUNCH(note_places, grid, block, 0, 0, visits, rows));
        assert_true(visits.receive() == std::vector<unsigned>(count, 1));
        std::vector<unsigned> found = rows.receive();
        for (unsigned i = 0; i < count; i++)
            assert_int_equal(found[i], i % 42 / 7 % 3 + 100 * (i / 42 / 6));
    }
}

/* ---- barriers ---- */

template <int THREADS>
__global__ void add_up(const float *__restrict__ values, int count, double *sums)
{
    __shared__ float parts[THREADS / PS_WARP];
    float sum = 0;
    for (int i = blockIdx.x * THREADS + threadIdx.x; i < count; i += gridDim.x * THREADS)
        sum += __ldcg(values + i);
    for (int distance = PS_WARP / 2; distance; distance /= 2)
        sum += __shfl_down_sync(0xffffffff, sum, distance);
    if (threadIdx.x % PS_WARP == 0)
        parts[threadIdx.x / PS_WARP] = sum;
    __syncthreads();
    if (threadIdx.x > 0)
        return;
    double total = 0;
    for (float part : parts)
        total += part;
    sums[blockIdx.x] = total;
}

static void test_reduction(void **)
{
    const int count = 10000;
    std::vector<float> values(count);
    for (int i = 0; i < count; i++)
        values[i] = (float)(i % 7);
    Device<float> device(count);
    device.send(values);
    for (const char *order : ORDERS) {
        emu_order(order);
        Device<double> sums(3, -1);
        OK(PS_LAUNCH((add_up<128>), 3, 128, 0, 0, device, count, sums));
        std::vector<double> found = sums.receive();
        assert_true(found[0] + found[1] + found[2] == 29994);
    }
}

__global__ void turn_round(float *values, bool wait)
{
    PS_SHARED(float, shared);
    shared[threadIdx.x] = values[threadIdx.x];
    if (wait)
        __syncthreads();
    values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

static bool turns_round(bool wait)
{
    std::vector<float> values(100);
    for (int i = 0; i < 100; i++)
        values[i] = (float)i;
    Device<float> device(100);
    device.send(values);
    OK(PS_LAUNCH(turn_round, 1, 100, 100 * sizeof(float), 0, device, wait));
    return device.receive() == std::vector<float>(values.rbegin(), values.rend());
}

static void test_missing_barrier_shows(void **)
{
    for (const char *order : ORDERS) {
        emu_order(order);
        assert_true(turns_round(true));
        assert_false(turns_round(false));
    }
}

/* Only correct if threads run in order. */
__global__ void pass_on(int *value)
{
    if (*value == (int)threadIdx.x)
        *value = (int)threadIdx.x + 1;
}

static void test_other_order_shows(void **)
{
    for (const char *order : ORDERS) {
        emu_order(order);
        Device<int> value(1, 0);
        OK(PS_LAUNCH(pass_on, 1, 64, 0, 0, value));
        assert_int_equal(value.receive()[0] == 64, strcmp(order, "forward") == 0);
    }
}

__global__ void vote(unsigned *counts)
{
    bool odd = threadIdx.x % 2;
    int any = __syncthreads_or(threadIdx.x == 77);
    int none = __syncthreads_or(threadIdx.x == 1000);
    unsigned mask = threadIdx.x < 96 ? 0xffffffff : 15;
    unsigned ballot = __ballot_sync(mask, odd);
    unsigned second = __ballot_sync(mask, threadIdx.x == 33);
    bool right = any && !none && ballot == (threadIdx.x < 96 ? 0xaaaaaaaaU : 10U) &&
                 second == (threadIdx.x / 32 == 1 ? 2U : 0U);
    atomicAdd(counts + right, 1U);
}

static void test_votes(void **)
{
    for (const char *order : ORDERS) {
        emu_order(order);
        Device<unsigned> counts(2, 0);
        OK(PS_LAUNCH(vote, 2, 100, 0, 0, counts));
        assert_true(counts.receive() == std::vector<unsigned>({0, 200}));
    }
}

__global__ void shuffle(unsigned *wrong)
{
    const unsigned all = 0xffffffff;
    int lane = threadIdx.x % 32;
    unsigned errors = 0;
    errors += __shfl_up_sync(all, lane, 2) != (lane < 2 ? lane : lane - 2);
    errors += __shfl_down_sync(all, lane, 20) != (lane + 20 > 31 ? lane : lane + 20);
    errors += __shfl_xor_sync(all, lane, 21) != (lane ^ 21);
    errors += __shfl_xor_sync(all, (double)lane / 3, 1) != (double)(lane ^ 1) / 3;
    /* Each half of a warp takes its own branch. */
    if (lane < 16)
        errors += __shfl_xor_sync(0xffffU, lane, 8) != (lane ^ 8);
    else
        errors += __shfl_down_sync(0xffff0000U, lane, 1) != (lane == 31 ? lane : lane + 1);
    /* The other lanes have left. */
    if (lane % 2)
        errors += __shfl_up_sync(0xaaaaaaaaU, lane, 2) != (lane < 2 ? lane : lane - 2);
    atomicAdd(wrong, errors);
}

static void test_shuffles(void **)
{
    for (const char *order : ORDERS) {
        emu_order(order);
        Device<unsigned> wrong(1, 0);
        OK(PS_LAUNCH(shuffle, 3, 64, 0, 0, wrong));
        assert_int_equal(wrong.receive()[0], 0);
    }
}

/* ---- arithmetic ---- */

__global__ void change(int *i, unsigned *u, unsigned long long *l)
{
    int t = threadIdx.x;
    if (atomicMin(i, t % 64 - 50) == 0)
        atomicAdd(u, 1U);
    if (atomicExch(i + 1, t + 1) == 0)
        atomicAdd(u + 1, 1U);
    if (atomicAdd(u + 2, (unsigned)t) == 0)
        atomicAdd(u + 3, 1U);
    atomicAdd(l, 1ULL << 33);
}

static void test_atomics(void **)
{
    Device<int> i(2, 0);
    Device<unsigned> u(4, 0);
    Device<unsigned long long> l(1, 1ULL << 50);
    OK(PS_LAUNCH(change, 1, 100, 0, 0, i, u, l));
    assert_true(i.receive() == std::vector<int>({-50, 100}));
    assert_true(u.receive() == std::vector<unsigned>({1, 1, 4950, 2}));
    assert_int_equal(l.receive()[0], (1ULL << 50) + 100 * (1ULL << 33));
}

static void test_arithmetic(void **)
{
    assert_int_equal(__ffs(0x50), 5);
    assert_int_equal(__ffs(0), 0);
    assert_int_equal(__clz(1), 31);
    assert_int_equal(__clz(0), 32);
    assert_int_equal(min(3, -4), -4);
    assert_int_equal(max(3, -4), 3);
    assert_true(min((size_t)-1, (size_t)7) == 7);
    assert_int_equal(alignof(float4), 16);
    assert_int_equal(alignof(float2), 8);
    assert_true(make_float2(1, 2).y == 2.0F);
}

/* ---- mistakes ---- */

enum mistake {
    OTHER_BARRIER,
    ENDED,
    NOT_IN_MASK,
    OTHER_MASK,
    READS_ENDED,
    BARRIER_AND_WARP,
    MISTAKES
};

__global__ void err(enum mistake mistake, unsigned *value)
{
    int t = threadIdx.x;
    bool mine = t == 37 && blockIdx.x == 2;
    switch (mistake) {
    case OTHER_BARRIER:
        if (mine)
            __syncthreads();
        else
            __syncthreads();
        break;
    case ENDED:
        if (mine)
            return;
        (void)__ballot_sync(0xffffffff, true);
        __syncthreads();
        break;
    case NOT_IN_MASK:
        (void)__ballot_sync(mine ? 1 : 0xffffffff, true);
        break;
    case OTHER_MASK:
        (void)__ballot_sync(mine ? 0x7fffffff : 0xffffffff, true);
        break;
    case READS_ENDED:
        if (!mine)
            atomicAdd(value, (unsigned)__shfl_xor_sync(0xffffffff, t, 1));
        break;
    case BARRIER_AND_WARP:
        if (t < 32)
            (void)__ballot_sync(0xffffffff, t < 16);
        if (mine)
            (void)__ballot_sync(0xffffffff, true);
        else
            __syncthreads();
        break;
    default:
        break;
    }
}

static void test_mistakes_are_reported(void **)
{
    const char *const parts[MISTAKES] = {
        ": at __syncthreads of ",
        nullptr, /* no mistake: a barrier does not wait for ended threads */
        "thread (37, 0, 0): __ballot_sync of ",
        " with another mask",
        "reads lane 5, which has ended or does not exist",
        "for thread (37, 0, 0), which waits in __ballot_sync of line ",
    };
    for (const char *order : ORDERS)
        for (int mistake = 0; mistake < MISTAKES; mistake++) {
            emu_order(order);
            Device<unsigned> value(1, 0);
            cudaStream_t stream = new_stream();
            OK(PS_LAUNCH(err, 3, 64, 0, stream, (enum mistake)mistake, value));
            if (parts[mistake]) {
                EXPECT(cudaErrorLaunchFailure, cudaStreamSynchronize(stream));
                EXPECT(cudaErrorLaunchFailure, PS_LAUNCH(vote, 1, 100, 0, stream, value));
                assert_reported(parts[mistake]);
                assert_reported("kernel err, block (2, 0, 0), thread (");
                assert_reported("test_emu_kernels.cu:");
            } else
                OK(cudaStreamSynchronize(stream));
            emu_reset();
            OK(cudaStreamDestroy(stream));
            /* The aborted kernel must not affect the next one. */
            test_votes(nullptr);
        }
}

__global__ void write(int *values, int count)
{
    __shared__ int shared[16];
    PS_SHARED(int, more);
    int t = threadIdx.x;
    if (t < count) {
        shared[t % 16] = t;
        more[t] = t;
        values[t] = shared[t % 16];
    }
}

__global__ void write_shared(int *values, int where)
{
    __shared__ int shared[16];
    shared[where] = *values;
    *values = shared[where / 2];
}

static void assert_dies(int values, int shared, int count, const char *text)
{
    int status;
    std::string output = child(
        [=] {
            Device<int> device((size_t)values);
            cudaStream_t stream = new_stream();
            if (count < 0)
                (void)PS_LAUNCH(write_shared, 1, 1, 0, stream, device, -count);
            else
                (void)PS_LAUNCH(write, 1, 64, (size_t)shared * sizeof(int), stream, device, count);
            (void)cudaStreamSynchronize(stream);
            _exit(0);
        },
        &status);
    assert_int_not_equal(status, 0);
    if (output.find(text) == std::string::npos)
        fail_msg("no \"%s\" in: %s", text, output.c_str());
}

static void test_access_out_of_bounds_dies(void **)
{
#ifdef __SANITIZE_ADDRESS__
    assert_dies(40, 64, 41, "heap-buffer-overflow");
    assert_dies(64, 40, 41, "heap-buffer-overflow");
    assert_dies(1, 0, -16, "out of bounds");
#else
    skip();
#endif
    (void)assert_dies;
}

__global__ void touch(float *values)
{
    PS_SHARED(float, shared);
    values[threadIdx.x] = shared[threadIdx.x];
    shared[threadIdx.x] = 1;
}

static void test_memory_is_nan_at_first(void **)
{
    Device<float> fresh(33);
    for (float value : fresh.receive())
        assert_true(isnan(value));
    Device<float> values(32, 0);
    OK(PS_LAUNCH(touch, 4, 32, 32 * sizeof(float), 0, values));
    for (float value : values.receive())
        assert_true(isnan(value));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_every_thread_runs_once, nothing_left),
        cmocka_unit_test_teardown(test_reduction, nothing_left),
        cmocka_unit_test_teardown(test_missing_barrier_shows, nothing_left),
        cmocka_unit_test_teardown(test_other_order_shows, nothing_left),
        cmocka_unit_test_teardown(test_votes, nothing_left),
        cmocka_unit_test_teardown(test_shuffles, nothing_left),
        cmocka_unit_test_teardown(test_atomics, nothing_left),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test_teardown(test_mistakes_are_reported, nothing_left),
        cmocka_unit_test_teardown(test_access_out_of_bounds_dies, nothing_left),
        cmocka_unit_test_teardown(test_memory_is_nan_at_first, nothing_left),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
