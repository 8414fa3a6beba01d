/* An image of a micrograph with its picks, for visual inspection.
 *
 * The micrograph is averaged over square bins so that its longer side is at most PS_OVERLAY_SIDE,
 * smoothed lightly against noise, and stretched so that grey goes from three standard deviations
 * below its mean to three above, without outliers (hot pixels, gold, carbon). Each pick is a circle
 * of the particle's diameter around its centre, from blue (the lowest score in this micrograph)
 * through green to yellow (the highest). Colour-blind people can distinguish these colours, and
 * they get lighter with the score.
 *
 * The first row (y = 0) is at the TOP, as in RELION. IMOD and EMAN2 draw it at the bottom: they
 * show the same micrograph upside down.
 */
#ifndef PS_PICTURE_OVERLAY_H
#define PS_PICTURE_OVERLAY_H

#include "pickstream.h"

enum { PS_OVERLAY_SIDE = 2048 }; /* px */

/* Writes an 8-bit RGB PNG, atomically (base/atomic_file.h). Its size is that of the image divided
 * by the smallest whole number that makes it fit, rounded up. Averages exclude NaN and infinite
 * pixels. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_overlay_write(const char *path, const struct ps_image *image, const struct ps_result *result,
                     struct ps_error *error);

#endif
