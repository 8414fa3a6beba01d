/* How much of a micrograph is in its file: a file that still grows must never pass for whole,
 * wherever its writer stands, and no damage may pass for growth. */
#include "image/micrograph.h"
#include "tiff_file.h"

#include <fcntl.h>
#include <sys/stat.h>

static char path[] = "/tmp/pickstream-extent-XXXXXX";

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const void *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static enum ps_extent extent(const void *bytes, size_t length)
{
    enum ps_extent found;
    struct ps_error error;
    write_file(bytes, length);
    if (ps_micrograph_extent(path, &found, &error))
        fail_msg("%s", error.message);
    return found;
}

enum { HEADER = 1024, EXTENDED = 512, PIXELS = 7 * 5 };

/* A 16-bit MRC file of 7 x 5 px and `frames`, all bytes behind the header nonzero. */
static struct file make_mrc(int frames)
{
    struct file file = {.length = (size_t)(HEADER + EXTENDED + 2 * PIXELS * frames)};
    file.bytes = malloc(file.length);
    memset(file.bytes, 0, HEADER);
    memset(file.bytes + HEADER, 0x11, file.length - HEADER);
    const int32_t words[] = {7, 5, frames, 1};
    const int32_t extended = EXTENDED;
    memcpy(file.bytes, words, sizeof words);
    memcpy(file.bytes + 92, &extended, sizeof extended);
    memcpy(file.bytes + 208, "MAP \x44\x44\0\0", 8);
    return file;
}

static void an_mrc_is_short_up_to_its_last_byte(void **state)
{
    (void)state;
    for (int frames = 1; frames <= 3; frames += 2) {
        struct file file = make_mrc(frames);
        for (size_t length = 0; length < file.length; length++)
            assert_int_equal(extent(file.bytes, length), PS_EXTENT_SHORT);
        assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_WHOLE);
        free(file.bytes);
    }
}

static void surplus_is_whole(void **state)
{
    (void)state;
    struct file file = make_mrc(3);
    const int32_t one = 1;
    memcpy(file.bytes + 8, &one, sizeof one);
    assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_WHOLE);
    free(file.bytes);
}

/* P7: the length is final from the first byte on. */
static void a_preallocated_mrc_is_not_whole(void **state)
{
    (void)state;
    enum { SIDE = 100 };
    struct file file = {.length = HEADER + SIDE * SIDE * 2};
    unsigned char *full = malloc(file.length);
    file.bytes = calloc(1, file.length);
    assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_SHORT); /* no header yet */
    const int32_t words[] = {SIDE, SIDE, 1, 1};
    memcpy(file.bytes, words, sizeof words);
    assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_BLANK);
    memcpy(full, file.bytes, HEADER);
    memset(full + HEADER, 0x11, file.length - HEADER);
    memcpy(file.bytes, full, file.length - 4096);
    assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_BLANK);
    assert_int_equal(extent(full, file.length), PS_EXTENT_WHOLE);
    free(file.bytes);
    free(full);
}

static void tiffs_are_short_up_to_their_last_byte(void **state)
{
    (void)state;
    struct spec specs[6] = {plain, plain, plain, plain, plain, plain};
    specs[1].rows_per_strip = 1;
    specs[2].tile = 16;
    specs[2].width = 40;
    specs[3].compression = COMPRESSION_LZW;
    specs[4].mode = "8";
    specs[4].rows_per_strip = 1;
    specs[5].mode = "b";
    specs[5].pages = 3;
    specs[5].bits = 8;
    specs[5].rows_per_strip = 2;
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct file file = make_file(&specs[i]);
        for (size_t length = 0; length < file.length; length++) {
            if (extent(file.bytes, length) != PS_EXTENT_SHORT)
                fail_msg("file %zu: %zu of %zu bytes pass for more", i, length, file.length);
        }
        assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_WHOLE);
        free(file.bytes);
    }
}

/* Writers that know the size beforehand put the directory first: header, directory, pixels. */
static void a_tiff_with_its_directory_first(void **state)
{
    (void)state;
    enum { DIRECTORY = 8, ENTRIES = 8, DATA = DIRECTORY + 2 + 12 * ENTRIES + 4, SIDE = 100 };
    struct file file = {.length = DATA + SIDE * SIDE};
    file.bytes = calloc(1, file.length);
    memcpy(file.bytes, "II*\0\x08\0\0\0", 8);
    const uint16_t tags[ENTRIES] = {256, 257, 258, 259, 262, 273, 278, 279};
    const uint32_t values[ENTRIES] = {SIDE, SIDE, 8, 1, 1, DATA, SIDE, SIDE * SIDE};
    file.bytes[DIRECTORY] = ENTRIES;
    for (size_t i = 0; i < ENTRIES; i++) {
        const uint16_t type = 4; /* LONG */
        const uint32_t count = 1;
        unsigned char *entry = file.bytes + DIRECTORY + 2 + 12 * i;
        memcpy(entry, &tags[i], 2);
        memcpy(entry + 2, &type, 2);
        memcpy(entry + 4, &count, 4);
        memcpy(entry + 8, &values[i], 4);
    }
    assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_BLANK); /* preallocated */
    memset(file.bytes + DATA, 0x11, SIDE * SIDE);
    for (size_t length = 0; length < file.length; length += length < DATA + 10 ? 1 : 999)
        assert_int_equal(extent(file.bytes, length), PS_EXTENT_SHORT);
    assert_int_equal(extent(file.bytes, file.length), PS_EXTENT_WHOLE);
    free(file.bytes);
}

/* P7: what libtiff writes ends with the directory; preallocated, all of it is zero at first. */
static void a_preallocated_tiff_is_not_whole(void **state)
{
    (void)state;
    struct spec spec = plain;
    spec.width = 64;
    spec.height = 64;
    struct file file = make_file(&spec);
    unsigned char *partial = calloc(1, file.length + 8192);
    for (size_t written = 0; written < file.length; written += 64) {
        memcpy(partial, file.bytes, written);
        assert_int_not_equal(extent(partial, file.length + 8192), PS_EXTENT_WHOLE);
    }
    free(file.bytes);
    free(partial);
}

/* It gets its outcome at once, not after waiting for what will never come. */
static void damage_is_not_growth(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text);
    assert_int_equal(extent(text, sizeof text), PS_EXTENT_WHOLE);

    struct file mrc = make_mrc(1);
    const int32_t mode = 77;
    memcpy(mrc.bytes + 12, &mode, sizeof mode);
    assert_int_equal(extent(mrc.bytes, mrc.length), PS_EXTENT_WHOLE);
    free(mrc.bytes);

    static const struct {
        size_t offset;
        int32_t value;
    } impossible[] = {{0, 0}, {4, -1}, {8, 0}, {12, 16}, {92, -1}}; /* nx, ny, nz, mode, nsymbt */
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        mrc = make_mrc(1);
        memcpy(mrc.bytes + impossible[i].offset, &impossible[i].value, sizeof(int32_t));
        assert_int_equal(extent(mrc.bytes, mrc.length), PS_EXTENT_WHOLE);
        free(mrc.bytes);
    }

    struct spec spec = plain;
    spec.bits = 64; /* no samples that a micrograph has */
    struct file tiff = make_file(&spec);
    assert_int_equal(extent(tiff.bytes, tiff.length), PS_EXTENT_WHOLE);
    free(tiff.bytes);
}

/* It cannot be distinguished from a file whose extended header has moved its end. */
static void an_nsymbt_that_is_too_large_may_be_growth(void **state)
{
    (void)state;
    struct file mrc = make_mrc(1);
    assert_int_equal(extent(mrc.bytes, mrc.length - EXTENDED), PS_EXTENT_SHORT);
    const int32_t huge = INT32_MAX;
    memcpy(mrc.bytes + 92, &huge, sizeof huge);
    assert_int_equal(extent(mrc.bytes, mrc.length), PS_EXTENT_SHORT);
    free(mrc.bytes);
}

static void what_is_no_file_fails(void **state)
{
    (void)state;
    enum ps_extent found = PS_EXTENT_BLANK;
    struct ps_error error;
    assert_int_equal(ps_micrograph_extent("/no/such.mrc", &found, &error), PS_E_INPUT);
    assert_string_equal(error.message, "/no/such.mrc: no such file");
    assert_int_equal(ps_micrograph_extent("/tmp", &found, NULL), PS_E_INPUT);
    assert_int_equal(found, PS_EXTENT_BLANK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_mrc_is_short_up_to_its_last_byte),
        cmocka_unit_test(surplus_is_whole),
        cmocka_unit_test(a_preallocated_mrc_is_not_whole),
        cmocka_unit_test(tiffs_are_short_up_to_their_last_byte),
        cmocka_unit_test(a_tiff_with_its_directory_first),
        cmocka_unit_test(a_preallocated_tiff_is_not_whole),
        cmocka_unit_test(damage_is_not_growth),
        cmocka_unit_test(an_nsymbt_that_is_too_large_may_be_growth),
        cmocka_unit_test(what_is_no_file_fails),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
