#include "synth/optics.h"

#include <math.h>

static const double VOLTAGE = 300e3;
static const double SPHERICAL_ABERRATION = 2.7e7; /* angstrom */
static const double AMPLITUDE_CONTRAST = 0.1;
static const double B_FACTOR = 100; /* angstrom^2 */
static const double DEFOCUS_SPREAD = 0.1;
static const double MAX_ASTIGMATISM = 300; /* angstrom */
static const double DETECTOR_AT_NYQUIST = 0.35;

struct ps_optics ps_optics_new(double pixel_size, double defocus, struct ps_random *random)
{
    double mean = defocus * ps_random_uniform(random, 1 - DEFOCUS_SPREAD, 1 + DEFOCUS_SPREAD);
    double spread = ps_random_uniform(random, 0, MAX_ASTIGMATISM);
    double angle = ps_random_uniform(random, 0, M_PI);
    return (struct ps_optics){
        .pixel_size = pixel_size,
        /* h / sqrt(2 m e V (1 + e V / 2 m c^2)), in angstrom for V in volt */
        .wavelength = 12.2642598 / sqrt(VOLTAGE * (1 + 0.978475598e-6 * VOLTAGE)),
        .spherical = SPHERICAL_ABERRATION,
        .amplitude_phase = asin(AMPLITUDE_CONTRAST),
        .defocus_u = mean + spread / 2,
        .defocus_v = mean - spread / 2,
        .astigmatism_angle = angle,
        .envelope_b_factor = B_FACTOR,
        .cos2_half_spread = spread / 2 * cos(2 * angle),
        .sin2_half_spread = spread / 2 * sin(2 * angle),
    };
}

double ps_optics_contrast(const struct ps_optics *optics, double qx, double qy)
{
    double x = qx / optics->pixel_size, y = qy / optics->pixel_size; /* 1/angstrom */
    double q2 = x * x + y * y;
    double defocus_q2 = (optics->defocus_u + optics->defocus_v) / 2 * q2 +
                        optics->cos2_half_spread * (x * x - y * y) +
                        optics->sin2_half_spread * 2 * x * y;
    double lambda = optics->wavelength;
    double chi = M_PI * lambda * defocus_q2 -
                 M_PI / 2 * optics->spherical * lambda * lambda * lambda * q2 * q2 +
                 optics->amplitude_phase;
    return -sin(chi) * exp(-optics->envelope_b_factor / 4 * q2);
}

double ps_optics_detector(double qx, double qy)
{
    return 1 / (1 + (1 / DETECTOR_AT_NYQUIST - 1) * 4 * (qx * qx + qy * qy));
}
