/* The particle of the synthetic microscope: a rigid set of 3-D Gaussian blobs in two lobes with a
 * cleft between them, without any symmetry.
 *
 * A Gaussian projects to a Gaussian, so a projection is a sum of 2-D Gaussians and exact at any
 * orientation, position and pixel size, without interpolation of a volume. The common centre of
 * mass of the blobs is the origin, so the centre of mass of every projection is exactly the
 * position of the particle: its true centre. The model has a fixed seed and scales with the
 * diameter; at 110 angstrom the spacing and width of the blobs resemble a protein at 15 angstrom
 * resolution. */
#ifndef PS_SYNTH_SPECIMEN_H
#define PS_SYNTH_SPECIMEN_H

#include "synth/random.h"

enum { PS_SPECIMEN_BLOBS = 240 };

struct ps_blob {
    double position[3]; /* diameters, from the centre of mass */
    double sigma;       /* diameters */
    double mass;        /* of all blobs together: 1 */
};

/* All blobs, including one sigma, are within a sphere of diameter 1 around the origin. */
struct ps_specimen {
    struct ps_blob blobs[PS_SPECIMEN_BLOBS];
};

struct ps_orientation {
    double matrix[3][3]; /* rotation, applied to columns */
};

/* A uniformly random rotation (Shoemake, "Uniform random rotations", Graphics Gems III (1992) 124).
 */
struct ps_orientation ps_orientation_random(struct ps_random *random);

struct ps_specimen ps_specimen_make(void);

/* Adds the projection along z at (x, y) px to an image of `height` rows of `width` pixels, `stride`
 * floats apart, and clips it. The mean projected density over the disk of the diameter is about 1
 * for every diameter (px). */
void ps_specimen_draw(const struct ps_specimen *specimen, const struct ps_orientation *orientation,
                      double diameter, double x, double y, float *pixels, int width, int height,
                      size_t stride);

#endif
