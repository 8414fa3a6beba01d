/* cuFFT of the emulation against sums of the definition, and what it spoils on purpose. */
#include "test_emu.h"

#include <cufft.h>
#include <math.h>

using Complex = std::complex<double>;

/* Two batches of 5 x 6, rows of 9 floats and of 7 complex numbers, with room between images. */
enum { HEIGHT = 5, WIDTH = 6, HALF = 4, REAL_ROW = 9, COMPLEX_ROW = 7, BATCH = 2 };
enum { REAL_IMAGE = HEIGHT * REAL_ROW + 3, COMPLEX_IMAGE = HEIGHT * COMPLEX_ROW + 2 };

static cufftHandle new_plan(cufftType type, cudaStream_t stream, size_t *ret_work_bytes)
{
    cufftHandle plan;
    int size[] = {HEIGHT, WIDTH};
    int real[] = {HEIGHT, REAL_ROW};
    int complex[] = {HEIGHT, COMPLEX_ROW};
    bool forward = type == CUFFT_R2C;
    OK(cufftCreate(&plan));
    OK(cufftSetAutoAllocation(plan, 0));
    OK(cufftMakePlanMany(plan, 2, size, forward ? real : complex, 1,
                         forward ? REAL_IMAGE : COMPLEX_IMAGE, forward ? complex : real, 1,
                         forward ? COMPLEX_IMAGE : REAL_IMAGE, type, BATCH, ret_work_bytes));
    OK(cufftSetStream(plan, stream));
    return plan;
}

static Complex direct(const std::vector<float> &real, int image, int v, int u)
{
    Complex sum = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            sum += (double)real[image * REAL_IMAGE + y * REAL_ROW + x] *
                   std::polar(1.0, -2 * M_PI * ((double)u * x / WIDTH + (double)v * y / HEIGHT));
    return sum;
}

static void test_there_and_back(void **)
{
    cudaStream_t stream = new_stream();
    std::vector<float> image(BATCH * REAL_IMAGE);
    for (size_t i = 0; i < image.size(); i++)
        image[i] = (float)(i * 7919 % 101) - 50;
    Device<float> real(image.size());
    Device<float2> complex(BATCH * COMPLEX_IMAGE, make_float2(-1, -2));
    real.send(image);
    size_t work_bytes;
    cufftHandle forward = new_plan(CUFFT_R2C, stream, &work_bytes);
    cufftHandle inverse = new_plan(CUFFT_C2R, stream, &work_bytes);
    EXPECT(CUFFT_EXEC_FAILED, cufftExecR2C(forward, real, complex));
    Device<char> work(work_bytes, 0);
    OK(cufftSetWorkArea(forward, work));
    OK(cufftSetWorkArea(inverse, work));
    EXPECT(CUFFT_INVALID_PLAN, cufftExecC2R(forward, complex, real));
    EXPECT(CUFFT_INVALID_VALUE, cufftExecR2C(forward, image.data(), complex));
    EXPECT(CUFFT_INVALID_VALUE, cufftExecR2C(forward, real + 7, complex)); /* reaches too far */

    OK(cufftExecR2C(forward, real, complex));
    OK(cudaStreamSynchronize(stream));
    assert_true(work.receive() == std::vector<char>(work_bytes, (char)0xff));
    assert_true(real.receive() == image);
    std::vector<float2> spectrum = complex.receive();
    for (int b = 0; b < BATCH; b++)
        for (int v = 0; v < HEIGHT; v++)
            for (int u = 0; u < COMPLEX_ROW; u++) {
                float2 found = spectrum[b * COMPLEX_IMAGE + v * COMPLEX_ROW + u];
                Complex expected = u < HALF ? direct(image, b, v, u) : Complex(-1, -2);
                assert_true(std::abs(Complex(found.x, found.y) - expected) < 1e-3);
            }

    OK(cudaMemsetAsync(real, 0, image.size() * sizeof(float), stream));
    OK(cufftExecC2R(inverse, complex, real));
    OK(cudaStreamSynchronize(stream));
    std::vector<float> back = real.receive();
    for (int b = 0; b < BATCH; b++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                size_t i = (size_t)(b * REAL_IMAGE + y * REAL_ROW + x);
                assert_true(fabsf(back[i] / (WIDTH * HEIGHT) - image[i]) < 1e-4F);
            }
    spectrum = complex.receive();
    assert_true(isnan(spectrum[0].x));
    assert_true(isnan(spectrum[COMPLEX_IMAGE + COMPLEX_ROW + HALF - 1].y));
    assert_true(spectrum[HALF].x == -1); /* between rows */
    OK(cufftDestroy(forward));
    OK(cufftDestroy(inverse));
    EXPECT(CUFFT_INVALID_PLAN, cufftDestroy(inverse));
    OK(cudaStreamDestroy(stream));
}

static void test_lines(void **)
{
    cudaStream_t stream = new_stream();
    int size[] = {8};
    size_t work_bytes;
    Device<float> real(16, 1);
    Device<float2> complex(10);
    cufftHandle plan;
    OK(cufftCreate(&plan));
    OK(cufftMakePlanMany(plan, 1, size, nullptr, 1, 8, nullptr, 1, 5, CUFFT_R2C, 2, &work_bytes));
    OK(cufftSetStream(plan, stream));
    OK(cufftExecR2C(plan, real, complex));
    OK(cudaStreamSynchronize(stream));
    for (size_t i = 0; i < 10; i++)
        assert_true(complex.receive()[i].x == (i % 5 ? 0.0F : 8.0F));
    OK(cufftDestroy(plan));

    Device<float2> ring(8);
    std::vector<float2> turning(8);
    for (int i = 0; i < 8; i++)
        turning[i] =
            make_float2(cosf((float)i * (float)M_PI / 4), sinf((float)i * (float)M_PI / 4));
    ring.send(turning);
    OK(cufftCreate(&plan));
    OK(cufftMakePlanMany(plan, 1, size, nullptr, 1, 8, nullptr, 1, 8, CUFFT_C2C, 1, &work_bytes));
    OK(cufftSetStream(plan, stream));
    OK(cufftExecC2C(plan, ring, ring, CUFFT_FORWARD));
    OK(cudaStreamSynchronize(stream));
    for (int i = 0; i < 8; i++)
        assert_true(fabsf(ring.receive()[i].x - (i == 1 ? 8.0F : 0.0F)) < 1e-5F);
    OK(cufftExecC2C(plan, ring, ring, CUFFT_INVERSE));
    OK(cudaStreamSynchronize(stream));
    assert_true(fabsf(ring.receive()[2].y - 8) < 1e-5F);
    OK(cufftDestroy(plan));
    OK(cudaStreamDestroy(stream));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_there_and_back, nothing_left),
        cmocka_unit_test_teardown(test_lines, nothing_left),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
