/* Functions for all readers: allocation of a micrograph, and common checks. */
#include "image/reader.h"

#include "base/error.h"
#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ps_micrograph_new(const char *format, int width, int height, enum ps_pixel type,
                      struct ps_micrograph **ret_micrograph, struct ps_error *error)
{
    struct ps_micrograph *micrograph = calloc(1, sizeof *micrograph);
    if (!micrograph)
        return ps_fail_memory(error, sizeof *micrograph, "a micrograph");
    micrograph->format = format;
    micrograph->frames = 1;
    micrograph->image = (struct ps_image){.type = type, .width = width, .height = height};
    *ret_micrograph = micrograph;
    return 0;
}

int ps_micrograph_allocate(struct ps_micrograph *micrograph, const struct ps_read_options *options,
                           struct ps_error *error)
{
    const struct ps_image *image = &micrograph->image;
    const size_t bytes = (size_t)image->width * (size_t)image->height * ps_pixel_bytes(image->type);
    int code = options->admit ? options->admit(options->admit_context, image, error) : 0;
    if (!code) {
        micrograph->pixels = ps_memory_new(bytes);
        if (!micrograph->pixels)
            code = ps_fail_memory(error, bytes, "the pixels of a micrograph");
    }
    if (code) {
        ps_micrograph_free(micrograph);
        return code;
    }
    micrograph->image.pixels = micrograph->pixels;
    return 0;
}

void ps_micrograph_free(struct ps_micrograph *micrograph)
{
    if (micrograph)
        free(micrograph->pixels);
    free(micrograph);
}

void ps_micrograph_warn(struct ps_micrograph *micrograph, const char *format, ...)
{
    size_t used = strlen(micrograph->warning);
    if (used)
        used +=
            (size_t)snprintf(micrograph->warning + used, sizeof micrograph->warning - used, "; ");
    if (used >= sizeof micrograph->warning)
        return;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(micrograph->warning + used, sizeof micrograph->warning - used, format,
                    arguments);
    va_end(arguments);
}

int ps_frame_check(uint64_t width, uint64_t height, const struct ps_read_options *options,
                   struct ps_error *error)
{
    if (width == 0 || height == 0)
        return ps_fail(error, PS_E_INPUT,
                       "corrupt header: %" PRIu64 " x %" PRIu64 " px, at least 1 x 1 expected",
                       width, height);
    if (width > INT_MAX || height > INT_MAX || width > options->max_pixels / height)
        return ps_fail(error, PS_E_INPUT,
                       "%" PRIu64 " x %" PRIu64 " px, more than the %" PRIu64
                       " pixels that compute.max_pixels allows",
                       width, height, options->max_pixels);
    return 0;
}

int ps_movie_check(uint64_t frames, const struct ps_read_options *options, struct ps_error *error)
{
    if (frames > 1 && options->movies != PS_MOVIES_SUM)
        return ps_fail(error, PS_E_INPUT,
                       "movie of %" PRIu64 " frames: skipped; with input.movies = sum they would "
                       "be added up",
                       frames);
    return 0;
}

double ps_pixel_size_sane(double angstrom)
{
    return angstrom >= 0.05 && angstrom <= 200 ? angstrom : 0; /* not for NaN */
}
