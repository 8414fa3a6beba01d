#include "picture/overlay.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "picture/plane.h"
#include "picture/png.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const double line_width = 2; /* px of the picture */

struct picture {
    int width, height;
    uint8_t *pixels; /* red, green, blue */
};

/* ---- picks ---------------------------------------------------------------------------------- */

/* From blue to yellow; `t` from 0 to 1. The middle of viridis with a lighter dark end, because the
 * circles are on grey, not on white. */
static void colour_of(double t, double ret_rgb[3])
{
    static const double anchors[][3] = {
        {64, 110, 235}, {32, 160, 190}, {60, 190, 120}, {160, 218, 57}, {253, 231, 37}};
    enum { LAST = sizeof anchors / sizeof *anchors - 1 };
    double at = fmin(fmax(t, 0), 1) * LAST;
    int low = at >= LAST ? LAST - 1 : (int)at;
    for (int i = 0; i < 3; i++)
        ret_rgb[i] = anchors[low][i] + (at - low) * (anchors[low + 1][i] - anchors[low][i]);
}

static void blend(struct picture *picture, int x, int y, const double rgb[3], double cover)
{
    uint8_t *pixel = picture->pixels + 3 * ((size_t)y * (size_t)picture->width + (size_t)x);
    for (int i = 0; i < 3; i++)
        pixel[i] = (uint8_t)lround(pixel[i] + cover * (rgb[i] - pixel[i]));
}

/* Pixels [*ret_first, *ret_last] that a span touches, within [0, count). */
static void clip_span(double low, double high, int count, int *ret_first, int *ret_last)
{
    *ret_first = (int)fmax(floor(low), 0);
    *ret_last = (int)fmin(ceil(high), count - 1);
}

static void draw_circle(struct picture *picture, double x, double y, double radius,
                        const double rgb[3])
{
    double reach = radius + line_width;
    int left, right, top, bottom;
    clip_span(x - reach, x + reach, picture->width, &left, &right);
    clip_span(y - reach, y + reach, picture->height, &top, &bottom);
    for (int row = top; row <= bottom; row++) {
        for (int column = left; column <= right; column++) {
            /* The part of the pixel that the line covers, from the distance of its centre */
            double off = fabs(hypot(column - x, row - y) - radius);
            double cover = fmin(line_width / 2 + 0.5 - off, 1);
            if (cover > 0)
                blend(picture, column, row, rgb, cover);
        }
    }
}

static void draw_picks(struct picture *picture, const struct ps_result *result, int bin)
{
    double low = INFINITY;
    double high = -INFINITY;
    for (size_t i = 0; i < result->count; i++) {
        low = fmin(low, (double)result->picks[i].score);
        high = fmax(high, (double)result->picks[i].score);
    }
    double radius = fmax(result->diameter / 2 / bin, line_width);
    /* From the last, so that the better of two crossing circles is on top. */
    for (size_t i = result->count; i-- > 0;) {
        const struct ps_pick *pick = &result->picks[i];
        double x = ((double)pick->x + 0.5) / bin - 0.5;
        double y = ((double)pick->y + 0.5) / bin - 0.5;
        if (!isfinite(x) || !isfinite(y))
            continue;
        double rgb[3];
        colour_of(high > low ? ((double)pick->score - low) / (high - low) : 1, rgb);
        draw_circle(picture, x, y, radius, rgb);
    }
}

/* ---- grey ----------------------------------------------------------------------------------- */

static int draw_grey(struct ps_plane *plane, double diameter, struct picture *picture,
                     struct ps_error *error)
{
    size_t count = (size_t)plane->width * (size_t)plane->height;
    uint8_t *grey = malloc(count);
    if (!grey)
        return ps_fail_memory(error, count, "a picture");
    int code = ps_plane_grey(plane, diameter, grey, error);
    for (size_t i = 0; code == 0 && i < count; i++)
        memset(picture->pixels + 3 * i, grey[i], 3);
    free(grey);
    return code;
}

static int write_picture(FILE *stream, const void *context, struct ps_error *error)
{
    const struct picture *picture = context;
    const struct ps_png png = {picture->width, picture->height, PS_PNG_RGB, picture->pixels};
    return ps_png_write(stream, &png, error);
}

int ps_overlay_write(const char *path, const struct ps_image *image, const struct ps_result *result,
                     struct ps_error *error)
{
    struct ps_plane plane;
    int code = ps_plane_bin(image, PS_OVERLAY_SIDE, &plane, error);
    if (code != 0)
        return code;
    struct picture picture = {.width = plane.width, .height = plane.height};
    size_t bytes = 3 * (size_t)plane.width * (size_t)plane.height;
    picture.pixels = malloc(bytes);
    if (!picture.pixels)
        code = ps_fail_memory(error, bytes, "a picture");
    if (code == 0)
        code = draw_grey(&plane, result->diameter, &picture, error);
    if (code == 0) {
        draw_picks(&picture, result, plane.bin);
        code = ps_file_write_atomically(path, write_picture, &picture, error);
    }
    free(picture.pixels);
    ps_plane_done(&plane);
    return code;
}
