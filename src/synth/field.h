/* A plane of pixels that can be filtered: the micrograph with a border, padded to a size that FFTW
 * transforms fast, whatever the size of the micrograph.
 *
 * The border keeps the wrap-around of the cyclic transform away from the micrograph. One buffer
 * holds the pixels and their spectrum in turn; nothing else is allocated. FFTW's planner is not
 * thread-safe: make and free fields on one thread at a time. */
#ifndef PS_SYNTH_FIELD_H
#define PS_SYNTH_FIELD_H

#include "base/error.h"

#include <fftw3.h>

struct ps_field {
    int width;     /* px, with the border and padding */
    int height;    /* px */
    int border;    /* px from the plane's first pixel to the micrograph's, in x and in y */
    size_t stride; /* floats from row to row; FFTW uses the last one or two of a row */
    float *pixels;
    fftwf_plan forward;
    fftwf_plan backward;
};

/* The gain of a filter at the frequency (qx, qy), in cycles a pixel. Real, with gain(q) = gain(-q),
 * so that pixels stay real and are not shifted. */
typedef double (*ps_gain)(double qx, double qy, const void *context);

/* Makes a plane of zeros for a micrograph of that size. PS_E_NOMEM. */
int ps_field_init(struct ps_field *ret_field, int micrograph_width, int micrograph_height,
                  int border, struct ps_error *error);
void ps_field_done(struct ps_field *field);

void ps_field_clear(struct ps_field *field);

/* Filters the plane. Returns the variance of filtered white noise of variance 1. */
double ps_field_filter(struct ps_field *field, ps_gain gain, const void *context);

#endif
