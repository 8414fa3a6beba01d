/* The profiles (profile_aspire.c, profile_adaptive.c). */
#ifndef PS_PICKER_PROFILE_H
#define PS_PICKER_PROFILE_H

#include "picker/pick_run.h"

/* Each runs the stages of a micrograph. Both leave a result that is whole but for the order and the
 * selection of picks. */
int ps_picking_aspire(struct ps_picking *base);
int ps_picking_adaptive(struct ps_picking *base);

#endif
