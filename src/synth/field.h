/* A plane of pixels that can be filtered: the micrograph with a border around it, padded to a size
 * that FFTW transforms quickly whatever the micrograph's own size is (primes too).
 *
 * The border keeps what the cyclic transform wraps around away from the micrograph. One buffer
 * holds pixels and, in turn, their spectrum; nothing else is allocated.
 * FFTW's planner is not thread-safe: make and free fields on one thread at a time. */
#ifndef PS_SYNTH_FIELD_H
#define PS_SYNTH_FIELD_H

#include "base/error.h"

#include <fftw3.h>

struct ps_field {
    int width;     /* px, with the border and padding */
    int height;    /* px */
    int border;    /* px between the plane's first pixel and the micrograph's, in x and in y */
    size_t stride; /* floats from row to row; the last one or two of a row are FFTW's */
    float *pixels;
    fftwf_plan forward;
    fftwf_plan backward;
};

/* How much a filter lets through at the frequency (qx, qy), in cycles a pixel. Real and with
 * gain(q) = gain(-q), so that pixels stay real and nothing moves. */
typedef double (*ps_gain)(double qx, double qy, const void *context);

/* A plane of zeros around a micrograph of that size. PS_E_NOMEM. */
int ps_field_init(struct ps_field *ret_field, int micrograph_width, int micrograph_height,
                  int border, struct ps_error *error);
void ps_field_done(struct ps_field *field);

void ps_field_clear(struct ps_field *field);

/* Multiplies the plane's spectrum. Returns the variance that white noise of variance 1 would have
 * afterwards. */
double ps_field_filter(struct ps_field *field, ps_gain gain, const void *context);

#endif
