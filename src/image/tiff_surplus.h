/* Images of a TIFF that its directories do not describe; used only by tiff.c.
 *
 * Classic TIFF cannot address more than 4 GiB. ImageJ and others therefore write a large stack with
 * one directory, for its first image, and the pixels of all others behind it. Their number is in
 * the description, or follows from the length of the file. Without a check such a movie would look
 * like one micrograph.
 */
#ifndef PS_IMAGE_TIFF_SURPLUS_H
#define PS_IMAGE_TIFF_SURPLUS_H

#include "image/micrograph.h"

#include <tiffio.h>

/* What the directories of a file describe. */
struct ps_tiff_content {
    uint64_t frames;
    uint64_t pixels;       /* of a frame */
    uint64_t frame_bytes;  /* the first frame's strips or tiles in the file */
    uint64_t stored_bytes; /* those of all pages */
    bool compressed;       /* frames differ in length */
};

/* Bytes of the strips or tiles of the current page in the file; UINT64_MAX if they exceed 64 bits.
 */
uint64_t ps_tiff_stored_bytes(TIFF *tif);

/* The number of images that a description declares, 0 if it does not say. Knows those of ImageJ,
 * OME-XML and tifffile. `pixels` is the number of pixels of one image. */
uint64_t ps_tiff_declared_images(const char *description, uint64_t pixels);

/* Compares the content with the description of the first page and with the length of the file.
 * PS_E_INPUT: a movie with frames outside its directories. `ret_warning` (`size` bytes) gets the
 * doubt if it is not certainly one, else "". Tags, thumbnails, and data shorter than a frame that
 * programs append are not surplus. Leaves another page current. PS_E_SYSTEM: cannot read. */
int ps_tiff_check_surplus(TIFF *tif, const struct ps_source *source,
                          const struct ps_tiff_content *content, char *ret_warning, size_t size,
                          struct ps_error *error);

#endif
