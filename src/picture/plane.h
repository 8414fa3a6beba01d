/* The grey image in overlays and previews: the micrograph, binned and smoothed. */
#ifndef PS_PICTURE_PLANE_H
#define PS_PICTURE_PLANE_H

#include "pickstream.h"

#include <stdint.h>

struct ps_plane {
    int width, height; /* px */
    int bin;           /* pixels of the micrograph along a side of a bin */
    float *pixels;     /* owned */
};

/* The smallest bin, in whole px, with which the longer side of an image fits in `side`. */
int ps_plane_bin_size(int width, int height, int side);

/* Averages the image over bins of ps_plane_bin_size(); bins at the right and the last edge can be
 * smaller. PS_E_NOMEM. */
int ps_plane_bin(const struct ps_image *image, int side, struct ps_plane *ret_plane,
                 struct ps_error *error);
void ps_plane_done(struct ps_plane *plane);

/* Mean and standard deviation of the pixels within three standard deviations of that mean; 0 and 0
 * without any finite pixel. */
void ps_plane_robust(const struct ps_plane *plane, double *ret_mean, double *ret_deviation);

/* Limits pixels to the range. */
void ps_plane_clip(struct ps_plane *plane, double low, double high);

/* Gaussian filter of that standard deviation (px); edge pixels are repeated. PS_E_NOMEM. */
int ps_plane_smooth(struct ps_plane *plane, double sigma, struct ps_error *error);

/* Bytes of grey, width x height: the plane smoothed lightly against noise and stretched so that
 * grey goes from three standard deviations below its mean to three above, without outliers (hot
 * pixels, gold, carbon). `diameter` of the particle in pixels of the micrograph, 0 if unknown. The
 * plane itself is smoothed and clipped. PS_E_NOMEM. */
int ps_plane_grey(struct ps_plane *plane, double diameter, uint8_t *ret_grey,
                  struct ps_error *error);

#endif
