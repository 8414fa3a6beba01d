/* Files of extracted particles (output.extract): NAME_particles.mrcs, the stack, and
 * NAME_particles.star, which names its images for RELION, with an optics group.
 *
 * The STAR file exists for every outcome except a failure; without picks it has no rows, and there
 * is no stack. It is written last and removed first, so what it names is always complete and of the
 * same picks.
 */
#ifndef PS_PICKS_WRITE_PARTICLES_H
#define PS_PICKS_WRITE_PARTICLES_H

#include "config/config.h"
#include "picks/picks.h"

/* Extracts the particles of a micrograph into the files of its stem (names.h); earlier ones must
 * have been removed. PS_E_INPUT: its pixels are not there, boxes of this size are impossible, or a
 * STAR file cannot hold a name; PS_E_SYSTEM, PS_E_NOMEM. */
int ps_particles_write(const struct ps_config *config, const char *stem,
                       const struct ps_pick_file *file, struct ps_error *error);

#endif
