/* What a page of a TIFF holds, from its tags; for tiff.c only. */
#ifndef PS_IMAGE_TIFF_PAGE_H
#define PS_IMAGE_TIFF_PAGE_H

#include "image/micrograph.h"

#include <tiffio.h>

/* A cell is a strip or a tile: what libtiff decodes at once. */
struct ps_tiff_page {
    uint32_t width;  /* px */
    uint32_t height; /* px */
    uint16_t bits;   /* a sample */
    bool packed;     /* of 4 bits, the low half of a byte first, in a file that says 8 */
    uint16_t sample_format;
    uint16_t compression;
    uint16_t photometric;
    enum ps_pixel type; /* in memory */
    double pixel_size;  /* angstrom, 0 if unknown */
    bool tiled;
    uint32_t cell_width;  /* px */
    uint32_t cell_height; /* px */
    uint32_t cells;
    size_t cell_row_bytes; /* of a decoded cell */
    size_t cell_bytes;     /* of a whole one */
};

/* Whether the current page is a frame, not a thumbnail or a mask. */
bool ps_tiff_is_frame(TIFF *tif);

/* Reads the tags of the current page and refuses (PS_E_INPUT) what cannot be read: compressions,
 * sample types, colours, sizes outside the options. */
int ps_tiff_page_inspect(TIFF *tif, const struct ps_read_options *options,
                         struct ps_tiff_page *ret_page, struct ps_error *error);

/* Compares the place of each strip or tile of the current page with the `size` of the file in
 * bytes. PS_E_INPUT: one is missing, too short or behind the end. */
int ps_tiff_page_check_cells(TIFF *tif, const struct ps_tiff_page *page, uint64_t size,
                             struct ps_error *error);

/* Where the last byte of the strips or tiles of the current page lies, plus one; nonsense that
 * reaches beyond 64 bits counts as the end of all files. */
uint64_t ps_tiff_page_end(TIFF *tif);

/* "strip" or "tile". */
const char *ps_tiff_cell_name(const struct ps_tiff_page *page);

/* Bytes of a decoded cell: the last strip may be short, tiles are always whole. */
size_t ps_tiff_cell_bytes(const struct ps_tiff_page *page, uint32_t cell);

/* Turns `count` samples, as decoded, into pixels of page->type. 4-bit samples begin at a byte. */
void ps_tiff_convert(const struct ps_tiff_page *page, const void *samples, size_t count,
                     void *pixels);

#endif
