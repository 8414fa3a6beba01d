/* Types of the adaptive profile that the backends and the kernels share. Lengths are in px of the
 * field (backend/adaptive.h). */
#ifndef PS_FORMULAS_ADAPTIVE_TYPES_H
#define PS_FORMULAS_ADAPTIVE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of a device: lanes, and different diameters in them. */
enum { PS_LANES = 16, PS_LEVELS = 8 };

/* What a window is compared by: grey value, and the energy of its fine detail. */
enum ps_channel { PS_CHANNEL_INTENSITY, PS_CHANNEL_ENERGY, PS_CHANNELS };

/* A template counts within this many diameters of its centre. */
#define PS_TEMPLATE_REACH 0.75

/* A template that depends on the radius alone: its value at radii that round to 0, 1, 2, ... and
 * from the last one on. */
enum { PS_RADIAL_MAX = 128 };
struct ps_radial {
    int count; /* 0: no template */
    double values[PS_RADIAL_MAX];
};

struct ps_peak {
    int x;
    int y;
    float value; /* of the score */
    float mean;  /* of the intensity, in a square as wide as the scale */
    float deviation;
};

/* Of both responses over the unmasked pixels. */
struct ps_response_moments {
    double mean[PS_CHANNELS];
    double covariance[PS_CHANNELS][PS_CHANNELS];
};

#endif
