/* Binary images: holes, erosion by a disk, connected regions.
 *
 * A mask is one byte a pixel, row-major; a pixel is set if it is not 0. All functions need time and
 * memory linear in the number of pixels, independent of the radius: erosion uses the exact
 * Euclidean distance transform (Meijster, Roerdink, Hesselink 2000), regions use union-find over
 * runs.
 */
#ifndef PS_IMAGE_BINARY_H
#define PS_IMAGE_BINARY_H

#include "pickstream.h"

#include <stdint.h>

/* A run of set pixels: row, columns [begin, end), and the region it belongs to. */
struct ps_run {
    int row;
    int begin;
    int end;
    int region;
};

/* The regions of a mask, numbered from 0 in the order in which a row-by-row scan meets them. */
struct ps_regions {
    struct ps_run *runs; /* in scan order */
    size_t run_count;
    size_t region_count;
};

enum ps_connectivity { PS_CONNECT_4, PS_CONNECT_8 };

/* Finds the regions of the pixels of `mask` that are set (or, if `background`, of those that are
 * not). `stride` is the distance between rows in bytes. PS_E_NOMEM. */
int ps_regions_find(const uint8_t *mask, int width, int height, size_t stride, bool background,
                    enum ps_connectivity connectivity, struct ps_regions *ret_regions,
                    struct ps_error *error);
void ps_regions_done(struct ps_regions *regions);

/* Area and first moments of each region, `regions->region_count` of them. */
struct ps_region {
    int64_t area;       /* px */
    int64_t row_sum;    /* of the rows of its pixels */
    int64_t column_sum; /* of their columns */
};
void ps_regions_measure(const struct ps_regions *regions, struct ps_region *ret_measures);

/* Fills every hole: background that is not 4-connected to the border. `*ret_set` is the number of
 * set pixels afterwards. PS_E_NOMEM. */
int ps_binary_fill_holes(uint8_t *mask, int width, int height, size_t *ret_set,
                         struct ps_error *error);

/* Computes for every pixel the number of radii r, of the `count` ascending ones, for which the disk
 * x^2 + y^2 <= r^2 around it contains only set pixels; pixels outside the image are unset. So level
 * k is inside the erosions by the first k radii. PS_E_NOMEM. */
int ps_binary_erosion_levels(const uint8_t *mask, int width, int height, const int *radii,
                             int count, int threads, uint8_t *ret_levels, struct ps_error *error);

#endif
