/* The scale of a micrograph, as one line for users: a wrong pixel size or a diameter in the wrong
 * unit is seen at once. */
#ifndef PS_PICKER_SCALE_H
#define PS_PICKER_SCALE_H

#include "config/config.h"

enum { PS_SCALE_TEXT = 128 };

/* The value of header_pixel_size before a micrograph was read. */
static const double PS_SCALE_NOT_READ = -1;

/* "pixel size 4 A (header), diameter 110 A = 27.5 px": with the pixel size in the header, in
 * angstrom, 0 if there is none. Returns `ret_text`. */
const char *ps_scale_text(const struct ps_config *config, double header_pixel_size,
                          char ret_text[PS_SCALE_TEXT]);

/* The same with a pixel size from elsewhere: `source` is named instead of the header. */
const char *ps_scale_text_of(const struct ps_config *config, double read_pixel_size,
                             const char *source, char ret_text[PS_SCALE_TEXT]);

#endif
