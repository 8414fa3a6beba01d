/* The adaptive profile's stages on the GPU: what their files (cuda_adaptive*.c) share.
 *
 * The lanes of a call go through every kernel together, so that one launch has enough to do and the
 * host waits for all of them at once. Lanes of one diameter share a level: its energy channel, the
 * norms of windows, spectra. How often that is for one micrograph, with the picker's defaults (14
 * lanes of 7 levels in the search, 1 lane in the refinement, and each again in a field of noise):
 *
 *     stage      calls   launches a call   waits a call
 *     reduce         2   34                1: how many pixels are unmasked
 *     randomise      2   10                0
 *     scale          4   34                0
 *     respond        4    6                0
 *     learn          7    9                1: templates, responses at the examples, moments
 *     peaks         11   11                1: peaks
 *     sample         2    1                1: responses at the candidates
 *     locate         1    1                1: centres
 *
 * which makes 435 launches, 36 batches of transforms and 23 waits; where a launch takes 3 us and a
 * wait 20 us, less than 2 ms. 174 of the launches are passes of medians and of other quantiles. A
 * small field has up to three fields of noise, which makes up to 793 launches, 76 batches and 37
 * waits.
 */
#ifndef PS_BACKEND_CUDA_ADAPTIVE_H
#define PS_BACKEND_CUDA_ADAPTIVE_H

#include "formulas/adaptive_formulas.h"
#include "backend/cuda/slot.h"
#include "launch_adaptive.h"

/* Memory of the card. Maps have the field's size, `stride` floats from one to the next. */
enum adaptive_buffer {
    DEAD,      /* uint8, the field without its frame */
    UNMASKED,  /* uint8 map */
    ALLOWED,   /* uint8 map */
    WEIGHT,    /* map */
    INTENSITY, /* map */
    ENERGY,    /* maps [level] */
    INVERSE,   /* maps [level][channel] */
    LOCAL,     /* maps [level][channel] */
    RESPONSE,  /* maps [lane][channel] */
    RAW,       /* maps [lane] */
    SCORE,     /* maps [lane] */
    MEAN,      /* maps [level] */
    DEVIATION, /* maps [level] */
    SPARE,     /* maps, of whoever needs them */
    STACK,     /* images to be transformed, in place: spectra of the channels first */
    WORK,      /* of cuFFT */
    LEVELS,    /* struct ps_adaptive_level [level], and what they point to */
    PROFILES,
    TEMPLATES,
    SUMS,
    EXAMPLES, /* struct ps_peak */
    VALUES,   /* float or double, at examples */
    ANSWERS,
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

/* Gaussians of a level. */
enum adaptive_gauss { GAUSS_FINE, GAUSS_COARSE, GAUSS_TENTH, GAUSS_EIGHTH, GAUSSES };

struct adaptive_level {
    double diameter;
    int reach;
    int rings;
    const float *weights[GAUSSES]; /* on the card */
    int radii[GAUSSES];
};

enum { ADAPTIVE_PLANS = 48 };

struct cuda_adaptive {
    struct ps_field field;
    double largest; /* diameter that scale() may be asked for */
    size_t stride;
    int fft_width;
    int fft_height;
    int levels;
    struct adaptive_level level[PS_LEVELS];
    int lanes;
    short level_of[PS_LANES];
    size_t capacity; /* maxima of a lane */
    size_t expected; /* peaks of a call: as many are copied at once */
    struct cuda_buffer buffers[BUFFERS];
    struct cuda_plan plans[ADAPTIVE_PLANS];
    int next_plan; /* to be replaced */
    struct {
        void *data;
        size_t bytes;
    } answer; /* pinned: struct ps_adaptive_answer [PS_LANES], then what a stage asks for */
};

/* The state of a slot, made when it is first asked for. */
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

/* How many sums over a template's first rows and columns the largest one has. */
static inline size_t adaptive_cut_sums(const struct cuda_adaptive *a)
{
    size_t side = 0;
    for (int i = 0; i < a->levels; i++)
        if (side < 2 * (size_t)a->level[i].reach + 2)
            side = 2 * (size_t)a->level[i].reach + 2;
    return side * side;
}

/* What the kernels see of it. */
struct ps_adaptive_maps adaptive_maps(const struct cuda_adaptive *a);

int adaptive_reserve(struct cuda_slot *slot, enum adaptive_buffer buffer, size_t bytes,
                     struct ps_error *error);

/* Transforms `batch` images of the stack, from `first` on, in place. How many they are may show in
 * how cuFFT rounds: it must not depend on which lanes are idle. */
int adaptive_transform(struct cuda_slot *slot, int first, int batch, bool forward,
                       struct ps_error *error);
/* The same for one image of another size. */
int adaptive_transform_image(struct cuda_slot *slot, float *image, int width, int height,
                             bool forward, struct ps_error *error);

/* Jobs that are all done to maps of the field. */
struct ps_filter_jobs adaptive_filter_jobs(const struct cuda_adaptive *a);
struct ps_pixel_jobs adaptive_pixel_jobs(const struct cuda_adaptive *a);

/* The first `count` maps of a buffer, each with the spread of its number: to find it where the mask
 * leaves them (`unmasked`) or everywhere, and to use it, in place, by the weights (`weighted`) or
 * everywhere. */
struct ps_order_jobs adaptive_order_jobs(const struct cuda_slot *slot, enum adaptive_buffer maps,
                                         int count, bool unmasked);
struct ps_pixel_jobs adaptive_spread_jobs(const struct cuda_adaptive *a, enum adaptive_buffer maps,
                                          int count, bool weighted);

/* Copies the answers of all lanes, and the parts after them, into a->answer, and waits for all. */
struct adaptive_part {
    const void *device;
    size_t bytes;
    const void *data; /* where they are then */
};
int adaptive_receive(struct cuda_slot *slot, struct adaptive_part *parts, int count,
                     const struct ps_adaptive_answer **ret_answers, struct ps_error *error);

/* Finds the levels of the lanes; adds those that are missing if `add`. Returns whether all are
 * there. */
bool adaptive_find_levels(struct cuda_adaptive *a, const double *diameters, int lanes, bool add);
/* Describes the levels, to the card and in a->level. */
int adaptive_send_levels(struct cuda_slot *slot, struct ps_error *error);

/* out = (out - in / share) * weight, with a box of `side` on `image` and on the weight, `passes`
 * times: of `count` images, whose sides may differ. */
int adaptive_background(struct cuda_slot *slot, enum adaptive_buffer images, int count,
                        const int *sides, int passes, struct ps_error *error);
/* Divides such images by the spread over the unmasked pixels, and clips. */
int adaptive_normalise(struct cuda_slot *slot, enum adaptive_buffer images, int count, float clip,
                       struct ps_error *error);

/* ---- stages, as adaptive.h states them ---- */
int cuda_adaptive_reduce(struct ps_slot *base, const struct ps_reduction *reduction,
                         struct ps_field *ret_field, struct ps_error *error);
int cuda_adaptive_randomise(struct ps_slot *base, unsigned seed, struct ps_error *error);
int cuda_adaptive_scale(struct ps_slot *base, const double *diameters, int lanes,
                        struct ps_error *error);
int cuda_adaptive_respond(struct ps_slot *base, struct ps_lane *lanes, int count,
                          struct ps_error *error);
int cuda_adaptive_learn(struct ps_slot *base, struct ps_lane *lanes, int count,
                        struct ps_error *error);
int cuda_adaptive_peaks(struct ps_slot *base, struct ps_lane *lanes, int count,
                        struct ps_error *error);
int cuda_adaptive_sample(struct ps_slot *base, enum ps_map map, const struct ps_peak *peaks,
                         size_t count, float *ret_values, struct ps_error *error);
int cuda_adaptive_locate(struct ps_slot *base, const struct ps_peak *peaks, size_t count,
                         double (*ret_centres)[2], struct ps_error *error);
int cuda_adaptive_fetch(struct ps_slot *base, enum ps_map map, float *ret_values,
                        struct ps_error *error);
int cuda_adaptive_fetch_mask(struct ps_slot *base, unsigned char *ret_mask, struct ps_error *error);

#endif
