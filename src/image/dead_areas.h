/* Areas of a micrograph without image data: constant or missing pixels, and lines that repeat their
 * neighbour, as a frame, a strip or a block. Motion correction, padding, and files that lost a part
 * leave them. */
#ifndef PS_IMAGE_DEAD_AREAS_H
#define PS_IMAGE_DEAD_AREAS_H

#include "pickstream.h"

/* Side of a tile, px. */
enum { PS_DEAD_TILE = 4 };

/* A map of tiles from pixel (0, 0) on; the last column and row of tiles may be cut by the edge. */
struct ps_dead_areas {
    int columns;
    int rows;
    size_t count; /* of dead tiles; 0: `dead` may be NULL */
    unsigned char *dead;
};

/* Finds dead areas: tiles whose rows or whose columns are constant up to a fiftieth of what
 * neighbouring pixels of this micrograph differ by, in blocks of four by four tiles or in strips of
 * sixteen. Pixels that are not finite equal any. An area is widened by a tile. A micrograph
 * that is dead everywhere has no dead areas: it is constant, which the upload reports. PS_E_NOMEM;
 * free with ps_dead_areas_done(). */
int ps_dead_areas_find(const struct ps_image *image, int threads, struct ps_dead_areas *ret_areas,
                       struct ps_error *error);
void ps_dead_areas_done(struct ps_dead_areas *areas);

/* Whether the pixel is in a dead area. */
bool ps_dead_areas_hold(const struct ps_dead_areas *areas, int x, int y);

/* Lines from the left, right, top and bottom edge on that are dead from end to end, px. */
void ps_dead_areas_margins(const struct ps_dead_areas *areas, const struct ps_image *image,
                           int ret_margins[4]);

/* The map of the micrograph binned by `bin`, width x height bytes: 1 where a pixel of a dead area
 * is part of the binned pixel. Returns how many are 1. */
size_t ps_dead_areas_bin(const struct ps_dead_areas *areas, int bin, int width, int height,
                         unsigned char *ret_dead);

#endif
