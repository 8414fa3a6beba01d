/* Weights of the filters that shrink and smooth a micrograph (apple-reference section 2), made on
 * the host for every backend. */
#ifndef PS_FORMULAS_WEIGHTS_H
#define PS_FORMULAS_WEIGHTS_H

#include "pickstream.h"

/* Taps of the output pixels along one axis: `taps` weights from input pixel `first`. Unused taps
 * have weight 0; all lie inside. */
struct ps_resampler {
    int taps;
    int *first;      /* per output pixel */
    double *weights; /* outputs x taps */
};

/* Pillow's bicubic filter from `input` to `output` < input pixels. PS_E_NOMEM. */
int ps_resampler_new(int input, int output, struct ps_resampler *ret_resampler,
                     struct ps_error *error);
void ps_resampler_done(struct ps_resampler *resampler);

/* The low-pass w(y, x) ~ exp(-x^2 - y^2 / (2 * 0.5^2)): narrower along y by the reference's
 * precedence of operators. It separates, and beyond these radii it is below 2.22e-16, where the
 * reference cuts. */
enum { PS_SMOOTH_X = 5, PS_SMOOTH_Y = 4 };
struct ps_smooth {
    float x[2 * PS_SMOOTH_X + 1];
    float y[2 * PS_SMOOTH_Y + 1];
};
struct ps_smooth ps_smooth_weights(void);

#endif
