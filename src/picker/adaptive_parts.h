/* Micrographs with a great many particles: hypotheses are compared and refined in a part of them,
 * and what comes of that is applied to the whole, tile by tile. So time and memory of the search do
 * not grow with the micrograph, and memory of the rest does not. */
#ifndef PS_PICKER_ADAPTIVE_PARTS_H
#define PS_PICKER_ADAPTIVE_PARTS_H

#include "picker/adaptive_run.h"

/* Whether the micrograph is so large for particles of this diameter, px. */
bool ps_adaptive_has_parts(const struct ps_adaptive_rules *rules, double diameter,
                           const struct ps_image *image);

/* The largest tile of such a micrograph with its margins, px; the field of a tile is binned by
 * `bin`. */
void ps_adaptive_tile(const struct ps_adaptive_rules *rules, double diameter,
                      const struct ps_image *image, int bin, int *ret_width, int *ret_height);

/* The mask of the whole micrograph, then the search in one part after the other until one is clear,
 * the best hypothesis of all in run->best, and its part in run->where. PS_E_INPUT, PS_E_NOMEM,
 * PS_E_DEVICE. */
int ps_adaptive_search_parts(struct ps_adaptive_run *run);

/* After the refinement in a part: the candidates, centres and responses of the whole micrograph
 * take the place of the part's. */
int ps_adaptive_apply(struct ps_adaptive_run *run);

#endif
