#include "picture/preview.h"

#include "base/error.h"
#include "picture/plane.h"
#include "picture/png.h"

#include <stdlib.h>

int ps_preview_bin(int width, int height)
{
    return ps_plane_bin_size(width, height, PS_PREVIEW_SIDE);
}

/* Makes a PNG of the plane, which is modified. */
static int encode(struct ps_plane *plane, double diameter, uint8_t **ret_png, size_t *ret_size,
                  struct ps_error *error)
{
    size_t count = (size_t)plane->width * (size_t)plane->height;
    uint8_t *grey = malloc(count);
    if (!grey)
        return ps_fail_memory(error, count, "a picture");
    int status = ps_plane_grey(plane, diameter, grey, error);
    if (status == 0) {
        const struct ps_png png = {plane->width, plane->height, PS_PNG_GREY, grey};
        status = ps_png_encode(&png, ret_png, ret_size, error);
    }
    free(grey);
    return status;
}

int ps_preview_make(const struct ps_image *image, double diameter, struct ps_preview *ret_preview,
                    struct ps_error *error)
{
    struct ps_plane large, small = {0};
    int status = ps_plane_bin(image, PS_PREVIEW_SIDE, &large, error);
    if (status)
        return status;
    struct ps_preview preview = {.width = large.width, .height = large.height, .bin = large.bin};
    status = encode(&large, diameter, &preview.png, &preview.size, error);
    if (status == 0) {
        /* The plane is smoothed and has no outliers now. */
        const struct ps_image again = {.pixels = large.pixels,
                                       .type = PS_PIXEL_F32,
                                       .width = large.width,
                                       .height = large.height};
        status = ps_plane_bin(&again, PS_THUMBNAIL_SIDE, &small, error);
    }
    if (status == 0)
        status = encode(&small, diameter / large.bin, &preview.thumbnail, &preview.thumbnail_size,
                        error);
    ps_plane_done(&large);
    ps_plane_done(&small);
    if (status)
        ps_preview_done(&preview);
    else
        *ret_preview = preview;
    return status;
}

void ps_preview_done(struct ps_preview *preview)
{
    free(preview->png);
    free(preview->thumbnail);
    *preview = (struct ps_preview){0};
}
