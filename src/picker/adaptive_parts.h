/* Micrographs with a great many particles: hypotheses are compared and refined in a part of them,
 * and what comes of that is applied to the whole, tile by tile. So time and memory of the search do
 * not grow with the micrograph, and memory of the rest does not. */
#ifndef PS_PICKER_ADAPTIVE_PARTS_H
#define PS_PICKER_ADAPTIVE_PARTS_H

#include "picker/adaptive_run.h"

/* Whether the micrograph is so large. */
bool ps_adaptive_has_parts(const struct ps_adaptive_run *run);

/* The mask of the whole micrograph, then the search in one part after the other until a hypothesis
 * is clear, which is run->best, in the part run->where. If none is clear in a few parts, the run is
 * as before. PS_E_INPUT, PS_E_NOMEM, PS_E_DEVICE. */
int ps_adaptive_search_parts(struct ps_adaptive_run *run, bool *ret_clear);

/* After the refinement in a part: the candidates, centres and responses of the whole micrograph
 * take the place of the part's. */
int ps_adaptive_apply(struct ps_adaptive_run *run);

#endif
