/* A synthetic microscope: realistic micrographs with known particle centres.
 *
 * Micrograph `index` of a session depends only on the options and (seed, index), not on the number
 * of micrographs, their order, or the thread. On one machine the pixels are bit-identical; another
 * processor or libm can round the last bit of a float differently.
 *
 * The layers of an image, in the order of the code:
 *
 * - ice: slowly varying thickness (a cubic polynomial), and brightness with it
 * - particles: one specimen (specimen.h) in random orientations at the positions of a scene
 *   (scene.h); analytic projections, through the CTF and the detector (optics.h)
 * - noise: the scattering of vitreous ice, through the same CTF, and detector noise. Both are
 *   stationary Gaussian noise, so one noise field with the sum of the power spectra has the same
 *   distribution as one field before and one after the CTF
 * - carbon: a film with a round hole, optional: amorphous texture and the step at its edge through
 *   the CTF, and absorption
 * - crystals: dark polygons with sharp edges and a bright rim
 *
 * Ice has the mean brightness PS_SYNTH_MEAN, and the noise has the standard deviation
 * PS_SYNTH_NOISE. Protein is dark. There is no beam tilt, drift, or inelastic blur.
 *
 * FFTW's planner is not thread-safe: make micrographs on one thread at a time. */
#ifndef PS_SYNTH_SYNTH_H
#define PS_SYNTH_SYNTH_H

#include "synth/scene.h"

#define PS_SYNTH_MEAN  60.0
#define PS_SYNTH_NOISE 7.0

/* The default of --particles: a fifth of the area. */
#define PS_SYNTH_COVERAGE 0.2

struct ps_synth_options {
    int width;           /* px */
    int height;          /* px */
    uint64_t seed;       /* any */
    double pixel_size;   /* angstrom */
    double diameter;     /* of a particle, angstrom */
    double particles;    /* mean number (Poisson); below 0: PS_SYNTH_COVERAGE of the area */
    double snr;          /* see below */
    double defocus;      /* micrometre, underfocus; each micrograph varies by up to 10 % */
    double ice_gradient; /* of the brightness: (brightest - darkest ice) / mean */
    bool carbon;         /* the edge of a carbon film */
    int contaminants;    /* number of ice crystals */
};
/* `snr`: variance of the noiseless image of the particles (projections through CTF and detector)
 * over the pixels within half a diameter of a centre, divided by the variance of the noise. */

#define PS_SYNTH_DEFAULTS                                                                          \
    (struct ps_synth_options)                                                                      \
    {                                                                                              \
        .width = 2048, .height = 2048, .seed = 1, .pixel_size = 1.4, .diameter = 110,              \
        .particles = -1, .snr = 0.12, .defocus = 2, .ice_gradient = 0.04, .carbon = false,         \
        .contaminants = 1,                                                                         \
    }

struct ps_synth_truth {
    struct ps_centre *centres; /* px, exact; owned */
    size_t count;
    double diameter;          /* px */
    double defocus_u;         /* angstrom, underfocus positive */
    double defocus_v;         /* angstrom */
    double astigmatism_angle; /* degrees from the x axis */
};

/* Checks the options. PS_E_CONFIG: one is out of its range, or the diameter does not fit the size;
 * the message tells which. */
int ps_synth_validate(const struct ps_synth_options *options, struct ps_error *error);

/* Makes micrograph `index`: writes height rows of width pixels to `ret_pixels` (from the first
 * stored row; undefined after a failure) and its truth, to be freed with ps_synth_truth_done().
 * PS_E_CONFIG, PS_E_NOMEM. */
int ps_synth_micrograph(const struct ps_synth_options *options, uint64_t index, float *ret_pixels,
                        struct ps_synth_truth *ret_truth, struct ps_error *error);

void ps_synth_truth_done(struct ps_synth_truth *truth);

#endif
