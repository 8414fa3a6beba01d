/* Fourier cropping: an image with fewer pixels, of the low frequencies of a larger one.
 *
 * RELION keeps, of the transform of real rows, the columns 0 to m/2 and the rows -m/2+1 to m/2, and
 * transforms them back. That is linear in rows and in columns, apart from the row m/2, which has no
 * counterpart -m/2; so it is two products with small matrices, without a transform, and sides with
 * large prime factors cost no more than others.
 */
#ifndef PS_PARTICLES_CROP_H
#define PS_PARTICLES_CROP_H

#include "pickstream.h"

struct ps_crop;

/* Prepares to crop images of `from` px a side to `to` px; both even, to < from. PS_E_NOMEM. */
int ps_crop_new(int from, int to, struct ps_crop **ret_crop, struct ps_error *error);
void ps_crop_free(struct ps_crop *crop); /* accepts NULL */

/* The number of floats of scratch space that ps_crop_apply() needs. */
size_t ps_crop_scratch(const struct ps_crop *crop);

/* Crops an image, row-major; the mean is kept. Several threads can use a crop. */
void ps_crop_apply(const struct ps_crop *crop, const float *image, float *scratch,
                   float *ret_image);

#endif
