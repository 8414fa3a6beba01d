/* The search of the `adaptive` profile: hypotheses on a coarse field, held against noise. */
#ifndef PS_PICKER_ADAPTIVE_SEARCH_H
#define PS_PICKER_ADAPTIVE_SEARCH_H

#include "picker/adaptive_run.h"

/* Reduces the micrograph to the coarse field and leaves the best hypothesis in run->best, without
 * candidates if there is none.
 *
 * Each hypothesis is held against two nulls in each field of noise: what its templates find there,
 * and what templates find that were made there the same way. The first is the noise that particles
 * have to stand out from; the second is what a search makes of nothing. Those that are far behind
 * after the first match are not held against more.
 *
 * Contaminants too small for the mask may be so much clearer than particles that templates are made
 * of them. Where the best hypothesis has candidates that stand out, another search excludes such
 * candidates, and takes its place if it finds more. The field is noise afterwards. */
int ps_adaptive_search(struct ps_adaptive_run *run);

#endif
