/* The imaging of a projected potential: contrast transfer, envelope, detector.
 *
 * CTF(q) = -sin(chi), chi = pi lambda dz(alpha) q^2 - pi/2 Cs lambda^3 q^4 + asin(A), with dz > 0
 * for underfocus and dz(alpha) = (U + V)/2 + (U - V)/2 cos 2(alpha - alpha_0): Rohou & Grigorieff,
 * "CTFFIND4", J. Struct. Biol. 192 (2015) 216. Negative at low resolution in
 * underfocus: protein is dark. */
#ifndef PS_SYNTH_OPTICS_H
#define PS_SYNTH_OPTICS_H

#include "synth/random.h"

struct ps_optics {
    double pixel_size;        /* angstrom */
    double wavelength;        /* angstrom */
    double spherical;         /* Cs, angstrom */
    double amplitude_phase;   /* asin of the amplitude contrast */
    double defocus_u;         /* angstrom, underfocus positive */
    double defocus_v;         /* angstrom */
    double astigmatism_angle; /* radians from the x axis, of defocus_u */
    double envelope_b_factor; /* angstrom^2; amplitudes fall with exp(-B q^2 / 4) */
    double cos2_half_spread;  /* cos and sin of twice the angle, times (U - V)/2; */
    double sin2_half_spread;  /* avoids an arc tangent for each pixel */
};

/* Makes a 300 kV microscope: Cs 2.7 mm, amplitude contrast 0.1, B 100 angstrom^2. The defocus is
 * within 10 % of `defocus` (angstrom), the astigmatism (U - V) below 300 angstrom, both from
 * `random`. */
struct ps_optics ps_optics_new(double pixel_size, double defocus, struct ps_random *random);

/* Spatial frequencies qx, qy in cycles a pixel. */

/* Phase and amplitude contrast with the envelope. */
double ps_optics_contrast(const struct ps_optics *optics, double qx, double qy);

/* The detector's modulation transfer: 1 at 0, falling smoothly to 0.35 at half a cycle a pixel. */
double ps_optics_detector(double qx, double qy);

#endif
