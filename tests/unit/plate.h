/* Micrographs for tests: synthetic ones, noise, and flat ones to draw on. Whatever cannot be made
 * fails the running test. */
#ifndef TEST_PLATE_H
#define TEST_PLATE_H

#include "pickstream.h"
#include "synth/synth.h"

struct plate {
    int width;  /* px */
    int height; /* px */
    float *pixels;
    struct ps_synth_truth truth; /* empty but for plate_new() */
};

/* Every pixel 60. */
struct plate plate_flat(int width, int height);

/* The same with Gaussian noise of standard deviation 5. */
struct plate plate_noise(int width, int height);

/* A synthetic micrograph with particles of `diameter` px, far enough apart and clear enough that
 * the profile finds nearly all where it looks. Pixels are whole numbers from 0 to 127, which every
 * pixel type holds exactly. */
struct plate plate_new(int width, int height, double diameter, uint64_t index);

/* The pixels alone, to be spoiled. */
struct plate plate_copy(const struct plate *plate);

void plate_done(struct plate *plate);

size_t plate_pixels(const struct plate *plate);
float *plate_pixel(const struct plate *plate, int x, int y);

/* The pixels of plate_new() in another type, to be freed. */
void *plate_pixels_as(const struct plate *plate, enum ps_pixel type);

/* As float32, of unknown pixel size. */
struct ps_image plate_image(const struct plate *plate);

#endif
