/* A small image of a micrograph, for viewers: grey, 8 bits, PNG.
 *
 * It is what an overlay (overlay.h) shows under its circles: the micrograph averaged over square
 * bins so that its longer side is at most PS_PREVIEW_SIDE, smoothed and stretched (plane.h), the
 * first row (y = 0) at the top. A point x, y of the micrograph is at (x + 0.5) / bin - 0.5 of the
 * image. The thumbnail is the same image, reduced further.
 */
#ifndef PS_PICTURE_PREVIEW_H
#define PS_PICTURE_PREVIEW_H

#include "pickstream.h"

#include <stdint.h>

enum { PS_PREVIEW_SIDE = 1024, PS_THUMBNAIL_SIDE = 160 }; /* px */

struct ps_preview {
    int width, height;  /* px */
    int bin;            /* pixels of the micrograph along a side of a pixel of the preview */
    uint8_t *png;       /* owned */
    size_t size;        /* bytes */
    uint8_t *thumbnail; /* PNG too, owned */
    size_t thumbnail_size;
};

/* The bin of the preview of a micrograph of this shape. */
int ps_preview_bin(int width, int height);

/* Makes preview and thumbnail. `diameter` of the particle in px, 0 if unknown. PS_E_NOMEM,
 * PS_E_SYSTEM. */
int ps_preview_make(const struct ps_image *image, double diameter, struct ps_preview *ret_preview,
                    struct ps_error *error);
/* Accepts all zeros. */
void ps_preview_done(struct ps_preview *preview);

#endif
