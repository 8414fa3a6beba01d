/* Stages of the `adaptive` profile on a compute device, beside those of backend.h.
 *
 * The micrograph is uploaded as for `aspire`. Everything else works on the field: the micrograph
 * binned until a particle is 21 to 50 px wide (10 px in the first search). Hypotheses are evaluated
 * side by side, one batch item each: a scale (an assumed diameter), two responses and a score. A
 * device states how many items it takes at once (`max_items`).
 *
 *     upload -> reduce -> scale -> respond -> peaks
 *                         ^                     ^ |
 *                     randomise             learn +   repeated
 *
 * Maps have the field's size, row by row, and stay on the device. Peaks, responses at peaks and
 * moments are small and are copied to the caller. The picker (picker/adaptive.h) decides which
 * peaks are particles, which weights apply and which hypothesis wins; a device decides nothing.
 *
 * Lengths are in px of the field. The output does not depend on the number of threads.
 */
#ifndef PS_BACKEND_ADAPTIVE_H
#define PS_BACKEND_ADAPTIVE_H

#include "formulas/adaptive_types.h"
#include "pickstream.h"

struct ps_slot;

enum ps_map {
    PS_MAP_INTENSITY,       /* channel, in robust standard deviations, 0 where masked */
    PS_MAP_ENERGY,          /* channel of the scale, likewise */
    PS_MAP_INTENSITY_MATCH, /* response to the template: correlation coefficient, smoothed */
    PS_MAP_ENERGY_MATCH,
    PS_MAP_SCORE, /* weighted sum of the responses, in deviations of its lower half */
    PS_MAP_MEAN,  /* local mean and deviation, as in struct ps_peak */
    PS_MAP_DEVIATION,
};

/* Of a micrograph, px. */
struct ps_rectangle {
    int left;
    int top;
    int width;
    int height;
};

struct ps_reduction {
    struct ps_rectangle part; /* of the micrograph, that the field is made of; no width: all */
    int bin;                  /* side of the square of micrograph pixels averaged into one */
    int frame_field_px;       /* empty border on each side, where cut particles may be centred */
    double diameter_field_px; /* of a particle */
    double max_diameter_field_px; /* largest diameter that scale() gets */
    bool mask;                    /* look for contaminants */
    const unsigned char *dead;    /* 1: no image data; the field without its frame. NULL: none */
};

struct ps_field {
    int width; /* px, including the frame on both sides */
    int height;
    int frame_field_px;
    size_t unmasked; /* px: neither contaminant, dead nor frame */
};

/* The part of a micrograph of width x height px that a field is made of. */
static inline struct ps_rectangle ps_reduction_part(const struct ps_reduction *reduction, int width,
                                                    int height)
{
    return reduction->part.width ? reduction->part : (struct ps_rectangle){0, 0, width, height};
}

/* One hypothesis of a batch: input and output of the stages. */
struct ps_batch_item {
    bool idle; /* stages skip the item */
    bool flat; /* set by stages if a template is constant; they skip the item from then on */

    struct ps_radial templates[PS_CHANNELS]; /* input of respond(), output of learn() */

    const struct ps_peak *examples; /* learn(): the templates are averages around these */
    size_t example_count;
    float *responses[PS_CHANNELS];      /* learn() writes the responses at the examples, */
    struct ps_response_moments moments; /* and the moments of the responses */

    double weights[PS_CHANNELS]; /* peaks(): of the responses */
    double distance_field_px;    /* peaks(): least distance between two peaks */
    bool windows;                /* peaks(): their mean and deviation are wanted */
    struct ps_peak *peaks;       /* peaks() allocates and fills them; the caller frees */
    size_t peak_count;
};

/* ---- stages: they return PS_E_NOMEM and PS_E_DEVICE beside the codes given here ---- */

/* Steps 1 to 3: bins, normalises, masks contaminants, subtracts the background. PS_E_INPUT: the
 * whole field is masked. */
typedef int ps_adaptive_reduce_stage(struct ps_slot *slot, const struct ps_reduction *reduction,
                                     struct ps_field *ret_field, struct ps_error *error);

/* Turns the field into a null: the intensity channel keeps its power spectrum and gets the phases
 * of white noise (ps_noise() of pixel index and seed), then is masked, normalised and clipped as in
 * step 3. Results of scale() become invalid. */
typedef int ps_adaptive_randomise_stage(struct ps_slot *slot, unsigned seed,
                                        struct ps_error *error);

/* Step 4, and what step 5 can precompute for all templates: the energy channel for the diameter of
 * each item, and the norm of each window in both channels. Computes each diameter once, and keeps
 * the results of the call before. At most PS_MAX_LEVELS different diameters. */
typedef int ps_adaptive_scale_stage(struct ps_slot *slot, const double *diameters_field_px,
                                    int count, struct ps_error *error);

/* Step 5: responses of the channels that have a template; the other maps do not change. A device
 * may leave the detection of a flat template to peaks(). */
typedef int ps_adaptive_respond_stage(struct ps_slot *slot, struct ps_batch_item *items, int count,
                                      struct ps_error *error);

/* Steps 9 and 10: sets the templates to the radial mean of both channels around the examples, and
 * computes the responses to them, their values at the examples and their moments. */
typedef int ps_adaptive_learn_stage(struct ps_slot *slot, struct ps_batch_item *items, int count,
                                    struct ps_error *error);

/* Step 7: the score, from the responses whose weight is not 0, and its local maxima outside
 * contaminants, the best first, none closer than the item's distance to a better one. Mean and
 * deviation of windows that are not wanted may be left 0. */
typedef int ps_adaptive_peaks_stage(struct ps_slot *slot, struct ps_batch_item *items, int count,
                                    struct ps_error *error);

/* The stages below work on the first item. */

/* Values of a map at the peaks. */
typedef int ps_adaptive_sample_stage(struct ps_slot *slot, enum ps_map map,
                                     const struct ps_peak *peaks, size_t count, float *ret_values,
                                     struct ps_error *error);

/* Position (x, y) of the score's maximum near each peak, to a fraction of a pixel. */
typedef int ps_adaptive_locate_stage(struct ps_slot *slot, const struct ps_peak *peaks,
                                     size_t count, double (*ret_centres)[2],
                                     struct ps_error *error);

/* Copies a map to the caller: width x height floats. */
typedef int ps_adaptive_fetch_stage(struct ps_slot *slot, enum ps_map map, float *ret_values,
                                    struct ps_error *error);

/* Copies the mask to the caller: width x height bytes, 1 is unmasked. */
typedef int ps_adaptive_fetch_mask_stage(struct ps_slot *slot, unsigned char *ret_mask,
                                         struct ps_error *error);

struct ps_adaptive_ops {
    int max_items;  /* that a stage takes in one call, at most PS_MAX_ITEMS */
    int max_scales; /* different diameters among them, at most PS_MAX_LEVELS */
    ps_adaptive_reduce_stage *reduce;
    ps_adaptive_randomise_stage *randomise;
    ps_adaptive_scale_stage *scale;
    ps_adaptive_respond_stage *respond;
    ps_adaptive_learn_stage *learn;
    ps_adaptive_peaks_stage *peaks;
    ps_adaptive_sample_stage *sample;
    ps_adaptive_locate_stage *locate;
    ps_adaptive_fetch_stage *fetch;
    ps_adaptive_fetch_mask_stage *fetch_mask;
};

extern const struct ps_adaptive_ops ps_adaptive_cpu;

#endif
