/* The MRC reader: every mode in both byte orders, and one line about every way in which a file can
 * be wrong. The files are made here, in memory. */
#include "image/micrograph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <cmocka.h>

enum { HEADER = 1024 };

static const struct ps_read_options skip_movies = {.movies = PS_MOVIES_SKIP, .max_pixels = 1 << 20};
static const struct ps_read_options sum_movies = {.movies = PS_MOVIES_SUM, .max_pixels = 1 << 20};

/* A file in memory, little-endian until swap_file(). */
struct file {
    unsigned char *bytes;
    size_t length;
    size_t extended; /* bytes of extended header */
};

static void put_int(struct file *file, size_t offset, int32_t value)
{
    memcpy(file->bytes + offset, &value, sizeof value);
}

static void put_float(struct file *file, size_t offset, float value)
{
    memcpy(file->bytes + offset, &value, sizeof value);
}

static struct file make_file(int nx, int ny, int nz, int mode, size_t extended, const void *data,
                             size_t data_bytes)
{
    struct file file = {.length = HEADER + extended + data_bytes, .extended = extended};
    file.bytes = calloc(1, file.length);
    const int32_t words[] = {nx, ny, nz, mode, 0, 0, 0, nx, ny, nz};
    memcpy(file.bytes, words, sizeof words);
    for (size_t i = 0; i < 3; i++)
        put_float(&file, 40 + 4 * i, 1.5F * (float)words[i]);
    put_int(&file, 92, (int32_t)extended);
    memcpy(file.bytes + 208, "MAP \x44\x44\0\0", 8);
    memset(file.bytes + HEADER, 0xaa, extended);
    if (data_bytes)
        memcpy(file.bytes + HEADER + extended, data, data_bytes);
    return file;
}

static void swap_range(unsigned char *bytes, size_t length, size_t word)
{
    for (size_t i = 0; i + word <= length; i += word)
        for (size_t j = 0; j < word / 2; j++) {
            unsigned char byte = bytes[i + j];
            bytes[i + j] = bytes[i + word - 1 - j];
            bytes[i + word - 1 - j] = byte;
        }
}

/* Makes the file big-endian, its stamp too. */
static void swap_file(struct file *file, size_t pixel_bytes)
{
    size_t data = HEADER + file->extended;
    swap_range(file->bytes, 208, 4);
    memcpy(file->bytes + 212, "\x11\x11\0\0", 4);
    swap_range(file->bytes + data, file->length - data, pixel_bytes);
}

static struct ps_micrograph *parse(const struct file *file, const struct ps_read_options *options)
{
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    int code = ps_micrograph_parse(file->bytes, file->length, options, &micrograph, &error);
    if (code)
        fail_msg("refused: %s", error.message);
    assert_ptr_equal(micrograph->image.pixels, micrograph->pixels);
    assert_int_equal(micrograph->bytes, file->length);
    return micrograph;
}

/* The file must be refused with exactly this message; frees it. */
static void refuse(struct file file, const struct ps_read_options *options, const char *message)
{
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    int code = ps_micrograph_parse(file.bytes, file.length, options, &micrograph, &error);
    assert_string_equal(error.message, message);
    assert_int_equal(code, PS_E_INPUT);
    assert_int_equal(error.code, PS_E_INPUT);
    assert_null(micrograph);
    free(file.bytes);
}

/* P13, P14 */
static void test_every_mode_in_both_byte_orders(void **state)
{
    (void)state;
    const int8_t i8[6] = {-128, -1, 0, 1, 5, 127};
    const int16_t i16[6] = {-32768, -2, 0, 3, 258, 32767};
    const uint16_t u16[6] = {0, 1, 258, 32768, 65534, 65535};
    const uint16_t f16[6] = {0x0000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x3555};
    const float f32[6] = {0, -1.5F, 3.25e7F, 1e-20F, 65535.5F, -0.F};
    const struct {
        int mode;
        enum ps_pixel type;
        const void *data;
        size_t bytes;
    } cases[] = {{0, PS_PIXEL_I8, i8, 1},
                 {1, PS_PIXEL_I16, i16, 2},
                 {2, PS_PIXEL_F32, f32, 4},
                 {6, PS_PIXEL_U16, u16, 2},
                 {12, PS_PIXEL_F16, f16, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            struct file file =
                make_file(3, 2, 1, cases[i].mode, 96, cases[i].data, 6 * cases[i].bytes);
            if (swapped)
                swap_file(&file, cases[i].bytes);
            struct ps_micrograph *m = parse(&file, &skip_movies);
            assert_int_equal(m->mode, cases[i].mode);
            assert_int_equal(m->image.type, cases[i].type);
            assert_int_equal(m->image.width, 3);
            assert_int_equal(m->image.height, 2);
            assert_int_equal(m->frames, 1);
            assert_true(m->image.pixel_size == 1.5);
            assert_string_equal(m->format, "mrc");
            assert_string_equal(m->warning, "");
            assert_memory_equal(m->pixels, cases[i].data, 6 * cases[i].bytes);
            ps_micrograph_free(m);
            free(file.bytes);
        }
    }
}

/* P14 */
static void test_byte_order_does_not_trust_the_stamp(void **state)
{
    (void)state;
    const int16_t data[6] = {1, 2, 3, 4, 5, 6};
    struct file file = make_file(3, 2, 1, 1, 0, data, sizeof data);
    memcpy(file.bytes + 212, "\x11\x11\0\0", 4); /* a lie */
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_memory_equal(m->pixels, data, sizeof data);
    ps_micrograph_free(m);
    memset(file.bytes + 208, 0, 8); /* as old programs wrote it */
    m = parse(&file, &skip_movies);
    assert_memory_equal(m->pixels, data, sizeof data);
    ps_micrograph_free(m);
    swap_file(&file, 2);
    memset(file.bytes + 208, 0, 8);
    m = parse(&file, &skip_movies);
    assert_memory_equal(m->pixels, data, sizeof data);
    ps_micrograph_free(m);
    free(file.bytes);
}

/* 256 is 65536 in the other order, and mode 0 is 0 in both: only the stamp can tell. */
static void test_the_stamp_breaks_a_tie(void **state)
{
    (void)state;
    const size_t bytes = 256 * 256 * 256;
    const struct ps_read_options options = {.movies = PS_MOVIES_SUM, .max_pixels = 256 * 256};
    void *data = calloc(1, bytes);
    struct file file = make_file(256, 256, 256, 0, 0, data, bytes);
    swap_file(&file, 1);
    struct ps_micrograph *m = parse(&file, &options);
    assert_int_equal(m->image.width, 256);
    assert_int_equal(m->frames, 256);
    ps_micrograph_free(m);
    free(file.bytes);
    free(data);
}

/* P13 */
static void test_bytes_are_unsigned_where_imod_says_so(void **state)
{
    (void)state;
    const unsigned char data[6] = {0, 1, 127, 128, 200, 255};
    const struct {
        int32_t stamp;
        int32_t flags;
        enum ps_pixel type;
    } cases[] = {{0, 0, PS_PIXEL_I8},
                 {0, 1, PS_PIXEL_I8},
                 {1146047817, 1, PS_PIXEL_I8},
                 {1146047817, 0, PS_PIXEL_U8},
                 {1146047817, 6, PS_PIXEL_U8}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            struct file file = make_file(3, 2, 1, 0, 0, data, sizeof data);
            put_int(&file, 152, cases[i].stamp);
            put_int(&file, 156, cases[i].flags);
            if (swapped)
                swap_file(&file, 1);
            struct ps_micrograph *m = parse(&file, &skip_movies);
            assert_int_equal(m->image.type, cases[i].type);
            assert_memory_equal(m->pixels, data, sizeof data);
            ps_micrograph_free(m);
            free(file.bytes);
        }
    }
}

static void test_four_bits_low_half_first_rows_padded(void **state)
{
    (void)state;
    const unsigned char data[6] = {0x21, 0x43, 0xf5, 0x76, 0x98, 0xfa};
    const unsigned char odd[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct file file = make_file(5, 2, 1, 101, 0, data, sizeof data);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_int_equal(m->image.type, PS_PIXEL_U8);
    assert_int_equal(m->image.width, 5);
    assert_memory_equal(m->pixels, odd, sizeof odd);
    ps_micrograph_free(m);
    free(file.bytes);

    /* IMOD's other way: mode 0, flag 16, nx in bytes. */
    const unsigned char even[12] = {1, 2, 3, 4, 5, 15, 6, 7, 8, 9, 10, 15};
    file = make_file(3, 2, 1, 0, 0, data, sizeof data);
    put_int(&file, 152, 1146047817);
    put_int(&file, 156, 16);
    m = parse(&file, &skip_movies);
    assert_int_equal(m->image.width, 6);
    assert_int_equal(m->image.height, 2);
    assert_memory_equal(m->pixels, even, sizeof even);
    ps_micrograph_free(m);
    free(file.bytes);
}

static double pixel_size_of(int mx, float cell_x, int my, float cell_y, char *warning)
{
    const float data[6] = {0};
    struct file file = make_file(3, 2, 1, 2, 0, data, sizeof data);
    put_int(&file, 28, mx);
    put_int(&file, 32, my);
    put_float(&file, 40, cell_x);
    put_float(&file, 44, cell_y);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    double size = m->image.pixel_size;
    strcpy(warning, m->warning);
    ps_micrograph_free(m);
    free(file.bytes);
    return size;
}

/* P20 */
static void test_pixel_size_or_unknown(void **state)
{
    (void)state;
    char warning[160];
    assert_true(pixel_size_of(4, 5, 4, 5, warning) == 1.25);
    assert_true(pixel_size_of(3, 3, 2, 2, warning) == 1); /* may well be true */
    assert_true(pixel_size_of(4, 5, 0, 0, warning) == 1.25);
    assert_true(pixel_size_of(0, 5, 4, 5, warning) == 0);
    assert_true(pixel_size_of(-4, -5, 4, 5, warning) == 0);
    assert_true(pixel_size_of(3, 0, 2, 0, warning) == 0);
    assert_true(pixel_size_of(3, NAN, 2, 2, warning) == 0);
    assert_true(pixel_size_of(3, INFINITY, 2, 2, warning) == 0);
    assert_true(pixel_size_of(3, -3, 2, -2, warning) == 0);
    assert_true(pixel_size_of(1, 1, 1, 1, warning) == 0);       /* never filled in */
    assert_true(pixel_size_of(4096, 1, 4096, 1, warning) == 0); /* 0.0002 A */
    assert_true(pixel_size_of(3, 3e6F, 2, 2e6F, warning) == 0);
    assert_string_equal(warning, "");
    assert_true(pixel_size_of(4, 5, 4, 10, warning) == 0);
    assert_string_equal(warning, "pixel size unknown: 1.25 A along x, 2.5 A along y");
}

/* P11 */
static void test_movies_are_refused_or_summed(void **state)
{
    (void)state;
    int16_t data[40 * 6];
    float sums[6] = {0};
    for (int i = 0; i < 240; i++) {
        data[i] = (int16_t)(i * 37 % 1000 - 500);
        sums[i % 6] += (float)data[i];
    }
    for (int swapped = 0; swapped < 2; swapped++) {
        struct file file = make_file(3, 2, 40, 1, 16, data, sizeof data);
        if (swapped)
            swap_file(&file, 2);
        struct ps_micrograph *m = parse(&file, &sum_movies);
        assert_int_equal(m->frames, 40);
        assert_int_equal(m->mode, 1);
        assert_int_equal(m->image.type, PS_PIXEL_F32);
        assert_memory_equal(m->pixels, sums, sizeof sums);
        ps_micrograph_free(m);
        refuse(file, &skip_movies,
               "movie of 40 frames: skipped; with input.movies = sum they would be added up");
    }

    const unsigned char nibbles[4] = {0x21, 0xf3, 0x54, 0x06};
    const float nibble_sums[3] = {5, 7, 9};
    struct file file = make_file(3, 1, 2, 101, 0, nibbles, sizeof nibbles);
    struct ps_micrograph *m = parse(&file, &sum_movies);
    assert_memory_equal(m->pixels, nibble_sums, sizeof nibble_sums);
    ps_micrograph_free(m);
    free(file.bytes);
}

static void test_volumes_are_refused(void **state)
{
    (void)state;
    float data[36] = {0};
    struct file file = make_file(3, 2, 6, 2, 0, data, sizeof data);
    put_int(&file, 88, 1);
    refuse(file, &sum_movies, "a volume of 6 sections (space group 1), a micrograph expected");
    file = make_file(3, 2, 6, 2, 0, data, sizeof data);
    put_int(&file, 88, 401);
    put_int(&file, 36, 3);
    refuse(file, &sum_movies, "a volume of 6 sections (space group 401), a micrograph expected");
    /* One section, or sections that are not a cell: images. */
    file = make_file(3, 12, 1, 2, 0, data, sizeof data);
    put_int(&file, 88, 1);
    ps_micrograph_free(parse(&file, &skip_movies));
    free(file.bytes);
    file = make_file(3, 2, 6, 2, 0, data, sizeof data);
    put_int(&file, 88, 1);
    put_int(&file, 36, 1);
    ps_micrograph_free(parse(&file, &sum_movies));
    free(file.bytes);
}

/* P16 */
static void test_modes_are_named(void **state)
{
    (void)state;
    const float data[12] = {0};
    refuse(make_file(3, 2, 1, 154285104, 0, data, 24), &skip_movies,
           "corrupt header: mode 154285104 is not an MRC mode (0, 1, 2, 6, 12 or 101 expected)");
    refuse(make_file(3, 2, 1, -1, 0, data, 24), &skip_movies,
           "corrupt header: mode -1 is not an MRC mode (0, 1, 2, 6, 12 or 101 expected)");
    refuse(
        make_file(3, 2, 1, 3, 0, data, 24), &skip_movies,
        "mode 3 (complex 16-bit integer) is not used for micrographs: 0, 1, 2, 6, 12 or 101 expected");
    refuse(
        make_file(3, 2, 1, 4, 0, data, 48), &skip_movies,
        "mode 4 (complex 32-bit float) is not used for micrographs: 0, 1, 2, 6, 12 or 101 expected");
    refuse(make_file(3, 2, 1, 16, 0, data, 18), &skip_movies,
           "mode 16 (RGB colour) is not used for micrographs: 0, 1, 2, 6, 12 or 101 expected");
}

static void test_sides_must_make_sense(void **state)
{
    (void)state;
    refuse(make_file(0, 2, 1, 2, 0, NULL, 0), &skip_movies,
           "corrupt header: nx = 0, ny = 2, nz = 1 (1 to 1048575 expected of each)");
    refuse(make_file(3, -2, 1, 2, 0, NULL, 0), &skip_movies,
           "corrupt header: nx = 3, ny = -2, nz = 1 (1 to 1048575 expected of each)");
    refuse(make_file(3, 2, 0, 2, 0, NULL, 0), &skip_movies,
           "corrupt header: nx = 3, ny = 2, nz = 0 (1 to 1048575 expected of each)");
    refuse(make_file(2000000000, 2, 1, 2, 0, NULL, 0), &skip_movies,
           "corrupt header: nx = 2000000000, ny = 2, nz = 1 (1 to 1048575 expected of each)");
    /* Without "MAP " three sound numbers still make it an MRC file. */
    struct file file = make_file(0, 2, 1, 2, 0, NULL, 0);
    memset(file.bytes + 208, 0, 8);
    refuse(file, &skip_movies,
           "corrupt header: nx = 0, ny = 2, nz = 1 (1 to 1048575 expected of each)");
}

/* P15 */
static void test_truncated_data(void **state)
{
    (void)state;
    void *data = calloc(1, 40000);
    refuse(make_file(1024, 1024, 1, 2, 0, data, 1000), &skip_movies,
           "truncated: 1000 bytes of pixel data, 4194304 expected from 1024 x 1024 px of mode 2");
    refuse(make_file(100, 100, 40, 2, 512, data, 40000), &sum_movies,
           "truncated: 40000 bytes of pixel data, 1600000 expected from 40 frames of 100 x 100 px "
           "of mode 2");
    refuse(make_file(3, 2, 1, 2, 0, data, 0), &skip_movies,
           "truncated: 0 bytes of pixel data, 24 expected from 3 x 2 px of mode 2");
    refuse(make_file(1048575, 1048575, 1048575, 2, 0, data, 0), &sum_movies,
           "truncated: 0 bytes of pixel data, 4611672824300437500 expected from 1048575 frames of "
           "1048575 x 1048575 px of mode 2");
    struct file file = make_file(3, 2, 1, 2, 0, NULL, 0);
    file.length = 700;
    refuse(file, &skip_movies, "truncated: 700 bytes, the header of an MRC file has 1024");
    file = make_file(3, 2, 1, 2, 0, NULL, 0);
    file.length = 16;
    refuse(file, &skip_movies, "truncated: 16 bytes, the header of an MRC file has 1024");
    free(data);
}

/* P15 */
static void test_wrong_nsymbt(void **state)
{
    (void)state;
    const float data[300] = {0};
    struct file file = make_file(3, 2, 1, 2, 0, data, 24);
    put_int(&file, 92, -80);
    refuse(file, &skip_movies, "wrong nsymbt: -80, the length of the extended header expected");
    file = make_file(3, 2, 1, 2, 0, data, 24);
    put_int(&file, 92, 4096);
    refuse(file, &skip_movies,
           "wrong nsymbt: it says 4096 bytes of extended header, but header and pixels alone are "
           "the 1048 bytes of the file");
    file = make_file(3, 2, 1, 2, 0, data, 1000);
    put_int(&file, 92, 4096);
    refuse(file, &skip_movies,
           "wrong nsymbt: 4096 bytes of extended header according to nsymbt, but only 1000 bytes "
           "follow the header");
    file = make_file(300, 2, 1, 2, 0, data, 1000);
    put_int(&file, 92, 4096);
    refuse(file, &skip_movies,
           "truncated, or nsymbt is wrong: 4096 bytes of extended header according to nsymbt, but "
           "only 1000 bytes follow the header");
    file = make_file(3, 2, 1, 2, 0, data, 1000);
    memcpy(file.bytes + 104, "FEI1", 4);
    refuse(file, &skip_movies,
           "wrong nsymbt: it says 0, but the file is 976 bytes longer than header and pixels and "
           "names an extended header (FEI1)");
}

static void test_surplus_is_tolerated_unless_it_is_frames(void **state)
{
    (void)state;
    const float data[10 * 6] = {1, 2, 3, 4, 5, 6, 7};
    struct file file = make_file(3, 2, 1, 2, 0, data, 24 + 13);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_string_equal(m->warning, "13 bytes after the pixel data ignored");
    assert_memory_equal(m->pixels, data, 24);
    ps_micrograph_free(m);
    put_float(&file, 44, 10);
    m = parse(&file, &skip_movies);
    assert_string_equal(m->warning, "pixel size unknown: 1.5 A along x, 5 A along y; 13 bytes "
                                    "after the pixel data ignored");
    ps_micrograph_free(m);
    free(file.bytes);
    refuse(make_file(3, 2, 1, 2, 0, data, sizeof data), &skip_movies,
           "corrupt header: nz says 1, but the length of the file fits 10 frames of 3 x 2 px of "
           "mode 2");
}

static void test_nothing_is_allocated_that_max_pixels_forbids(void **state)
{
    (void)state;
    const unsigned char data[16] = {0};
    const struct ps_read_options fifteen = {.movies = PS_MOVIES_SKIP, .max_pixels = 15},
                                 sixteen = {.movies = PS_MOVIES_SKIP, .max_pixels = 16};
    refuse(make_file(4, 4, 1, 0, 0, data, 16), &fifteen,
           "4 x 4 px, more than the 15 pixels that compute.max_pixels allows");
    struct file file = make_file(4, 4, 1, 0, 0, data, 16);
    ps_micrograph_free(parse(&file, &sixteen));
    free(file.bytes);
    file = make_file(1, 1, 1, 0, 0, data, 1);
    struct ps_micrograph *m = parse(&file, &skip_movies);
    assert_int_equal(m->image.width * m->image.height, 1);
    ps_micrograph_free(m);
    free(file.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_mode_in_both_byte_orders),
        cmocka_unit_test(test_byte_order_does_not_trust_the_stamp),
        cmocka_unit_test(test_the_stamp_breaks_a_tie),
        cmocka_unit_test(test_bytes_are_unsigned_where_imod_says_so),
        cmocka_unit_test(test_four_bits_low_half_first_rows_padded),
        cmocka_unit_test(test_pixel_size_or_unknown),
        cmocka_unit_test(test_movies_are_refused_or_summed),
        cmocka_unit_test(test_volumes_are_refused),
        cmocka_unit_test(test_modes_are_named),
        cmocka_unit_test(test_sides_must_make_sense),
        cmocka_unit_test(test_truncated_data),
        cmocka_unit_test(test_wrong_nsymbt),
        cmocka_unit_test(test_surplus_is_tolerated_unless_it_is_frames),
        cmocka_unit_test(test_nothing_is_allocated_that_max_pixels_forbids),
    };
    return cmocka_run_group_tests_name("mrc", tests, NULL, NULL);
}
