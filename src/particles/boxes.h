/* Particles cut out of a micrograph, as relion_preprocess 3.1 does it (measured):
 *
 *   box     `side` px of the micrograph around a pick, whose coordinates are cut to whole pixels:
 *           they are those of pixel side/2 of the box. Every pick is extracted. Beyond an edge of
 *           the micrograph its last pixels are repeated.
 *   binned  to `size` px, by Fourier cropping (crop.h)
 *   normalised  the plane that fits the background best is subtracted, then its mean; divided by
 *           its standard deviation. The background is what is farther than `radius` from pixel
 *           size/2.
 *   inverted
 *
 * Pixels that are not finite numbers have the mean of the box. A box whose background is constant
 * is not divided.
 */
#ifndef PS_PARTICLES_BOXES_H
#define PS_PARTICLES_BOXES_H

#include "config/config.h"
#include "pickstream.h"

#include <stdbool.h>

enum { PS_MIN_BOX = 8, PS_MAX_BOX = 4096 /* px */ };

struct ps_box_shape {
    int side;          /* px of the micrograph, even */
    int size;          /* px of a box as it is stored, even */
    int radius;        /* px of a stored box */
    bool invert;       /* dark particles become bright ones */
    double pixel_size; /* of a stored box, angstrom; 0: unknown */
};

/* Finds the shape of a micrograph's boxes: output.box, or 1.5 diameters, binned to `bin` px, if
 * that is not 0 and less. PS_E_INPUT: the box is too small or too large, or is in A and the pixel
 * size is unknown. */
int ps_box_shape_find(const struct ps_config *config, const struct ps_result *result, int bin,
                      struct ps_box_shape *ret_shape, struct ps_error *error);

/* Cuts boxes of one shape on up to `threads` threads (0: all cores). */
struct ps_boxes;
int ps_boxes_new(const struct ps_box_shape *shape, int threads, struct ps_boxes **ret_boxes,
                 struct ps_error *error);   /* PS_E_NOMEM */
void ps_boxes_free(struct ps_boxes *boxes); /* accepts NULL */

/* Stores the boxes of `count` picks of an image one after the other, size * size floats each. The
 * result does not depend on the number of threads. */
void ps_boxes_cut(struct ps_boxes *boxes, const struct ps_image *image, const struct ps_pick *picks,
                  size_t count, float *ret_pixels);

#endif
