/* A picture of a micrograph with its picks, for a person to judge.
 *
 * The micrograph is averaged over square bins so that its longer side is at most PS_OVERLAY_SIDE,
 * smoothed lightly against noise, and stretched so that grey goes from three standard deviations
 * below its mean to three above, outliers (hot pixels, gold, carbon) not counted. Each pick is a
 * circle of the particle's diameter around its centre, from blue (the lowest score in this
 * micrograph) over green to yellow (the highest): colours that colour-blind people tell apart and
 * that get lighter with the score.
 *
 * The row that comes first (y = 0) is drawn at the TOP, as RELION draws it. IMOD and EMAN2 draw it
 * at the bottom: their picture of the same micrograph is this one upside down.
 */
#ifndef PS_PICTURE_OVERLAY_H
#define PS_PICTURE_OVERLAY_H

#include "pickstream.h"

enum { PS_OVERLAY_SIDE = 2048 }; /* px */

/* Writes an 8-bit RGB PNG, atomically (base/atomic_file.h). Its size is that of the image divided
 * by the smallest whole number that makes it fit, rounded up. NaN and infinite pixels are left out
 * of the averages. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_overlay_write(const char *path, const struct ps_image *image, const struct ps_result *result,
                     struct ps_error *error);

#endif
