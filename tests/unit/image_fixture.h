/* Test images: synthetic micrographs, noise, and flat images to draw on. An error fails the running
 * test. */
#ifndef TEST_IMAGE_FIXTURE_H
#define TEST_IMAGE_FIXTURE_H

#include "pickstream.h"
#include "synth/synth.h"

struct test_image {
    int width;  /* px */
    int height; /* px */
    float *pixels;
    struct ps_synth_truth truth; /* set by test_image_new() only */
};

/* Every pixel 60. */
struct test_image test_image_flat(int width, int height);

/* The same with Gaussian noise of standard deviation 5. */
struct test_image test_image_noise(int width, int height);

/* A synthetic micrograph with particles of `diameter` px, far enough apart and clear enough that
 * the profile finds nearly all where it looks. Pixels are whole numbers from 0 to 127, which every
 * pixel type holds exactly. */
struct test_image test_image_new(int width, int height, double diameter, uint64_t index);

/* A copy of the pixels, to be changed by the test. */
struct test_image test_image_copy(const struct test_image *source);

void test_image_done(struct test_image *source);

size_t test_image_pixels(const struct test_image *source);
float *test_image_pixel(const struct test_image *source, int x, int y);

/* The pixels of test_image_new() in another type; the caller frees them. */
void *test_image_pixels_as(const struct test_image *source, enum ps_pixel type);

/* As float32, of unknown pixel size. */
struct ps_image test_image_view(const struct test_image *source);

#endif
