#include "image/tiff_surplus.h"

#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MIN_SURPLUS_BYTES = 1024, /* less is a remark, not an image */
    MAX_DIRECTORIES = 1 << 16,
    MAX_ENTRIES = 1 << 16,
};
static const uint64_t max_images = UINT32_MAX;

uint64_t ps_tiff_stored_bytes(TIFF *tif)
{
    const uint32_t cells = TIFFIsTiled(tif) ? TIFFNumberOfTiles(tif) : TIFFNumberOfStrips(tif);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < cells; i++)
        if (__builtin_add_overflow(bytes, TIFFGetStrileByteCount(tif, i), &bytes))
            return UINT64_MAX;
    return bytes;
}

/* ---- descriptions ---- */

/* Multiplies, up to max_images. */
static uint64_t times(uint64_t a, uint64_t b)
{
    return b && a > max_images / b ? max_images : a * b;
}

/* Reads the whole number behind `text`, up to max_images; 0 if there is none. */
static uint64_t read_count(const char *text)
{
    uint64_t count = 0;
    while (*text >= '0' && *text <= '9' && count < max_images)
        count = count * 10 + (uint64_t)(*text++ - '0');
    return count < max_images ? count : max_images;
}

/* The number behind `key` at the beginning of a line, or `fallback`. */
static uint64_t line_value(const char *text, const char *key, uint64_t fallback)
{
    const size_t length = strlen(key);
    for (const char *line = text; *line;) {
        if (strncmp(line, key, length) == 0)
            return read_count(line + length);
        line += strcspn(line, "\r\n");
        line += strspn(line, "\r\n");
    }
    return fallback;
}

/* "ImageJ=1.53t\nimages=40\nframes=40\n": `images` is the product of the others. */
static uint64_t imagej_images(const char *text)
{
    const uint64_t product =
        times(times(line_value(text, "channels=", 1), line_value(text, "slices=", 1)),
              line_value(text, "frames=", 1));
    const uint64_t images = line_value(text, "images=", 0);
    return images > product ? images : product;
}

/* The attribute of an XML element, which ends at `end`; or 1. */
static uint64_t attribute(const char *element, const char *end, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = element; (at = strstr(at, name)) && at < end; at += length)
        if (at[length] == '"' || at[length] == '\'')
            return read_count(at + length + 1);
    return 1;
}

/* <Pixels SizeX="384" SizeY="384" SizeZ="1" SizeC="1" SizeT="40" ...>. */
static uint64_t ome_images(const char *text)
{
    const char *element = strstr(text, "<Pixels");
    const char *end = element ? strchr(element, '>') : NULL;
    if (!end)
        return 0;
    return times(times(attribute(element, end, "SizeZ="), attribute(element, end, "SizeC=")),
                 attribute(element, end, "SizeT="));
}

/* {"shape": [40, 384, 384]}: tifffile's. */
static uint64_t shape_images(const char *text, uint64_t pixels)
{
    const char *list = strstr(text, "\"shape\"");
    list = list ? strchr(list, '[') : NULL;
    if (!list)
        return 0;
    uint64_t product = 1;
    for (const char *at = list; *at == '[' || *at == ',';) {
        at += 1 + strspn(at + 1, " ");
        const uint64_t side = read_count(at);
        if (side && product > UINT64_MAX / side)
            return max_images;
        product *= side;
        at += strspn(at, "0123456789");
        at += strspn(at, " ");
    }
    return pixels && product % pixels == 0 ? product / pixels : 0;
}

uint64_t ps_tiff_declared_images(const char *description, uint64_t pixels)
{
    if (strncmp(description, "ImageJ=", 7) == 0)
        return imagej_images(description);
    if (strstr(description, "<OME"))
        return ome_images(description);
    return description[strspn(description, " ")] == '{' ? shape_images(description, pixels) : 0;
}

/* ---- the length of the file ---- */

/* The number of `length` bytes, up to 8, at `bytes`. */
static uint64_t get_number(const unsigned char *bytes, size_t length, bool big_endian)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++)
        number = number << 8 | bytes[big_endian ? i : length - 1 - i];
    return number;
}

/* Bytes of a directory's entry outside the directory. */
static uint64_t outside_bytes(const unsigned char *entry, bool big_tiff, bool big_endian)
{
    const uint64_t inside = big_tiff ? 8 : 4;
    const int type = (int)get_number(entry + 2, 2, big_endian);
    const uint64_t count = get_number(entry + 4, inside, big_endian);
    const int width = TIFFDataWidth((TIFFDataType)type);
    if (width <= 0 || count > UINT64_MAX / 8 || count * (uint64_t)width <= inside)
        return 0;
    return count * (uint64_t)width;
}

/* Adds the bytes of the current directory and of its tags to `*bytes`. */
static int add_directory(TIFF *tif, const struct ps_source *source, uint64_t *bytes,
                         struct ps_error *error)
{
    const bool big_tiff = TIFFIsBigTIFF(tif), big_endian = TIFFIsBigEndian(tif);
    const size_t head = big_tiff ? 8 : 2, size = big_tiff ? 20 : 12;
    const uint64_t offset = TIFFCurrentDirOffset(tif);
    unsigned char number[8];
    int code = source->read_at(source, offset, number, head, error);
    const uint64_t count = code ? 0 : get_number(number, head, big_endian);
    if (code || count == 0 || count > MAX_ENTRIES)
        return code;
    unsigned char *entries = malloc(count * size);
    if (!entries)
        return ps_fail_memory(error, count * size, "a directory");
    code = source->read_at(source, offset + head, entries, count * size, error);
    *bytes += head + count * size + (big_tiff ? 8 : 4);
    for (uint64_t i = 0; i < count && !code; i++)
        if (__builtin_add_overflow(*bytes, outside_bytes(entries + i * size, big_tiff, big_endian),
                                   bytes))
            *bytes = UINT64_MAX / 2;
    free(entries);
    return code;
}

/* Bytes of the file that its directories do not explain, 0 if they are fewer than a frame. */
static int find_surplus(TIFF *tif, const struct ps_source *source,
                        const struct ps_tiff_content *content, uint64_t *ret_bytes,
                        struct ps_error *error)
{
    const uint64_t least =
        content->frame_bytes > MIN_SURPLUS_BYTES ? content->frame_bytes : MIN_SURPLUS_BYTES;
    uint64_t known = content->stored_bytes;
    *ret_bytes = 0;
    errno = 0; /* libtiff does not say that an allocation failed */
    int more = TIFFSetDirectory(tif, 0);
    for (int i = 0; more && i < MAX_DIRECTORIES; i++) {
        if (known > source->size || source->size - known < least)
            return 0;
        int code = add_directory(tif, source, &known, error);
        if (code)
            return code;
        more = !TIFFLastDirectory(tif) && TIFFReadDirectory(tif);
    }
    if (!more && errno == ENOMEM)
        return ps_fail_memory(error, known, "the directories of a TIFF");
    if (known <= source->size && source->size - known >= least)
        *ret_bytes = source->size - known;
    return 0;
}

/* The number of frames that fit into the surplus with little left, or 0. */
static uint64_t hidden_frames(const struct ps_tiff_content *content, uint64_t surplus)
{
    const uint64_t frame = content->frame_bytes;
    return !content->compressed && surplus % frame <= frame / 16 + MIN_SURPLUS_BYTES
               ? surplus / frame
               : 0;
}

int ps_tiff_check_surplus(TIFF *tif, const struct ps_source *source,
                          const struct ps_tiff_content *content, char *ret_warning, size_t size,
                          struct ps_error *error)
{
    uint64_t surplus;
    *ret_warning = '\0';
    if (content->frame_bytes == 0)
        return 0;
    int code = find_surplus(tif, source, content, &surplus, error);
    if (code)
        return code;
    const char *description = NULL;
    uint64_t declared = 0;
    if (TIFFSetDirectory(tif, 0) && TIFFGetField(tif, TIFFTAG_IMAGEDESCRIPTION, &description))
        declared = ps_tiff_declared_images(description, content->pixels);
    uint64_t images = content->frames + hidden_frames(content, surplus);
    if (surplus && declared > content->frames)
        images = declared;
    if (surplus && images > content->frames)
        return ps_fail(error, PS_E_INPUT,
                       "movie of %" PRIu64 " frames, %" PRIu64
                       " of them in its directories: skipped; only a TIFF with a directory for "
                       "each frame can be added up",
                       images, content->frames);
    if (surplus)
        (void)snprintf(ret_warning, size,
                       "%" PRIu64 " bytes of the TIFF are outside its directories: perhaps frames "
                       "of a movie; only what the directories describe is picked",
                       surplus);
    else if (declared > content->frames)
        (void)snprintf(ret_warning, size,
                       "the description of the TIFF says %" PRIu64 " images, %" PRIu64
                       " in the file: picked as it is",
                       declared, content->frames);
    return 0;
}
