/* RELION's list of micrographs: micrographs.star, micrographs_ctf.star and the like, of version 3.0
 * and later. A table with _rlnMicrographName, and the pixel size of each micrograph: that of its
 * optics group (from 3.1 on), or from _rlnDetectorPixelSize and _rlnMagnification.
 *
 * The names are paths from RELION's project. RELION finds picks again by these texts, so what is
 * written for it must repeat them byte for byte.
 */
#ifndef PS_PICKS_MICROGRAPH_LIST_H
#define PS_PICKS_MICROGRAPH_LIST_H

#include "pickstream.h"

#include <stddef.h>

struct ps_listed_micrograph {
    char *name;
    double pixel_size; /* angstrom; 0: unknown */
};

struct ps_micrograph_list {
    struct ps_listed_micrograph *items; /* in the order of the file, each name once in a row */
    size_t count;
};

/* Reads a list. PS_E_INPUT: not a list of micrographs, or a value is wrong; PS_E_SYSTEM,
 * PS_E_NOMEM. */
int ps_micrograph_list_read(const char *path, struct ps_micrograph_list *ret_list,
                            struct ps_error *error);
void ps_micrograph_list_done(struct ps_micrograph_list *list);

#endif
