#include "picture/png.h"

#include "base/error.h"

#include <png.h>
#include <setjmp.h>
#include <stdlib.h>

static void failed(png_structp png, png_const_charp message)
{
    (void)ps_fail(png_get_error_ptr(png), PS_E_SYSTEM, "cannot write: PNG: %s", message);
    png_longjmp(png, 1);
}

static void warned(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

/* No variable that changes between setjmp() and longjmp() is read afterwards. */
int ps_png_write(FILE *stream, const struct ps_png *source, struct ps_error *error)
{
    struct ps_error scratch;
    png_structp png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, error ? error : &scratch, failed, warned);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return ps_fail_memory(error, 0, "libpng");
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return PS_E_SYSTEM;
    }
    png_init_io(png, stream);
    png_set_IHDR(png, info, (png_uint_32)source->width, (png_uint_32)source->height, 8,
                 source->colour == PS_PNG_RGB ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3); /* higher levels hardly compress noise better */
    png_write_info(png, info);
    size_t stride = (size_t)source->width * (size_t)source->colour;
    for (int y = 0; y < source->height; y++)
        png_write_row(png, source->pixels + (size_t)y * stride);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return 0;
}

int ps_png_encode(const struct ps_png *source, uint8_t **ret_bytes, size_t *ret_size,
                  struct ps_error *error)
{
    char *bytes = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&bytes, &size);
    if (!stream)
        return ps_fail_memory(error, 0, "a picture");
    int status = ps_png_write(stream, source, error);
    if (fclose(stream) != 0 && status == 0)
        status = ps_fail_memory(error, size, "a picture");
    if (status) {
        free(bytes);
        return status;
    }
    *ret_bytes = (uint8_t *)bytes;
    *ret_size = size;
    return 0;
}
