/* 8-bit PNG files. */
#ifndef PS_PICTURE_PNG_H
#define PS_PICTURE_PNG_H

#include "pickstream.h"

#include <stdint.h>
#include <stdio.h>

enum ps_png_colour { PS_PNG_GREY = 1, PS_PNG_RGB = 3 }; /* bytes a pixel */

struct ps_png {
    int width, height; /* px */
    enum ps_png_colour colour;
    const uint8_t *pixels; /* rows without padding, from the top */
};

/* Writes to a stream; the caller checks the stream for errors. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_png_write(FILE *stream, const struct ps_png *source, struct ps_error *error);

/* Makes the file in memory, to be freed. PS_E_NOMEM, PS_E_SYSTEM. */
int ps_png_encode(const struct ps_png *source, uint8_t **ret_bytes, size_t *ret_size,
                  struct ps_error *error);

#endif
