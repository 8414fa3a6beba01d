/* What a compute device does for the `adaptive` profile: its stages, beside those of backend.h.
 *
 * The micrograph is uploaded as for `aspire`. Everything after that happens on the field, the
 * micrograph binned so far that a particle is about 32 px wide (or 10, for a first look). There,
 * hypotheses run side by side, each in a lane of its own: a scale, which is a guess of the
 * diameter, two responses and a score. A device has as many lanes as it can fill (`lanes`).
 *
 *     upload -> reduce -> scale -> respond -> peaks
 *                         ^                     ^ |
 *                     randomise             learn +   as often as it takes
 *
 * Maps have the field's size, row by row, and stay on the device; peaks, responses at them and
 * moments are small and are copied out. Between two calls a device decides nothing: which peaks are
 * particles, what the weights are and which hypothesis is the right one is told to it
 * (picker/adaptive.h).
 *
 * Lengths are in px of the field. Same input, same output, whatever the number of threads.
 */
#ifndef PS_BACKEND_ADAPTIVE_H
#define PS_BACKEND_ADAPTIVE_H

#include "formulas/adaptive_types.h"
#include "pickstream.h"

struct ps_slot;

enum ps_map {
    PS_MAP_INTENSITY,       /* channel, in robust standard deviations, 0 where masked */
    PS_MAP_ENERGY,          /* the same, for the scale */
    PS_MAP_INTENSITY_MATCH, /* response to the template: correlation coefficient, smoothed */
    PS_MAP_ENERGY_MATCH,
    PS_MAP_SCORE, /* weighted sum of the responses, in deviations of its lower half */
    PS_MAP_MEAN,  /* those of peaks */
    PS_MAP_DEVIATION,
};

struct ps_reduction {
    int bin;                   /* side of the squares of micrograph pixels that become one */
    int frame;                 /* px of nothing around it, where centres of cut particles may lie */
    double diameter;           /* of a particle */
    double largest;            /* diameter that scale() will be asked for */
    bool mask;                 /* look for contaminants */
    const unsigned char *dead; /* 1: no image data; the field without its frame. NULL: none */
};

struct ps_field {
    int width; /* with the frame on both sides */
    int height;
    int frame;
    size_t unmasked; /* px: neither contaminant, dead nor frame */
};

/* A hypothesis in its lane: what the stages are told of it, and what they answer. */
struct ps_lane {
    bool idle; /* stages leave it alone */
    bool flat; /* too, and set it: a template is the same at every radius */

    struct ps_radial templates[PS_CHANNELS]; /* respond() takes them, learn() makes them */

    const struct ps_peak *examples; /* learn(): a channel's templates are made of these */
    size_t example_count;
    float *responses[PS_CHANNELS];      /* it writes the responses at the examples there, */
    struct ps_response_moments moments; /* and their moments here */

    double weights[PS_CHANNELS]; /* peaks(): of the responses */
    double distance;             /* of peaks */
    struct ps_peak *peaks;       /* it writes them there: the caller's to free */
    size_t peak_count;
};

struct ps_adaptive_ops {
    int lanes; /* that it takes, at most PS_LANES; the stages below get as many or fewer */

    /* Steps 1 to 3: bin, normalise, find contaminants, take the background off. PS_E_INPUT: the
     * whole field is masked. */
    int (*reduce)(struct ps_slot *slot, const struct ps_reduction *reduction,
                  struct ps_field *ret_field, struct ps_error *error);

    /* Makes the field a null: the intensity channel keeps its power spectrum and gets the phases of
     * white noise (ps_noise() of the pixel's index and the seed), then it is masked, normalised and
     * clipped as in step 3. What scale() prepared is void. */
    int (*randomise)(struct ps_slot *slot, unsigned seed, struct ps_error *error);

    /* Step 4 and what step 5 can prepare for all templates: the energy channel for particles of
     * each lane's diameter, and the norm of each window in both channels. Nothing is done twice:
     * not for lanes of one diameter, nor for those of the call before. At most PS_LEVELS different
     * diameters. */
    int (*scale)(struct ps_slot *slot, const double *diameters, int lanes, struct ps_error *error);

    /* Step 5: responses of the channels that have a template; the other maps are left alone. A
     * flat template may be seen by peaks() only. */
    int (*respond)(struct ps_slot *slot, struct ps_lane *lanes, int count, struct ps_error *error);

    /* Steps 9 and 10: the templates become the mean of both channels around the examples, by
     * radius; responses to them, at the examples and their moments. */
    int (*learn)(struct ps_slot *slot, struct ps_lane *lanes, int count, struct ps_error *error);

    /* Step 7: the score, from the responses whose weight is not 0, and its local maxima that are
     * not on contaminants, the best first, none within `distance` of a better one. */
    int (*peaks)(struct ps_slot *slot, struct ps_lane *lanes, int count, struct ps_error *error);

    /* The rest looks at the first lane. */

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
