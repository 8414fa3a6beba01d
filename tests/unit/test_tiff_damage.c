/* One line about every way in which a TIFF can be wrong, and nothing else: no memory taken for what
 * is not there, nothing printed, no thread's message in another's. */
#include "tiff_file.h"

#include <pthread.h>

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

/* P18 */
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
    const struct ps_read_options few = {.movies = PS_MOVIES_SKIP, .max_pixels = 35};
    refuse(make_file(&plain), &few,
           "9 x 4 px, more than the 35 pixels that compute.max_pixels allows");
    const struct ps_read_options many = {.movies = PS_MOVIES_SKIP, .max_pixels = UINT64_MAX};
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

/* Directories follow their pixels: no truncated file is complete. */
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
        cmocka_unit_test(test_compressions_are_named),
        cmocka_unit_test(test_samples_are_named),
        cmocka_unit_test(test_sizes_are_checked_before_memory_is_taken),
        cmocka_unit_test(test_truncated_headers_and_directories),
        cmocka_unit_test(test_no_beginning_of_a_file_is_read),
        cmocka_unit_test(test_damaged_pixels_and_directories),
        cmocka_unit_test(test_threads_do_not_meet_and_nothing_is_printed),
    };
    return cmocka_run_group_tests_name("tiff_damage", tests, NULL, NULL);
}
