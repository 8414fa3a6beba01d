/* A small picture of a micrograph, for viewers: grey, 8 bits, PNG.
 *
 * It is what an overlay (overlay.h) shows under its circles: the micrograph averaged over square
 * bins so that its longer side is at most PS_PREVIEW_SIDE, smoothed and stretched (plane.h), the
 * row that comes first (y = 0) at the top. A point x, y of the micrograph is at
 * (x + 0.5) / bin - 0.5 of the picture. The thumbnail is the same picture, made smaller once more.
 */
#ifndef PS_PICTURE_PREVIEW_H
#define PS_PICTURE_PREVIEW_H

#include "pickstream.h"

#include <stdint.h>

enum { PS_PREVIEW_SIDE = 1024, PS_THUMBNAIL_SIDE = 160 }; /* px */

struct ps_preview {
    int width, height;  /* px */
    int bin;            /* pixels of the micrograph along a side of one of these */
    uint8_t *png;       /* owned */
    size_t size;        /* bytes */
    uint8_t *thumbnail; /* PNG too, owned */
    size_t thumbnail_size;
};

/* How many pixels of a micrograph of this shape are a pixel of its preview. */
int ps_preview_bin(int width, int height);

/* Makes both. `diameter` of the particle in px, 0 where it is not known. PS_E_NOMEM, PS_E_SYSTEM.
 */
int ps_preview_make(const struct ps_image *image, double diameter, struct ps_preview *ret_preview,
                    struct ps_error *error);
/* All zeros are fine too. */
void ps_preview_done(struct ps_preview *preview);

#endif
