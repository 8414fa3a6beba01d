/* Borders of a micrograph that hold no image: a constant frame, or rows and columns that repeat the
 * outermost one that is real, as motion correction and cropping leave them. */
#ifndef PS_IMAGE_MARGINS_H
#define PS_IMAGE_MARGINS_H

#include "formulas/margins.h"
#include "pickstream.h"

/* Lines from an edge on that hardly differ from the next one inwards: by a tenth of what lines in
 * the middle differ, at most. Fewer than three lines are no margin, nor is more than half of the
 * image. Non-finite pixels differ from nothing. */
void ps_margins_find(const struct ps_image *image, struct ps_margins *ret_margins);

#endif
