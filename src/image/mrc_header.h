/* The header of an MRC file that pickstream writes (MRC2014): one image, or a stack of them. */
#ifndef PS_IMAGE_MRC_HEADER_H
#define PS_IMAGE_MRC_HEADER_H

#include <stdint.h>

enum { PS_MRC_HEADER_BYTES = 1024 };

struct ps_mrc_header {
    int width;    /* px */
    int height;   /* px */
    int sections; /* images */
    int mode;
    double pixel_size; /* angstrom; 0: unknown */
    double low, high, mean, deviation;
};

/* Writes PS_MRC_HEADER_BYTES bytes; several sections are a stack of images, not a volume. */
void ps_mrc_header_fill(const struct ps_mrc_header *header, uint8_t *ret_bytes);

#endif
