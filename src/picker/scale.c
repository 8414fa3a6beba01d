#include "picker/scale.h"

#include <stdio.h>

const char *ps_scale_text(const struct ps_config *config, double header_pixel_size,
                          char ret_text[PS_SCALE_TEXT])
{
    return ps_scale_text_of(config, header_pixel_size, "header", ret_text);
}

const char *ps_scale_text_of(const struct ps_config *config, double read_pixel_size,
                             const char *source, char ret_text[PS_SCALE_TEXT])
{
    const struct ps_length *diameter = &config->picker.particle_diameter;
    const bool in_px = diameter->unit == PS_UNIT_PIXEL;
    const bool configured = config->picker.pixel_size > 0;
    const double pixel_size = configured ? config->picker.pixel_size : read_pixel_size;
    char size[48] = "unknown", other[32] = "";
    if (pixel_size > 0) {
        (void)snprintf(size, sizeof size, "%.5g A (%s)", pixel_size,
                       configured ? "configuration" : source);
        (void)snprintf(other, sizeof other, " = %.5g %s",
                       in_px ? diameter->value * pixel_size : diameter->value / pixel_size,
                       in_px ? "A" : "px");
    } else if (pixel_size < 0) {
        (void)snprintf(size, sizeof size, "of each header");
    }
    (void)snprintf(ret_text, PS_SCALE_TEXT, "pixel size %s, diameter %.5g %s%s", size,
                   diameter->value, in_px ? "px" : "A", other);
    return ret_text;
}
