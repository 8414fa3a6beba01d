/* The grey picture under an overlay: a micrograph made small and quiet. */
#ifndef PS_OUTPUT_PLANE_H
#define PS_OUTPUT_PLANE_H

#include "pickstream.h"

struct ps_plane {
    int width, height; /* px */
    int bin;           /* pixels of the micrograph along a side of one of these */
    float *pixels;     /* owned */
};

/* Averages the image over bins of the smallest whole size that makes its longer side fit in `side`;
 * bins at the right and the far edge may cover less. PS_E_NOMEM. */
int ps_plane_bin(const struct ps_image *image, int side, struct ps_plane *ret_plane,
                 struct ps_error *error);
void ps_plane_done(struct ps_plane *plane);

/* Mean and standard deviation of what lies within three standard deviations of that mean; 0 and 0
 * without any finite pixel. */
void ps_plane_robust(const struct ps_plane *plane, double *ret_mean, double *ret_deviation);

/* Limits pixels to the range. */
void ps_plane_clip(struct ps_plane *plane, double low, double high);

/* Gaussian of that standard deviation (px); the edge is continued outwards. PS_E_NOMEM. */
int ps_plane_smooth(struct ps_plane *plane, double sigma, struct ps_error *error);

#endif
