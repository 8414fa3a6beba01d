/* The refinement of the `adaptive` profile: the best hypothesis of the search on a fine field, and
 * against noise again. */
#ifndef PS_PICKER_ADAPTIVE_REFINE_H
#define PS_PICKER_ADAPTIVE_REFINE_H

#include "picker/adaptive_run.h"

/* The best hypothesis again, at full resolution, as run->now: its candidates are where it begins.
 * Those that stand out are among them again, but had no part in the templates of a clean one. Its
 * null is what its templates find in noise. PS_E_INPUT: no template has any structure. */
int ps_adaptive_refine(struct ps_adaptive_run *run);

/* Centres of and responses at the candidates of run->now, from the field as it is. PS_E_NOMEM,
 * PS_E_DEVICE. */
int ps_adaptive_describe_candidates(struct ps_adaptive_run *run);

#endif
