/* TIFF files for the tests of the reader, written by libtiff itself. The pattern is different in
 * every pixel and the images are not square, so that no flip or transposition goes unnoticed. */
#ifndef PS_TEST_TIFF_FILE_H
#define PS_TEST_TIFF_FILE_H

#include "image/micrograph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>
#include <cmocka.h>

static const struct ps_read_options skip_movies = {.movies = PS_MOVIES_SKIP, .max_pixels = 1 << 20};
static const struct ps_read_options sum_movies = {.movies = PS_MOVIES_SUM, .max_pixels = 1 << 20};

/* The file to write; zeros mean uncompressed, strips, classic, one page. */
struct spec {
    uint32_t width;
    uint32_t height;
    uint16_t bits;
    uint16_t format;
    uint16_t compression;
    uint16_t predictor;
    uint32_t tile;           /* side, or 0 for strips */
    uint32_t rows_per_strip; /* 0: one strip */
    const char *mode;        /* TIFFOpen's after "w" */
    int pages;
    uint32_t subfile_type[3]; /* of the pages */
    uint32_t last_width;      /* of the last page, if it differs */
    uint16_t photometric;
    float resolution;
    uint16_t unit;
    const char *description; /* of the first page */
    uint32_t profile_bytes;  /* of a large tag outside its directory */
};

struct file {
    unsigned char *bytes;
    size_t length;
};

/* The value at column x of row `row`, the topmost being 0; in the range of every sample type. */
static inline int pattern(const struct spec *spec, uint32_t x, uint32_t row, int page)
{
    uint32_t n = x + row * 7 + (row / 3) * 5 + (uint32_t)page * 3;
    if (spec->bits == 4)
        return (int)(n % 16);
    int value = (int)(n % 120);
    if (spec->bits > 8 && !(spec->bits == 16 && spec->format == SAMPLEFORMAT_IEEEFP))
        value += 200 * (int)(n % 9);
    return spec->format == SAMPLEFORMAT_UINT ? value : value - 60;
}

static inline void put_sample(const struct spec *spec, unsigned char *row, uint32_t x, int value)
{
    const int kind = spec->bits * 10 + spec->format;
    if (spec->bits == 4) {
        row[x / 2] = (unsigned char)(row[x / 2] | value << (x % 2 ? 0 : 4));
    } else if (kind == 160 + SAMPLEFORMAT_IEEEFP) {
        uint16_t half = ps_float_to_half((float)value + 0.5F);
        memcpy(row + 2 * x, &half, 2);
    } else if (kind == 320 + SAMPLEFORMAT_IEEEFP) {
        float number = (float)value + 0.25F;
        memcpy(row + 4 * x, &number, 4);
    } else if (kind == 640 + SAMPLEFORMAT_IEEEFP) {
        double number = (double)value + 0.125;
        memcpy(row + 8 * x, &number, 8);
    } else { /* little-endian machine, two's complement */
        int64_t wide = value;
        memcpy(row + spec->bits / 8 * x, &wide, spec->bits / 8);
    }
}

static inline float expected_value(const struct spec *spec, uint32_t x, uint32_t row, int page)
{
    const float fraction[] = {0.5F, 0.25F, 0.125F}; /* 16, 32, 64 bits */
    float value = (float)pattern(spec, x, row, page);
    return spec->format == SAMPLEFORMAT_IEEEFP ? value + fraction[spec->bits / 32] : value;
}

static inline void write_page(TIFF *tif, const struct spec *spec, int page)
{
    const bool last = page > 0 && page == spec->pages - 1;
    const uint32_t width = last && spec->last_width ? spec->last_width : spec->width;
    TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tif, TIFFTAG_IMAGELENGTH, spec->height);
    TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, spec->bits);
    TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, spec->format);
    TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, spec->photometric);
    TIFFSetField(tif, TIFFTAG_COMPRESSION, spec->compression ? spec->compression : 1);
    if (spec->predictor)
        TIFFSetField(tif, TIFFTAG_PREDICTOR, spec->predictor);
    if (page < 3 && spec->subfile_type[page])
        TIFFSetField(tif, TIFFTAG_SUBFILETYPE, spec->subfile_type[page]);
    if (spec->description && page == 0)
        TIFFSetField(tif, TIFFTAG_IMAGEDESCRIPTION, spec->description);
    if (spec->profile_bytes) {
        void *profile = calloc(1, spec->profile_bytes);
        TIFFSetField(tif, TIFFTAG_ICCPROFILE, spec->profile_bytes, profile);
        free(profile);
    }
    if (spec->resolution != 0) {
        TIFFSetField(tif, TIFFTAG_XRESOLUTION, (double)spec->resolution);
        TIFFSetField(tif, TIFFTAG_YRESOLUTION, (double)spec->resolution);
        TIFFSetField(tif, TIFFTAG_RESOLUTIONUNIT, spec->unit);
    }

    const uint32_t rows = spec->rows_per_strip ? spec->rows_per_strip : spec->height;
    if (spec->tile) {
        TIFFSetField(tif, TIFFTAG_TILEWIDTH, spec->tile);
        TIFFSetField(tif, TIFFTAG_TILELENGTH, spec->tile);
    } else {
        TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, rows);
    }
    const uint32_t cell_width = spec->tile ? spec->tile : width;
    const uint32_t cell_height = spec->tile ? spec->tile : rows;
    const size_t row_bytes = ((size_t)cell_width * spec->bits + 7) / 8;
    uint32_t cell = 0;
    for (uint32_t top = 0; top < spec->height; top += cell_height) {
        for (uint32_t left = 0; left < width; left += cell_width) {
            uint32_t high = cell_height;
            if (!spec->tile && spec->height - top < high)
                high = spec->height - top;
            unsigned char *bytes = calloc(high, row_bytes);
            for (uint32_t r = 0; r < high; r++)
                for (uint32_t x = 0; x < cell_width; x++)
                    put_sample(spec, bytes + r * row_bytes, x,
                               pattern(spec, left + x, top + r, page));
            const tmsize_t length = (tmsize_t)(high * row_bytes);
            tmsize_t written = spec->tile ? TIFFWriteEncodedTile(tif, cell, bytes, length)
                                          : TIFFWriteEncodedStrip(tif, cell, bytes, length);
            assert_int_equal(written, length);
            free(bytes);
            cell++;
        }
    }
    assert_int_equal(TIFFWriteDirectory(tif), 1);
}

static inline struct file make_file(const struct spec *spec)
{
    char path[] = "/tmp/test_tiff.XXXXXX", mode[8];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(mode, sizeof mode, "w%s", spec->mode ? spec->mode : "");
    TIFF *tif = TIFFOpen(path, mode);
    assert_non_null(tif);
    for (int page = 0; page == 0 || page < spec->pages; page++)
        write_page(tif, spec, page);
    TIFFClose(tif);

    struct file file;
    file.length = (size_t)lseek(fd, 0, SEEK_END);
    file.bytes = malloc(file.length);
    assert_int_equal(pread(fd, file.bytes, file.length, 0), (ssize_t)file.length);
    close(fd);
    unlink(path);
    return file;
}

static const struct spec plain = {.width = 9,
                                  .height = 4,
                                  .bits = 16,
                                  .format = SAMPLEFORMAT_INT,
                                  .photometric = PHOTOMETRIC_MINISBLACK};

/* The file must be refused with this message. If the message ends in ":", libtiff's text follows.
 * Frees the file. */
static inline void refuse(struct file file, const struct ps_read_options *options,
                          const char *message)
{
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    int code = ps_micrograph_parse(file.bytes, file.length, options, &micrograph, &error);
    const size_t length = strlen(message);
    if (message[length - 1] == ':') {
        assert_true(strlen(error.message) > length + 5);
        error.message[length] = '\0';
    }
    assert_string_equal(error.message, message);
    assert_int_equal(code, PS_E_INPUT);
    assert_null(micrograph);
    free(file.bytes);
}

#endif
