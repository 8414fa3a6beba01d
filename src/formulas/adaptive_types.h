/* Types of the adaptive profile that backends and kernels share. Lengths are in px of the field
 * (backend/adaptive.h). */
#ifndef PS_FORMULAS_ADAPTIVE_TYPES_H
#define PS_FORMULAS_ADAPTIVE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits of a device: hypotheses per batch, and different diameters among them. */
enum { PS_MAX_ITEMS = 16, PS_MAX_LEVELS = 8 };

/* Properties of a window that are compared: grey value, and energy of its fine detail. */
enum ps_channel { PS_CHANNEL_INTENSITY, PS_CHANNEL_ENERGY, PS_CHANNELS };

/* Radius of a template, in diameters. */
#define PS_TEMPLATE_REACH 0.75

/* Radial template: its values at radii that round to 0, 1, 2, ...; the last one continues
 * outwards. */
enum { PS_MAX_RINGS = 128 };
struct ps_radial {
    int count; /* 0: no template */
    double values[PS_MAX_RINGS];
};

struct ps_peak {
    int x;
    int y;
    float value; /* of the score */
    float mean;  /* of the intensity, in a square as wide as the diameter */
    float deviation;
};

/* Of both responses over the unmasked pixels. */
struct ps_response_moments {
    double mean[PS_CHANNELS];
    double covariance[PS_CHANNELS][PS_CHANNELS];
};

#endif
