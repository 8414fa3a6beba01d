/* What a compute device does for the `adaptive` profile: its stages, beside those of backend.h.
 *
 * The micrograph is uploaded as for `aspire`. Everything after that happens on the field, the
 * micrograph binned so far that a particle is about 32 px wide (or 16, for a first look), and for
 * one scale at a time, a guess of the diameter:
 *
 *     upload -> reduce -> for each scale:  scale -> respond -> combine -> peaks
 *                                                     ^                     |
 *                                                     +---- average <-------+
 *
 * Maps have the field's size, row by row, and stay on the device; profiles, peaks and moments are
 * small and are copied out. Between two calls a device decides nothing: which peaks are particles,
 * what the templates and the weights are and which scale is the right one is told to it
 * (picker/adaptive.h).
 *
 * Lengths are in px of the field. Same input, same output, whatever the number of threads.
 */
#ifndef PS_BACKEND_ADAPTIVE_H
#define PS_BACKEND_ADAPTIVE_H

#include "pickstream.h"

struct ps_slot;

/* What a window is compared by: grey value, and the energy of its fine detail. */
enum ps_channel { PS_CHANNEL_INTENSITY, PS_CHANNEL_ENERGY, PS_CHANNELS };

enum ps_map {
    PS_MAP_INTENSITY,       /* channel, in robust standard deviations, 0 where masked */
    PS_MAP_ENERGY,          /* the same, for the scale */
    PS_MAP_INTENSITY_MATCH, /* response to the template: correlation coefficient, smoothed */
    PS_MAP_ENERGY_MATCH,
    PS_MAP_SCORE,     /* weighted sum of the responses, in robust standard deviations */
    PS_MAP_MEAN,      /* of the intensity, in a square as wide as the scale */
    PS_MAP_DEVIATION, /* standard deviation there */
};

struct ps_reduction {
    int bin;         /* side of the squares of micrograph pixels that become one */
    int frame;       /* px of nothing around it, where centres of cut particles may lie */
    double diameter; /* of a particle */
    bool mask;       /* look for contaminants */
};

struct ps_field {
    int width; /* with the frame on both sides */
    int height;
    int frame;
    size_t unmasked; /* px: neither contaminant nor frame */
};

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
};

/* Of both responses over the unmasked pixels. */
struct ps_response_moments {
    double mean[PS_CHANNELS];
    double covariance[PS_CHANNELS][PS_CHANNELS];
};

struct ps_adaptive_ops {
    /* Steps 1 to 3: bin, normalise, find contaminants, take the background off. PS_E_INPUT: the
     * whole field is masked. */
    int (*reduce)(struct ps_slot *slot, const struct ps_reduction *reduction,
                  struct ps_field *ret_field, struct ps_error *error);

    /* Step 4 and what step 5 can prepare for all templates: the energy channel for particles of
     * `diameter`, and the norm of each window in both channels. */
    int (*scale)(struct ps_slot *slot, double diameter, struct ps_error *error);

    /* Step 5: responses of the channels that have a template; the other maps are left alone.
     * PS_E_INPUT: a template is the same at every radius. */
    int (*respond)(struct ps_slot *slot, const struct ps_radial templates[PS_CHANNELS],
                   struct ps_error *error);

    /* Step 7: the score, from the responses whose weight is not 0. */
    int (*combine)(struct ps_slot *slot, const double weights[PS_CHANNELS], struct ps_error *error);

    /* Local maxima of the score that are not on contaminants, the best first, none within
     * `distance` of a better one.
     * `*ret_peaks` is the caller's to free. */
    int (*peaks)(struct ps_slot *slot, double distance, struct ps_peak **ret_peaks,
                 size_t *ret_count, struct ps_error *error);

    /* Step 9: mean of both channels around the peaks, by radius. */
    int (*average)(struct ps_slot *slot, const struct ps_peak *peaks, size_t count,
                   struct ps_radial ret_profiles[PS_CHANNELS], struct ps_error *error);

    /* Step 10. */
    int (*moments)(struct ps_slot *slot, struct ps_response_moments *ret_moments,
                   struct ps_error *error);

    /* Values of a map at the peaks. */
    int (*sample)(struct ps_slot *slot, enum ps_map map, const struct ps_peak *peaks, size_t count,
                  float *ret_values, struct ps_error *error);

    /* Where the score has its maximum near each peak, to a fraction of a pixel: x, y. */
    int (*locate)(struct ps_slot *slot, const struct ps_peak *peaks, size_t count,
                  double (*ret_centres)[2], struct ps_error *error);

    /* Copies a map out, width x height floats. */
    int (*fetch)(struct ps_slot *slot, enum ps_map map, float *ret_values, struct ps_error *error);

    /* Copies the mask out, width x height bytes: 1 is unmasked. */
    int (*fetch_mask)(struct ps_slot *slot, unsigned char *ret_mask, struct ps_error *error);
};

extern const struct ps_adaptive_ops ps_adaptive_cpu;

#endif
