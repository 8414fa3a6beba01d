/* Borders of a micrograph without image data: a constant frame, or repeated copies of the outermost
 * row or column, as motion correction and cropping leave them. */
#ifndef PS_IMAGE_MARGINS_H
#define PS_IMAGE_MARGINS_H

#include "formulas/margins.h"
#include "pickstream.h"

/* Counts lines at each edge that differ from their inner neighbour by at most a tenth of the
 * difference in the middle. Fewer than three lines, or more than half of the image, do not count as
 * a margin. Non-finite pixels count as equal. */
void ps_margins_find(const struct ps_image *image, struct ps_margins *ret_margins);

#endif
