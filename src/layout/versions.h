/* The versions of one exposure: averages of the same movie with and without dose weighting.
 *
 * Of these the first that exists is picked, and the others are left out (PS_RULE_VERSION):
 *
 *     x_DW, x_doseweighted     MotionCor2, MotionCor3; cryoSPARC (x is y_patch_aligned)
 *     x_DWS                    MotionCor2: of fewer frames
 *     x                        in RELION dose-weighted, in MotionCor not
 *     x_noDW                   RELION
 *
 * and of SIMPLE's x_intg and x_forctf the first. Versions have the same directory and extension;
 * but x with another extension, the movie, also gives way to a version x_DW.mrc.
 *
 * Versions are written one after the other. ps_version_wait() says how long to wait for a better
 * one; what is decided by then stays, so that an exposure never has two outcomes.
 */
#ifndef PS_LAYOUT_VERSIONS_H
#define PS_LAYOUT_VERSIONS_H

#include "layout/layout.h"

#include <limits.h>

/* True if a better version of the file at `path` exists which the rules do not leave out; writes
 * its path. */
bool ps_version_better(const struct ps_config *config, const char *path, size_t below,
                       char ret_path[PATH_MAX]);

/* Calls `each` with the path of every other version of the file at `path`, existing or not, until
 * it returns true. Returns whether it did. Nothing for a name without rules. */
bool ps_version_each(const struct ps_config *config, const char *path,
                     bool (*each)(void *context, const char *path), void *context);

enum ps_version_wait {
    PS_VERSION_BEST,    /* there is no better version, or no rule */
    PS_VERSION_PLAIN,   /* nothing in the name says whether there will be one */
    PS_VERSION_PARTNER, /* a name that has a better partner as a rule: x_noDW */
};
enum ps_version_wait ps_version_wait(const struct ps_config *config, const char *path);

#endif
