/* The TIFF reader against files that libtiff itself writes: every sample type, layout, byte order
 * and compression pixel by pixel, movies, tags. */
#include "tiff_file.h"

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

/* P18 */
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

/* P18 */
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

/* P17: only the size tells, so a row more or less is an image of bytes. */
static void test_sizes_of_packed_frames(void **state)
{
    (void)state;
    const struct ps_read_options large = {.movies = PS_MOVIES_SKIP, .max_pixels = 1 << 27};
    for (uint32_t surplus = 0; surplus <= 1; surplus++) {
        const struct spec spec = {.width = 3838,
                                  .height = 7420 + surplus,
                                  .bits = 8,
                                  .format = SAMPLEFORMAT_UINT,
                                  .compression = COMPRESSION_LZW,
                                  .rows_per_strip = 100,
                                  .photometric = PHOTOMETRIC_MINISBLACK};
        struct file file = make_file(&spec);
        struct ps_micrograph *m = parse(&file, &large);
        assert_int_equal(m->image.type, PS_PIXEL_U8);
        assert_int_equal(m->image.height, spec.height);
        if (surplus) {
            assert_string_equal(m->warning, "");
            check_pixels(&spec, m, 0, 0);
        } else {
            assert_int_equal(m->image.width, 7676);
            assert_int_equal(m->mode, 4);
            assert_string_equal(m->warning, "8-bit TIFF of 3838 x 7420 px: taken for 4-bit pixels, "
                                            "two a byte, as SerialEM packs them");
            const unsigned char *pixels = m->pixels;
            for (uint32_t y = 0; y < 7420; y += 53) {
                for (uint32_t x = 0; x < 3838; x++) {
                    int byte = pattern(&spec, x, 7419 - y, 0);
                    assert_int_equal(pixels[7676 * y + 2 * x], byte & 15);
                    assert_int_equal(pixels[7676 * y + 2 * x + 1], byte >> 4);
                }
            }
        }
        ps_micrograph_free(m);
        free(file.bytes);
    }
}

/* P23: the image whose first MRC row is the TIFF's last: as RELION reads both, the same pixels. */
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

/* P11 */
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

/* P20 */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_sample_in_every_layout),
        cmocka_unit_test(test_every_compression_and_predictor),
        cmocka_unit_test(test_sizes_of_packed_frames),
        cmocka_unit_test(test_rows_are_those_of_the_mrc_file),
        cmocka_unit_test(test_movies_are_refused_or_summed),
        cmocka_unit_test(test_thumbnails_and_masks_are_no_frames),
        cmocka_unit_test(test_pixel_size_or_unknown),
        cmocka_unit_test(test_min_is_white_is_taken_as_stored),
    };
    return cmocka_run_group_tests_name("tiff", tests, NULL, NULL);
}
