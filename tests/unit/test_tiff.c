/* The TIFF reader against files that libtiff itself writes here: every sample type, layout, byte
 * order and compression pixel by pixel, and one line about every way in which a file can be wrong.
 * The pattern is different in every pixel and the images are not square, so that no flip or
 * transposition goes unnoticed. */
#include "image/micrograph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <tiffio.h>
#include <unistd.h>
#include <cmocka.h>

static const struct ps_read_options skip_movies = {PS_MOVIES_SKIP, 1 << 20};
static const struct ps_read_options sum_movies = {PS_MOVIES_SUM, 1 << 20};

/* What to write; zeros mean: uncompressed, strips, classic, one page. */
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
};

struct file {
    unsigned char *bytes;
    size_t length;
};

/* The value at column x of row `row`, the topmost being 0; in the range of every sample type. */
static int pattern(const struct spec *spec, uint32_t x, uint32_t row, int page)
{
    uint32_t n = x + row * 7 + (row / 3) * 5 + (uint32_t)page * 3;
    if (spec->bits == 4)
        return (int)(n % 16);
    int value = (int)(n % 120);
    if (spec->bits > 8 && !(spec->bits == 16 && spec->format == SAMPLEFORMAT_IEEEFP))
        value += 200 * (int)(n % 9);
    return spec->format == SAMPLEFORMAT_UINT ? value : value - 60;
}

static void put_sample(const struct spec *spec, unsigned char *row, uint32_t x, int value)
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

static float expected_value(const struct spec *spec, uint32_t x, uint32_t row, int page)
{
    const float fraction[] = {0.5F, 0.25F, 0.125F}; /* 16, 32, 64 bits */
    float value = (float)pattern(spec, x, row, page);
    return spec->format == SAMPLEFORMAT_IEEEFP ? value + fraction[spec->bits / 32] : value;
}

static void write_page(TIFF *tif, const struct spec *spec, int page)
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

static struct file make_file(const struct spec *spec)
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

static struct ps_micrograph *parse(const struct file *file, const struct ps_read_options *options)
{
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    if (ps_micrograph_parse(file->bytes, file->length, options, &micrograph, &error))
        fail_msg("refused: %s", error.message);
    assert_string_equal(micrograph->format, "tiff");
    assert_ptr_equal(micrograph->image.pixels, micrograph->pixels);
    assert_int_equal(micrograph->bytes, file->length);
    return micrograph;
}

/* The file must be refused with this message, or if it ends in ":", one that begins with it and
 * goes on in libtiff's words. Frees the file. */
static void refuse(struct file file, const struct ps_read_options *options, const char *message)
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

/* Rows are flipped; frames from `first` to `last` are summed. */
static void check_pixels(const struct spec *spec, const struct ps_micrograph *m, int first,
                         int last)
{
    assert_int_equal(m->image.width, spec->width);
    assert_int_equal(m->image.height, spec->height);
    const size_t count = (size_t)spec->width * spec->height;
    float *floats = malloc(count * sizeof *floats);
    ps_pixels_to_float(m->pixels, m->image.type, count, floats);
    for (uint32_t y = 0; y < spec->height; y++) {
        for (uint32_t x = 0; x < spec->width; x++) {
            float expected = 0;
            for (int page = first; page <= last; page++)
                expected += expected_value(spec, x, spec->height - 1 - y, page);
            if (floats[y * spec->width + x] != expected)
                fail_msg("%u bits of format %u, compression %u, predictor %u, tile %u, mode %s: "
                         "%g at x = %u, y = %u, %g expected",
                         spec->bits, spec->format, spec->compression, spec->predictor, spec->tile,
                         spec->mode ? spec->mode : "", (double)floats[y * spec->width + x], x, y,
                         (double)expected);
        }
    }
    free(floats);
}

static const struct sample {
    uint16_t bits;
    uint16_t format;
    enum ps_pixel type;
} samples[] = {
    {4, SAMPLEFORMAT_UINT, PS_PIXEL_U8},     {8, SAMPLEFORMAT_UINT, PS_PIXEL_U8},
    {8, SAMPLEFORMAT_INT, PS_PIXEL_I8},      {16, SAMPLEFORMAT_UINT, PS_PIXEL_U16},
    {16, SAMPLEFORMAT_INT, PS_PIXEL_I16},    {16, SAMPLEFORMAT_IEEEFP, PS_PIXEL_F16},
    {32, SAMPLEFORMAT_UINT, PS_PIXEL_F32},   {32, SAMPLEFORMAT_INT, PS_PIXEL_F32},
    {32, SAMPLEFORMAT_IEEEFP, PS_PIXEL_F32}, {64, SAMPLEFORMAT_IEEEFP, PS_PIXEL_F32},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void check_spec(const struct spec *spec, enum ps_pixel type)
{
    struct file file = make_file(spec);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_int_equal(m->image.type, type);
    assert_int_equal(m->mode, spec->bits);
    assert_int_equal(m->frames, 1);
    assert_string_equal(m->warning, "");
    check_pixels(spec, m, 0, 0);
    ps_micrograph_free(m);
    free(file.bytes);
}

static void test_every_sample_in_every_layout(void **state)
{
    (void)state;
    const char *const modes[] = {"l", "b", "8l", "8b"};
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t k = 0; k < 4; k++) {
            struct spec spec = {.width = 37, /* neither square nor even nor whole tiles */
                                .height = 22,
                                .bits = samples[i].bits,
                                .format = samples[i].format,
                                .mode = modes[k],
                                .photometric = PHOTOMETRIC_MINISBLACK};
            check_spec(&spec, samples[i].type);
            spec.rows_per_strip = 5; /* the last strip is short */
            check_spec(&spec, samples[i].type);
            spec.rows_per_strip = 1;
            check_spec(&spec, samples[i].type);
            spec.tile = 16;
            check_spec(&spec, samples[i].type);
            spec.tile = 64; /* larger than the image */
            check_spec(&spec, samples[i].type);
        }
    }
}

static void test_every_compression_and_predictor(void **state)
{
    (void)state;
    const uint16_t compressions[] = {COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_ZSTD,
                                     COMPRESSION_PACKBITS};
    for (size_t i = 0; i < SAMPLES; i++) {
        for (size_t k = 0; k < sizeof compressions / sizeof *compressions; k++) {
            for (uint16_t predictor = 0; predictor <= 3; predictor++) {
                const bool is_float = samples[i].format == SAMPLEFORMAT_IEEEFP;
                if (predictor == 1 || (predictor && compressions[k] == COMPRESSION_PACKBITS) ||
                    (predictor == 2 && (is_float || samples[i].bits < 8)) ||
                    (predictor == 3 && !is_float))
                    continue;
                struct spec spec = {.width = 37,
                                    .height = 22,
                                    .bits = samples[i].bits,
                                    .format = samples[i].format,
                                    .compression = compressions[k],
                                    .predictor = predictor,
                                    .rows_per_strip = 6,
                                    .mode = predictor == 3 ? "8l" /* libtiff mistakes "b" */
                                            : k % 2        ? "8b"
                                                           : "b",
                                    .photometric = PHOTOMETRIC_MINISBLACK};
                check_spec(&spec, samples[i].type);
                spec.mode = "l";
                spec.tile = 32;
                check_spec(&spec, samples[i].type);
            }
        }
    }
}

static const struct spec plain = {.width = 9,
                                  .height = 4,
                                  .bits = 16,
                                  .format = SAMPLEFORMAT_INT,
                                  .photometric = PHOTOMETRIC_MINISBLACK};

/* The image whose first MRC row is the TIFF's last: as RELION reads both, the same pixels. */
static void test_rows_are_those_of_the_mrc_file(void **state)
{
    (void)state;
    unsigned char mrc[1024 + 9 * 4 * 2] = {0};
    const int32_t header[4] = {9, 4, 1, 1};
    memcpy(mrc, header, sizeof header);
    for (uint32_t y = 0; y < 4; y++)
        for (uint32_t x = 0; x < 9; x++)
            put_sample(&plain, mrc + 1024 + y * 18, x, pattern(&plain, x, 3 - y, 0));
    struct file mrc_file = {mrc, sizeof mrc}, tiff_file = make_file(&plain);
    struct ps_micrograph *from_mrc = NULL, *from_tiff = parse(&tiff_file, &skip_movies);
    struct ps_error error;
    assert_int_equal(ps_micrograph_parse(mrc, mrc_file.length, &skip_movies, &from_mrc, &error), 0);
    assert_int_equal(from_mrc->image.type, from_tiff->image.type);
    assert_int_equal(from_mrc->image.width, from_tiff->image.width);
    assert_int_equal(from_mrc->image.height, from_tiff->image.height);
    assert_memory_equal(from_mrc->pixels, from_tiff->pixels, 9 * 4 * 2);
    ps_micrograph_free(from_mrc);
    ps_micrograph_free(from_tiff);
    free(tiff_file.bytes);
}

static void test_movies_are_refused_or_summed(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct spec spec = plain;
        spec.bits = samples[i].bits;
        spec.format = samples[i].format;
        spec.compression = i % 2 ? COMPRESSION_LZW : 0;
        spec.pages = 5;
        struct file file = make_file(&spec);
        struct ps_micrograph *m = parse(&file, &sum_movies);
        assert_int_equal(m->frames, 5);
        assert_int_equal(m->image.type, PS_PIXEL_F32);
        check_pixels(&spec, m, 0, 4);
        ps_micrograph_free(m);
        refuse(file, &skip_movies,
               "movie of 5 frames: skipped; with input.movies = sum they would be added up");
    }
}

static void test_thumbnails_and_masks_are_no_frames(void **state)
{
    (void)state;
    struct spec spec = plain;
    spec.pages = 3;
    spec.subfile_type[1] = FILETYPE_MASK;
    spec.subfile_type[2] = FILETYPE_REDUCEDIMAGE;
    spec.last_width = 5;
    struct file file = make_file(&spec);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_int_equal(m->frames, 1);
    check_pixels(&spec, m, 0, 0);
    ps_micrograph_free(m);
    free(file.bytes);

    spec.last_width = 0;
    spec.subfile_type[0] = FILETYPE_REDUCEDIMAGE;
    spec.subfile_type[1] = FILETYPE_PAGE;
    spec.subfile_type[2] = 0;
    file = make_file(&spec);
    m = parse(&file, &sum_movies);
    assert_int_equal(m->frames, 2);
    check_pixels(&spec, m, 1, 2);
    ps_micrograph_free(m);
    free(file.bytes);

    spec.pages = 1;
    refuse(make_file(&spec), &skip_movies, "TIFF with thumbnails or masks only, an image expected");
    spec = plain;
    spec.pages = 3;
    spec.last_width = 5;
    refuse(make_file(&spec), &sum_movies,
           "TIFF whose page 3 has 5 x 4 px of 16 bits, the first one 9 x 4 px of 16 bits: neither "
           "a micrograph nor a movie");
}

static double pixel_size_of(float resolution, uint16_t unit)
{
    struct spec spec = plain;
    spec.resolution = resolution;
    spec.unit = unit;
    struct file file = make_file(&spec);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    double size = m->image.pixel_size;
    ps_micrograph_free(m);
    free(file.bytes);
    return size;
}

static void test_pixel_size_or_unknown(void **state)
{
    (void)state;
    const double inch = pixel_size_of(2.54e8F / 0.83F, RESUNIT_INCH);
    const double centimetre = pixel_size_of(1e8F / 1.35F, RESUNIT_CENTIMETER);
    assert_true(inch > 0.82999 && inch < 0.83001);
    assert_true(centimetre > 1.34999 && centimetre < 1.35001);
    assert_true(pixel_size_of(0, 0) == 0);
    assert_true(pixel_size_of(72, RESUNIT_INCH) == 0);
    assert_true(pixel_size_of(300, RESUNIT_INCH) == 0);
    assert_true(pixel_size_of(1, RESUNIT_CENTIMETER) == 0);
    assert_true(pixel_size_of(1e8F, RESUNIT_NONE) == 0);
}

static void test_min_is_white_is_taken_as_stored(void **state)
{
    (void)state;
    struct spec spec = plain;
    spec.photometric = PHOTOMETRIC_MINISWHITE;
    struct file file = make_file(&spec);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_string_equal(m->warning, "TIFF says that 0 is white: values taken as stored");
    check_pixels(&spec, m, 0, 0);
    ps_micrograph_free(m);
    free(file.bytes);
}

/* ---- what is wrong with a file ---- */

/* The entry of a tag in the first directory of a little-endian classic TIFF: tag, type, count,
 * value (2, 2, 4, 4 bytes). */
static unsigned char *find_tag(struct file *file, uint16_t tag)
{
    uint32_t offset;
    uint16_t count;
    memcpy(&offset, file->bytes + 4, 4);
    memcpy(&count, file->bytes + offset, 2);
    for (uint16_t i = 0; i < count; i++) {
        unsigned char *entry = file->bytes + offset + 2 + 12 * i;
        uint16_t found;
        memcpy(&found, entry, 2);
        if (found == tag)
            return entry;
    }
    fail_msg("no tag %u", tag);
    return NULL;
}

static struct file make_patched(const struct spec *spec, uint16_t tag, uint32_t value)
{
    struct file file = make_file(spec);
    unsigned char *entry = find_tag(&file, tag);
    if (value > UINT16_MAX && entry[4] == 1)
        entry[2] = TIFF_LONG;
    memcpy(entry + 8, &value, 4);
    return file;
}

/* As refuse(), for a message with the length of the file in it. */
static void refuse_with_length(struct file file, const struct ps_read_options *options,
                               const char *before, const char *after)
{
    char message[256];
    snprintf(message, sizeof message, "%s%zu%s", before, file.length, after);
    refuse(file, options, message);
}

static void test_compressions_are_named(void **state)
{
    (void)state;
    const struct {
        uint16_t number;
        const char *message;
    } cases[] = {
        {65000, "TIFF compression 65000 (EER, 8 bits: electron events of a movie): none, LZW, "
                "deflate, PackBits or zstd expected"},
        {65001, "TIFF compression 65001 (EER, 7 bits: electron events of a movie): none, LZW, "
                "deflate, PackBits or zstd expected"},
        {65002, "TIFF compression 65002 (EER: electron events of a movie): none, LZW, deflate, "
                "PackBits or zstd expected"},
        {7, "TIFF compression 7 (JPEG): none, LZW, deflate, PackBits or zstd expected"},
        {34712, "TIFF compression 34712 (JPEG 2000): none, LZW, deflate, PackBits or zstd "
                "expected"},
        {12345, "TIFF compression 12345 (unknown): none, LZW, deflate, PackBits or zstd expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refuse(make_patched(&plain, TIFFTAG_COMPRESSION, cases[i].number), &skip_movies,
               cases[i].message);
}

static void test_samples_are_named(void **state)
{
    (void)state;
    refuse(make_patched(&plain, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB), &skip_movies,
           "TIFF with 1 samples a pixel (RGB colour): 1, a grey value, expected");
    refuse(make_patched(&plain, TIFFTAG_SAMPLESPERPIXEL, 2), &skip_movies,
           "TIFF with 2 samples a pixel: 1, a grey value, expected");
    refuse(make_patched(&plain, TIFFTAG_BITSPERSAMPLE, 12), &skip_movies,
           "TIFF with 12-bit signed samples: 4, 8, 16 or 32-bit integer, or 16, 32 or 64-bit "
           "float expected");
    refuse(make_patched(&plain, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_COMPLEXINT), &skip_movies,
           "TIFF with 16-bit complex integer samples: 4, 8, 16 or 32-bit integer, or 16, 32 or "
           "64-bit float expected");
    struct spec spec = plain;
    spec.bits = 64;
    refuse(make_file(&spec), &skip_movies,
           "TIFF with 64-bit signed samples: 4, 8, 16 or 32-bit integer, or 16, 32 or 64-bit "
           "float expected");
}

static void test_sizes_are_checked_before_memory_is_taken(void **state)
{
    (void)state;
    const struct ps_read_options few = {PS_MOVIES_SKIP, 35};
    refuse(make_file(&plain), &few,
           "9 x 4 px, more than the 35 pixels that compute.max_pixels allows");
    const struct ps_read_options many = {PS_MOVIES_SKIP, UINT64_MAX};
    struct spec spec = plain;
    spec.compression = COMPRESSION_LZW;
    refuse_with_length(
        make_patched(&plain, TIFFTAG_IMAGEWIDTH, 100000), &many,
        "truncated: strip 1 of 1 has 800000 bytes from byte 8, but the file ends at byte ", "");
    refuse_with_length(make_patched(&spec, TIFFTAG_IMAGEWIDTH, 0x70000000), &many,
                       "damaged TIFF: 15032385536 bytes of pixels in a file of ", " bytes");
    refuse(make_patched(&plain, TIFFTAG_IMAGEWIDTH, 0xf0000000), &many,
           "4026531840 x 4 px, more than the 18446744073709551615 pixels that compute.max_pixels "
           "allows");
    refuse(make_patched(&plain, TIFFTAG_ROWSPERSTRIP, 0), &many, "damaged TIFF: page 1:");

    /* Four strips on top of each other, longer together than the file. */
    spec = plain;
    spec.width = 400;
    spec.rows_per_strip = 1;
    struct file file = make_file(&spec);
    uint32_t counts, offsets;
    memcpy(&counts, find_tag(&file, TIFFTAG_STRIPBYTECOUNTS) + 8, 4);
    memcpy(&offsets, find_tag(&file, TIFFTAG_STRIPOFFSETS) + 8, 4);
    uint32_t width = 800;
    memcpy(find_tag(&file, TIFFTAG_IMAGEWIDTH) + 8, &width, 4);
    for (uint32_t i = 0; i < 4; i++) {
        uint16_t count = 1600;
        uint32_t offset = 8;
        memcpy(file.bytes + counts + 2 * i, &count, 2);
        memcpy(file.bytes + offsets + 4 * i, &offset, 4);
    }
    refuse_with_length(file, &skip_movies, "damaged TIFF: 6400 bytes of pixels in a file of ",
                       " bytes");
}

static void test_truncated_headers_and_directories(void **state)
{
    (void)state;
    struct file file = make_file(&plain);
    uint32_t directory;
    memcpy(&directory, file.bytes + 4, 4);
    char message[128];
    snprintf(message, sizeof message,
             "truncated: its directory begins at byte %u, but the file ends at byte 60", directory);
    file.length = 60;
    refuse(file, &skip_movies, message);
    file = make_file(&plain);
    file.length = 5;
    refuse(file, &skip_movies, "truncated: 5 bytes, the header of a TIFF has 8");
    struct spec spec = plain;
    spec.mode = "8b";
    file = make_file(&spec);
    file.length = 15;
    refuse(file, &skip_movies, "truncated: 15 bytes, the header of a BigTIFF has 16");
    refuse_with_length(
        make_patched(&plain, TIFFTAG_STRIPOFFSETS, 4000), &skip_movies,
        "truncated: strip 1 of 1 has 72 bytes from byte 4000, but the file ends at byte ", "");
    spec = plain;
    spec.rows_per_strip = 2;
    refuse(make_patched(&spec, TIFFTAG_STRIPBYTECOUNTS, 36 | 30 << 16), &skip_movies,
           "damaged TIFF: strip 2 of 2 has 30 bytes, 36 expected");
    refuse(make_patched(&plain, TIFFTAG_STRIPOFFSETS, 0), &skip_movies,
           "damaged TIFF: strip 1 of 1 is missing");
}

/* Directories lie behind their pixels: no beginning of a file is a file. */
static void test_no_beginning_of_a_file_is_read(void **state)
{
    (void)state;
    struct spec specs[3] = {plain, plain, plain};
    specs[1].compression = COMPRESSION_LZW;
    specs[1].tile = 16;
    specs[2].mode = "8b";
    specs[2].rows_per_strip = 1;
    specs[2].pages = 2;
    for (int i = 0; i < 3; i++) {
        struct file file = make_file(&specs[i]);
        for (size_t length = 0; length < file.length; length++) {
            unsigned char *bytes = malloc(length + 1); /* so that a sanitizer sees overruns */
            memcpy(bytes, file.bytes, length);
            struct ps_micrograph *micrograph = NULL;
            struct ps_error error = {0};
            if (ps_micrograph_parse(bytes, length, &sum_movies, &micrograph, &error) == 0)
                fail_msg("file %d of %zu bytes was read from its first %zu", i, file.length,
                         length);
            assert_int_equal(error.code, PS_E_INPUT);
            assert_true(strlen(error.message) > 10);
            free(bytes);
        }
        free(file.bytes);
    }
}

static void test_damaged_pixels_and_directories(void **state)
{
    (void)state;
    const uint16_t compressions[] = {COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_ZSTD};
    for (size_t i = 0; i < 3; i++) {
        struct spec spec = plain;
        spec.compression = compressions[i];
        spec.rows_per_strip = 2;
        struct file file = make_file(&spec);
        memset(file.bytes + 8, 0xff, 8);
        refuse(file, &skip_movies, "damaged TIFF: strip 1 of 2:");
        spec.tile = 16;
        file = make_file(&spec);
        memset(file.bytes + 8, 0xff, 8);
        refuse(file, &skip_movies, "damaged TIFF: tile 1 of 1:");
    }

    struct spec spec = plain;
    spec.pages = 2;
    struct file file = make_file(&spec);
    uint32_t first, second;
    uint16_t count;
    memcpy(&first, file.bytes + 4, 4);
    memcpy(&count, file.bytes + first, 2);
    unsigned char *next = file.bytes + first + 2 + 12 * count;
    memcpy(&second, next, 4);
    memcpy(file.bytes + second + 2 + 12 * count, &first, 4); /* page 3 is page 1 */
    refuse(file, &sum_movies, "damaged TIFF: page 3:");
    file = make_file(&spec);
    second = 1 << 20;
    memcpy(file.bytes + first + 2 + 12 * count, &second, 4);
    refuse(file, &skip_movies, "damaged TIFF: page 2:");
}

static void *read_repeatedly(void *data)
{
    const struct file *file = data; /* a good one, a bad one */
    for (int i = 0; i < 100; i++) {
        struct ps_micrograph *m = NULL;
        struct ps_error error = {0};
        if (ps_micrograph_parse(file[0].bytes, file[0].length, &skip_movies, &m, &error))
            return "a good file was refused";
        ps_micrograph_free(m);
        if (!ps_micrograph_parse(file[1].bytes, file[1].length, &skip_movies, &m, &error) ||
            strncmp(error.message, "damaged TIFF: strip 1 of 1: ", 28) != 0)
            return "a bad file got another message";
    }
    return NULL;
}

static void test_threads_do_not_meet_and_nothing_is_printed(void **state)
{
    (void)state;
    struct spec spec = plain;
    spec.compression = COMPRESSION_LZW;
    struct file files[2] = {make_file(&spec), make_file(&spec)};
    memset(files[1].bytes + 8, 0xff, 8);

    fflush(stderr);
    FILE *printed = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_true(printed && before >= 0);
    dup2(fileno(printed), STDERR_FILENO);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_repeatedly, files), 0);
    const char *fault = NULL;
    for (int i = 0; i < 3; i++) {
        void *returned;
        pthread_join(threads[i], &returned);
        fault = returned ? returned : fault;
    }
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    if (fault)
        fail_msg("%s", fault);
    assert_int_equal(lseek(fileno(printed), 0, SEEK_END), 0);
    fclose(printed);
    free(files[0].bytes);
    free(files[1].bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sample_in_every_layout),
        cmocka_unit_test(test_every_compression_and_predictor),
        cmocka_unit_test(test_rows_are_those_of_the_mrc_file),
        cmocka_unit_test(test_movies_are_refused_or_summed),
        cmocka_unit_test(test_thumbnails_and_masks_are_no_frames),
        cmocka_unit_test(test_pixel_size_or_unknown),
        cmocka_unit_test(test_min_is_white_is_taken_as_stored),
        cmocka_unit_test(test_compressions_are_named),
        cmocka_unit_test(test_samples_are_named),
        cmocka_unit_test(test_sizes_are_checked_before_memory_is_taken),
        cmocka_unit_test(test_truncated_headers_and_directories),
        cmocka_unit_test(test_no_beginning_of_a_file_is_read),
        cmocka_unit_test(test_damaged_pixels_and_directories),
        cmocka_unit_test(test_threads_do_not_meet_and_nothing_is_printed),
    };
    return cmocka_run_group_tests_name("tiff", tests, NULL, NULL);
}
