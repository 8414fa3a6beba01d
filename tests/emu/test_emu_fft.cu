/* The emulated cuFFT against the defining sums, and the memory that it overwrites on purpose. */
#include "test_emu.h"

#include <cufft.h>
#include <math.h>

using Complex = std::complex<double>;

enum { HEIGHT = 5, WIDTH = 6, HALF = WIDTH / 2 + 1, BATCH = 2 };

/* Layout: floats or complex numbers from row to row and from image to image. */
struct Shape {
    int real_row;
    int complex_row;
    int real_image;
    int complex_image;
};
/* With gaps between rows and images; and as for transforms in place. */
static const Shape APART = {9, 7, HEIGHT * 9 + 3, HEIGHT * 7 + 2};
static const Shape IN_PLACE = {2 * HALF, HALF, HEIGHT * 2 * HALF, HEIGHT *HALF};

static cufftHandle new_plan(cufftType type, const Shape &shape, cudaStream_t stream,
                            size_t *ret_work_bytes)
{
    cufftHandle plan;
    int size[] = {HEIGHT, WIDTH};
    int real[] = {HEIGHT, shape.real_row};
    int complex[] = {HEIGHT, shape.complex_row};
    bool forward = type == CUFFT_R2C;
    OK(cufftCreate(&plan));
    OK(cufftSetAutoAllocation(plan, 0));
    OK(cufftMakePlanMany(plan, 2, size, forward ? real : complex, 1,
                         forward ? shape.real_image : shape.complex_image, forward ? complex : real,
                         1, forward ? shape.complex_image : shape.real_image, type, BATCH,
                         ret_work_bytes));
    OK(cufftSetStream(plan, stream));
    return plan;
}

static std::vector<float> new_images(const Shape &shape)
{
    std::vector<float> images((size_t)(BATCH * shape.real_image));
    for (size_t i = 0; i < images.size(); i++)
        images[i] = (float)(i * 7919 % 101) - 50;
    return images;
}

/* The defining sum of the transform. */
static Complex direct(const std::vector<float> &images, const Shape &shape, int image, int v, int u)
{
    Complex sum = 0;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            sum += (double)images[image * shape.real_image + y * shape.real_row + x] *
                   std::polar(1.0, -2 * M_PI * ((double)u * x / WIDTH + (double)v * y / HEIGHT));
    return sum;
}

static void assert_back(const std::vector<float> &images, const Shape &shape,
                        const std::vector<float> &back)
{
    for (int b = 0; b < BATCH; b++)
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                size_t i = (size_t)(b * shape.real_image + y * shape.real_row + x);
                assert_true(fabsf(back[i] / (WIDTH * HEIGHT) - images[i]) < 1e-4F);
            }
}

static void test_there_and_back(void **)
{
    const Shape &shape = APART;
    cudaStream_t stream = new_stream();
    std::vector<float> images = new_images(shape);
    Device<float> real(images.size());
    Device<float2> complex(BATCH * shape.complex_image, make_float2(-1, -2));
    real.send(images);
    size_t work_bytes;
    cufftHandle forward = new_plan(CUFFT_R2C, shape, stream, &work_bytes);
    cufftHandle inverse = new_plan(CUFFT_C2R, shape, stream, &work_bytes);
    EXPECT(CUFFT_EXEC_FAILED, cufftExecR2C(forward, real, complex));
    Device<char> work(work_bytes, 0);
    OK(cufftSetWorkArea(forward, work));
    OK(cufftSetWorkArea(inverse, work));
    EXPECT(CUFFT_INVALID_PLAN, cufftExecC2R(forward, complex, real));
    EXPECT(CUFFT_INVALID_VALUE, cufftExecR2C(forward, images.data(), complex));
    EXPECT(CUFFT_INVALID_VALUE, cufftExecR2C(forward, real + 7, complex)); /* reaches too far */

    OK(cufftExecR2C(forward, real, complex));
    OK(cudaStreamSynchronize(stream));
    assert_true(work.receive() == std::vector<char>(work_bytes, (char)0xff));
    assert_true(real.receive() == images);
    std::vector<float2> spectrum = complex.receive();
    for (int b = 0; b < BATCH; b++)
        for (int v = 0; v < HEIGHT; v++)
            for (int u = 0; u < shape.complex_row; u++) {
                float2 found = spectrum[b * shape.complex_image + v * shape.complex_row + u];
                Complex expected = u < HALF ? direct(images, shape, b, v, u) : Complex(-1, -2);
                assert_true(std::abs(Complex(found.x, found.y) - expected) < 1e-3);
            }

    OK(cudaMemsetAsync(real, 0, images.size() * sizeof(float), stream));
    OK(cufftExecC2R(inverse, complex, real));
    OK(cudaStreamSynchronize(stream));
    assert_back(images, shape, real.receive());
    spectrum = complex.receive();
    assert_true(isnan(spectrum[0].x));
    assert_true(isnan(spectrum[shape.complex_image + shape.complex_row + HALF - 1].y));
    assert_true(spectrum[HALF].x == -1); /* between rows */
    OK(cufftDestroy(forward));
    OK(cufftDestroy(inverse));
    EXPECT(CUFFT_INVALID_PLAN, cufftDestroy(inverse));
    OK(cudaStreamDestroy(stream));
}

static void test_in_place(void **)
{
    const Shape &shape = IN_PLACE;
    cudaStream_t stream = new_stream();
    std::vector<float> images = new_images(shape);
    Device<float> data(images.size());
    data.send(images);
    auto *complex = reinterpret_cast<cufftComplex *>(data.data);
    size_t work_bytes;
    cufftHandle forward = new_plan(CUFFT_R2C, shape, stream, &work_bytes);
    cufftHandle inverse = new_plan(CUFFT_C2R, shape, stream, &work_bytes);
    Device<char> work(work_bytes, 0);
    OK(cufftSetWorkArea(forward, work));
    OK(cufftSetWorkArea(inverse, work));
    OK(cufftExecR2C(forward, data, complex));
    OK(cudaStreamSynchronize(stream));
    std::vector<float> spectrum = data.receive();
    for (int b = 0; b < BATCH; b++)
        for (int v = 0; v < HEIGHT; v++)
            for (int u = 0; u < HALF; u++) {
                int i = 2 * (b * shape.complex_image + v * shape.complex_row + u);
                Complex expected = direct(images, shape, b, v, u);
                assert_true(std::abs(Complex(spectrum[i], spectrum[i + 1]) - expected) < 1e-3);
            }
    OK(cufftExecC2R(inverse, complex, data));
    OK(cudaStreamSynchronize(stream));
    assert_back(images, shape, data.receive());
    OK(cufftDestroy(forward));
    OK(cufftDestroy(inverse));
    OK(cudaStreamDestroy(stream));
}

static void test_unsupported_use_is_refused(void **)
{
    cufftHandle plan;
    int size[] = {HEIGHT, WIDTH};
    int half[] = {HEIGHT, HALF};
    size_t work_bytes;
    OK(cufftCreate(&plan));
    EXPECT(CUFFT_INVALID_PLAN, cufftMakePlanMany(plan, 2, size, size, 1, 30, half, 1, 20, CUFFT_R2C,
                                                 1, &work_bytes)); /* allocates by itself */
    OK(cufftSetAutoAllocation(plan, 0));
    EXPECT(CUFFT_INVALID_VALUE,
           cufftMakePlanMany(plan, 1, size, size, 1, 30, half, 1, 20, CUFFT_R2C, 1, &work_bytes));
    EXPECT(CUFFT_INVALID_VALUE, cufftMakePlanMany(plan, 2, size, nullptr, 1, 30, nullptr, 1, 20,
                                                  CUFFT_R2C, 1, &work_bytes));
    EXPECT(CUFFT_INVALID_VALUE,
           cufftMakePlanMany(plan, 2, size, size, 2, 60, half, 1, 20, CUFFT_R2C, 1, &work_bytes));
    EXPECT(CUFFT_INVALID_VALUE, cufftMakePlanMany(plan, 2, size, half, 1, 20, half, 1, 20,
                                                  CUFFT_R2C, 1, &work_bytes)); /* rows too short */
    OK(cufftMakePlanMany(plan, 2, size, size, 1, 30, half, 1, 20, CUFFT_R2C, 1, &work_bytes));
    OK(cufftDestroy(plan));
}

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_there_and_back, nothing_left),
        cmocka_unit_test_teardown(test_in_place, nothing_left),
        cmocka_unit_test_teardown(test_unsupported_use_is_refused, nothing_left),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
