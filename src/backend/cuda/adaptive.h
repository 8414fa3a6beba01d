/* Shared by the stages of the adaptive profile on the GPU (adaptive_*.c).
 *
 * All items of a batch go through every kernel together, so that one launch has enough work and the
 * host waits once for all of them. Items of one diameter share a level: its energy channel, window
 * norms and spectra. Counts for one micrograph with the picker's defaults (14 items of 7 levels in
 * the search, 1 item in the refinement, and each again in a field of noise):
 *
 *     stage      calls   launches per call   waits per call
 *     reduce         2   34                  1: number of unmasked pixels
 *     randomise      2   10                  0
 *     scale          4   34                  0
 *     respond        4    6                  0
 *     learn          7    9                  1: templates, responses at the examples, moments
 *     peaks         11   11                  1: peaks
 *     sample         2    1                  1: responses at the candidates
 *     locate         1    1                  1: centres
 *
 * Together 435 launches, 36 batches of transforms and 23 waits: less than 2 ms if a launch takes 3
 * us and a wait 20 us. 174 of the launches are passes of medians and other quantiles. A small field
 * has up to three fields of noise: up to 793 launches, 76 batches and 37 waits.
 */
#ifndef PS_BACKEND_CUDA_ADAPTIVE_H
#define PS_BACKEND_CUDA_ADAPTIVE_H

#include "formulas/adaptive_formulas.h"
#include "backend/cuda/slot.h"
#include "launch_adaptive.h"

/* Device memory. Maps have the field's size and are `stride` floats apart. */
enum adaptive_buffer {
    DEAD,      /* uint8, the field without its frame */
    UNMASKED,  /* uint8 map */
    ALLOWED,   /* uint8 map */
    WEIGHT,    /* map */
    INTENSITY, /* map */
    ENERGY,    /* maps [level] */
    INVERSE,   /* maps [level][channel] */
    LOCAL,     /* maps [level][channel] */
    RESPONSE,  /* maps [item][channel] */
    RAW,       /* maps [item] */
    SCORE,     /* maps [item] */
    MEAN,      /* maps [level] */
    DEVIATION, /* maps [level] */
    SPARE,     /* maps, scratch of any stage */
    STACK,     /* images transformed in place; the channels' spectra first */
    WORK,      /* of cuFFT */
    LEVELS,    /* struct ps_adaptive_level [level], and the data they point to */
    PROFILES,
    TEMPLATES,
    SUMS,
    EXAMPLES, /* struct ps_peak */
    VALUES,   /* float or double, at examples */
    RESULTS,
    UNMASKED_COUNT, /* unsigned long long */
    SPREADS,
    ORDER,
    PARTS, /* of moments */
    KEYS,
    NEXT,
    STATES,
    HEADS,
    OPEN,
    KEPT,
    PEAKS,
    BUFFERS
};

/* Gaussians of a level: the deviations in diameters. */
enum adaptive_gauss { GAUSS_FINE, GAUSS_COARSE, GAUSS_TENTH, GAUSS_EIGHTH, GAUSSES };

struct adaptive_level {
    double diameter_field_px;
    int reach;
    int rings;
    const float *weights[GAUSSES]; /* device */
    int radii[GAUSSES];
};

enum { ADAPTIVE_PLANS = 48 };

struct cuda_adaptive {
    struct ps_field field;
    double max_diameter_field_px; /* of scale() */
    size_t stride;
    int fft_width;
    int fft_height;
    int levels;
    struct adaptive_level level[PS_MAX_LEVELS];
    int items;
    short level_of[PS_MAX_ITEMS];
    size_t capacity; /* maxima per item */
    size_t expected; /* peaks of a call that are copied before their number is known */
    struct cuda_buffer buffers[BUFFERS];
    struct cuda_plan plans[ADAPTIVE_PLANS];
    int next_plan; /* the one to replace */
    struct {
        void *data;
        size_t bytes;
    } pinned_result; /* struct ps_adaptive_result [PS_MAX_ITEMS], then the parts of a stage */
};

/* State of a slot, created by the first call. */
int cuda_adaptive_of(struct cuda_slot *slot, struct cuda_adaptive **ret_adaptive,
                     struct ps_error *error);

static inline size_t adaptive_pixels(const struct cuda_adaptive *a)
{
    return (size_t)a->field.width * (size_t)a->field.height;
}

/* Map `index` of a buffer. */
static inline float *adaptive_map(const struct cuda_adaptive *a, enum adaptive_buffer buffer,
                                  int index)
{
    return (float *)a->buffers[buffer].data + (size_t)index * a->stride;
}

/* Image `index` of the stack. */
static inline size_t adaptive_image_floats(const struct cuda_adaptive *a)
{
    return ps_image_floats(a->fft_width, a->fft_height);
}
static inline float *adaptive_image(const struct cuda_adaptive *a, int index)
{
    return (float *)a->buffers[STACK].data + (size_t)index * adaptive_image_floats(a);
}

/* Entries of the integral image of the largest template. */
static inline size_t adaptive_cut_sums(const struct cuda_adaptive *a)
{
    size_t side = 0;
    for (int i = 0; i < a->levels; i++)
        if (side < 2 * (size_t)a->level[i].reach + 2)
            side = 2 * (size_t)a->level[i].reach + 2;
    return side * side;
}

/* The state as the kernels see it. */
struct ps_adaptive_maps adaptive_maps(const struct cuda_adaptive *a);

int adaptive_reserve(struct cuda_slot *slot, enum adaptive_buffer buffer, size_t bytes,
                     struct ps_error *error);

/* Transforms `batch` images of the stack, beginning with `first`, in place. cuFFT's rounding may
 * depend on the batch size, so `batch` must not depend on which items are idle. */
int adaptive_transform(struct cuda_slot *slot, int first, int batch, bool forward,
                       struct ps_error *error);
/* Transforms one image of any size. */
int adaptive_transform_image(struct cuda_slot *slot, float *image, int width, int height,
                             bool forward, struct ps_error *error);

/* Jobs on maps of the field, without their count and maps. */
struct ps_filter_jobs adaptive_filter_jobs(const struct cuda_adaptive *a);
struct ps_pixel_jobs adaptive_pixel_jobs(const struct cuda_adaptive *a);

/* Jobs on the first `count` maps of a buffer, map i with spread i: one computes the spreads, over
 * the unmasked pixels (`unmasked`) or all, the other applies them in place, with the weights
 * (`weighted`) or without. */
struct ps_order_jobs adaptive_order_jobs(const struct cuda_slot *slot, enum adaptive_buffer maps,
                                         int count, bool unmasked);
struct ps_pixel_jobs adaptive_spread_jobs(const struct cuda_adaptive *a, enum adaptive_buffer maps,
                                          int count, bool weighted);

/* Copies the results of all items and then the parts to pinned_result, and waits. */
struct adaptive_part {
    const void *device;
    size_t bytes;
    const void *data; /* output: the copy */
};
int adaptive_receive(struct cuda_slot *slot, struct adaptive_part *parts, int count,
                     const struct ps_adaptive_result **ret_results, struct ps_error *error);

/* Finds the level of each item; adds missing ones if `add`. Returns whether all have one. */
bool adaptive_find_levels(struct cuda_adaptive *a, const double *diameters_field_px, int count,
                          bool add);
/* Computes the levels' data, in a->level and on the device. */
int adaptive_send_levels(struct cuda_slot *slot, struct ps_error *error);

/* out = (out - in / share) * weight for `count` images, where `in` and `share` are boxes of the
 * image and of the weight, `passes` times; each image has its own side, px. */
int adaptive_background(struct cuda_slot *slot, enum adaptive_buffer images, int count,
                        const int *sides, int passes, struct ps_error *error);
/* Divides such images by their spread over the unmasked pixels, and clips them. */
int adaptive_normalise(struct cuda_slot *slot, enum adaptive_buffer images, int count, float clip,
                       struct ps_error *error);

/* ---- stages, see backend/adaptive.h ---- */
ps_adaptive_reduce_stage cuda_adaptive_reduce;
ps_adaptive_randomise_stage cuda_adaptive_randomise;
ps_adaptive_scale_stage cuda_adaptive_scale;
ps_adaptive_respond_stage cuda_adaptive_respond;
ps_adaptive_learn_stage cuda_adaptive_learn;
ps_adaptive_peaks_stage cuda_adaptive_peaks;
ps_adaptive_sample_stage cuda_adaptive_sample;
ps_adaptive_locate_stage cuda_adaptive_locate;
ps_adaptive_fetch_stage cuda_adaptive_fetch;
ps_adaptive_fetch_mask_stage cuda_adaptive_fetch_mask;

#endif
