/* The properties of a TIFF page, from its tags; used only by tiff.c. */
#ifndef PS_IMAGE_TIFF_PAGE_H
#define PS_IMAGE_TIFF_PAGE_H

#include "image/micrograph.h"

#include <tiffio.h>

/* A cell is a strip or a tile: the unit that libtiff decodes. */
struct ps_tiff_page {
    uint32_t width;  /* px */
    uint32_t height; /* px */
    uint16_t bits;   /* a sample */
    bool packed;     /* 4-bit pixels, low half first, although the tags say 8 bits */
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

/* True if the current page is a frame, not a thumbnail or a mask. */
bool ps_tiff_is_frame(TIFF *tif);

/* Reads the tags of the current page. PS_E_INPUT: unsupported compression, sample type or colours,
 * or a size outside the options. */
int ps_tiff_page_inspect(TIFF *tif, const struct ps_read_options *options,
                         struct ps_tiff_page *ret_page, struct ps_error *error);

/* Checks the position of each strip or tile of the current page against the `size` of the file in
 * bytes. PS_E_INPUT: one is missing, too short or beyond the end. */
int ps_tiff_page_check_cells(TIFF *tif, const struct ps_tiff_page *page, uint64_t size,
                             struct ps_error *error);

/* The end of the last strip or tile of the current page in the file; UINT64_MAX if it exceeds 64
 * bits. */
uint64_t ps_tiff_page_end(TIFF *tif);

/* "strip" or "tile". */
const char *ps_tiff_cell_name(const struct ps_tiff_page *page);

/* Bytes of a decoded cell: the last strip can be shorter, tiles always have the full size. */
size_t ps_tiff_cell_bytes(const struct ps_tiff_page *page, uint32_t cell);

/* Converts `count` decoded samples to pixels of page->type. 4-bit samples begin at a byte. */
void ps_tiff_convert(const struct ps_tiff_page *page, const void *samples, size_t count,
                     void *pixels);

#endif
