/* Before the readers: opening, sources, files that are not micrographs, messages that name the
 * file. */
#include "image/micrograph.h"
#include "image/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const struct ps_read_options skip_movies = {.movies = PS_MOVIES_SKIP, .max_pixels = 1 << 20};

static void refuse_bytes(const void *bytes, size_t length, const char *message)
{
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    int code = ps_micrograph_parse(bytes, length, &skip_movies, &micrograph, &error);
    assert_string_equal(error.message, message);
    assert_int_equal(code, PS_E_INPUT);
    assert_null(micrograph);
}

static void test_other_files_are_named(void **state)
{
    (void)state;
    const unsigned char zeros[2048] = {0};
    refuse_bytes("", 0, "an empty file, a micrograph expected");
    refuse_bytes("\xff\xd8\xff\xe0\0\x10JFIF", 10, "neither MRC nor TIFF: it is a JPEG image");
    refuse_bytes("\x89PNG\r\n\x1a\n\0\0", 10, "neither MRC nor TIFF: it is a PNG image");
    refuse_bytes("data_\nloop_\n_rlnCoordinateX\n", 28, "neither MRC nor TIFF: it is text");
    refuse_bytes("\x01\x02\xff\xfe junk", 9,
                 "neither MRC nor TIFF: it begins with the bytes 01 02 ff fe");
    refuse_bytes("\x01", 1, "neither MRC nor TIFF: it begins with the bytes 01 00 00 00");
    refuse_bytes(zeros, sizeof zeros,
                 "neither MRC nor TIFF: its first 1024 bytes are all zero, as if it were not "
                 "written yet");
}

/* ---- files ---- */

struct place {
    char directory[64];
    char path[128];
};

static int enter(void **state)
{
    static struct place place; /* one test at a time */
    strcpy(place.directory, "/tmp/test_read.XXXXXX");
    if (!mkdtemp(place.directory))
        return -1;
    snprintf(place.path, sizeof place.path, "%s/a.mrc", place.directory);
    *state = &place;
    return 0;
}

static int leave(void **state)
{
    struct place *place = *state;
    unlink(place->path);
    return rmdir(place->directory);
}

static void write_bytes(const char *path, const void *bytes, size_t length)
{
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static void refuse_path(const char *path, int expected_code, const char *fault)
{
    char message[512];
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    snprintf(message, sizeof message, "%s: %s", path, fault);
    int code = ps_micrograph_read(path, &skip_movies, &micrograph, &error);
    assert_string_equal(error.message, message);
    assert_int_equal(code, expected_code);
    assert_null(micrograph);
    assert_int_equal(ps_micrograph_read(path, &skip_movies, &micrograph, NULL), expected_code);
}

/* 3 x 2 px of mode 2. */
static void make_mrc(unsigned char bytes[static 1048], const float pixels[static 6])
{
    const int32_t words[4] = {3, 2, 1, 2};
    memset(bytes, 0, 1024);
    memcpy(bytes, words, sizeof words);
    memcpy(bytes + 1024, pixels, 24);
}

static void test_a_file_reads_like_its_bytes(void **state)
{
    struct place *place = *state;
    const float pixels[6] = {1, 2, 3, 4, 5, 6};
    unsigned char bytes[1048];
    make_mrc(bytes, pixels);
    write_bytes(place->path, bytes, sizeof bytes);
    struct ps_micrograph *m = NULL;
    struct ps_error error;
    assert_int_equal(ps_micrograph_read(place->path, &skip_movies, &m, &error), 0);
    assert_memory_equal(m->pixels, pixels, sizeof pixels);
    assert_int_equal(m->bytes, sizeof bytes);
    ps_micrograph_free(m);
}

static void test_a_link_to_a_file_is_read(void **state)
{
    struct place *place = *state;
    const float pixels[6] = {0};
    unsigned char bytes[1048];
    char link[160];
    make_mrc(bytes, pixels);
    write_bytes(place->path, bytes, sizeof bytes);
    snprintf(link, sizeof link, "%s.link", place->path);
    assert_int_equal(symlink(place->path, link), 0);
    struct ps_micrograph *m = NULL;
    int code = ps_micrograph_read(link, &skip_movies, &m, NULL);
    unlink(link);
    assert_int_equal(code, 0);
    ps_micrograph_free(m);
}

/* A file that shrinks while it is read: every missing byte is noticed. */
static void test_sources_notice_missing_bytes(void **state)
{
    struct place *place = *state;
    struct ps_error error;
    struct ps_source source;
    char buffer[8];
    write_bytes(place->path, "0123456789", 10);
    int fd = open(place->path, O_RDONLY);
    assert_int_equal(ps_source_file(fd, &source, &error), 0);
    assert_int_equal(source.size, 10);
    assert_int_equal(source.read_at(&source, 6, buffer, 4, &error), 0);
    assert_memory_equal(buffer, "6789", 4);
    assert_int_equal(source.read_at(&source, 6, buffer, 5, &error), PS_E_INPUT);
    assert_int_equal(source.read_at(&source, UINT64_MAX, buffer, 2, &error), PS_E_INPUT);
    assert_int_equal(truncate(place->path, 7), 0);
    assert_int_equal(source.read_at(&source, 4, buffer, 6, &error), PS_E_INPUT);
    assert_string_equal(error.message,
                        "truncated: it ends at byte 7, 6 bytes expected from byte 4");
    close(fd);

    ps_source_memory("0123456789", 10, &source);
    assert_int_equal(source.read_at(&source, 2, buffer, 8, &error), 0);
    assert_memory_equal(buffer, "23456789", 8);
    assert_int_equal(source.read_at(&source, 3, buffer, 8, &error), PS_E_INPUT);
    assert_int_equal(source.read_at(&source, UINT64_MAX, buffer, 2, &error), PS_E_INPUT);
}

static void test_paths_that_are_no_files(void **state)
{
    struct place *place = *state;
    refuse_path(place->path, PS_E_INPUT, "no such file");
    refuse_path(place->directory, PS_E_INPUT, "a directory, not a micrograph");
    assert_int_equal(symlink("/nowhere/at/all", place->path), 0);
    refuse_path(place->path, PS_E_INPUT, "a dangling link: what it points to does not exist");
    unlink(place->path);
    assert_int_equal(symlink(place->path, place->path), 0);
    refuse_path(place->path, PS_E_INPUT, "cannot open: Too many levels of symbolic links");
    unlink(place->path);
    assert_int_equal(mkfifo(place->path, 0600), 0);
    refuse_path(place->path, PS_E_INPUT, "not a regular file but a pipe");
    refuse_path("/dev/zero", PS_E_INPUT, "not a regular file but a character device");
    unlink(place->path);
    write_bytes(place->path, "", 0);
    refuse_path(place->path, PS_E_INPUT, "an empty file, a micrograph expected");
}

static void test_no_permission(void **state)
{
    struct place *place = *state;
    write_bytes(place->path, "x", 1);
    assert_int_equal(chmod(place->path, 0), 0);
    assert_int_equal(chmod(place->directory, 0755), 0);
    const uid_t user = geteuid();
    if (user == 0 && seteuid(65534) != 0) {
        print_message("skipped: root may read everything\n");
        skip();
    }
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    int code = ps_micrograph_read(place->path, &skip_movies, &micrograph, &error);
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(code, PS_E_SYSTEM);
    assert_non_null(strstr(error.message, "/a.mrc: no permission to read it"));
}

static void test_system_failure_is_not_the_files_fault(void **state)
{
    struct place *place = *state;
    write_bytes(place->path, "x", 1);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int code = ps_micrograph_read(place->path, &skip_movies, &micrograph, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(code, PS_E_SYSTEM);
    assert_non_null(strstr(error.message, ": cannot open: Too many open files"));
}

static void test_messages_are_one_line_that_holds_the_fault(void **state)
{
    (void)state;
    struct ps_micrograph *micrograph = NULL;
    struct ps_error error = {0};
    assert_int_equal(ps_micrograph_read("/tmp/no\nsuch\tfile", &skip_movies, &micrograph, &error),
                     PS_E_INPUT);
    assert_string_equal(error.message, "/tmp/no\\x0asuch\\x09file: no such file");

    char path[2001];
    memset(path, 'x', 2000);
    path[2000] = '\0';
    for (size_t i = 0; i < 2000; i += 100)
        path[i] = '/';
    assert_int_equal(ps_micrograph_read(path, &skip_movies, &micrograph, &error), PS_E_INPUT);
    assert_memory_equal(error.message, "...xxx", 6);
    assert_non_null(strstr(error.message, "xxx: no such file"));
}

static void test_no_descriptor_is_left_open(void **state)
{
    struct place *place = *state;
    write_bytes(place->path, "junk", 4);
    int before = open("/dev/null", O_RDONLY);
    close(before);
    struct ps_micrograph *micrograph = NULL;
    for (int i = 0; i < 3; i++) {
        assert_int_not_equal(ps_micrograph_read(place->path, &skip_movies, &micrograph, NULL), 0);
        assert_int_not_equal(ps_micrograph_read("/tmp", &skip_movies, &micrograph, NULL), 0);
    }
    int after = open("/dev/null", O_RDONLY);
    close(after);
    assert_int_equal(before, after);
}

/* Means and corners as mrcfile reads them. */
static void test_real_micrographs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int width, height, mode;
        double pixel_size, mean;
        float first, last;
    } cases[] = {
        {"reference/golden/apoferritin.mrc", 1240, 1200, 6, 0, 32767.1708, 31406, 24061},
        {"reference/golden/sim2k.mrc", 2048, 2048, 0, 1.4, 60.0001681, 38, 49},
        {"data/apoferritin/May08_03.05.02.mrc", 1240, 1200, 6, 2.2, 32767.1708, 31406, 24061},
        {"data/synthetic/s101_box180.mrc", 2048, 2048, 0, 1.4, 59.9999137, 57, 56},
        {"data/contaminated/ice.mrc", 959, 927, 2, 0, 6802.12642, 6800.50342F, 6802.44189F},
    };
    const char *data = getenv("PICKSTREAM_DATA");
    const struct ps_read_options options = {.movies = PS_MOVIES_SKIP, .max_pixels = 1 << 26};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", data ? data : "../shared", cases[k].name);
        if (access(path, R_OK) != 0) {
            print_message("skipped: no %s (set PICKSTREAM_DATA)\n", path);
            skip();
        }
        struct ps_micrograph *m = NULL;
        struct ps_error error = {0};
        if (ps_micrograph_read(path, &options, &m, &error))
            fail_msg("%s", error.message);
        assert_int_equal(m->image.width, cases[k].width);
        assert_int_equal(m->image.height, cases[k].height);
        assert_int_equal(m->mode, cases[k].mode);
        assert_true(fabs(m->image.pixel_size - cases[k].pixel_size) < 1e-5);
        size_t count = (size_t)m->image.width * (size_t)m->image.height;
        float *floats = malloc(count * sizeof *floats);
        ps_pixels_to_float(m->pixels, m->image.type, count, floats);
        double sum = 0;
        for (size_t i = 0; i < count; i++)
            sum += floats[i];
        assert_true(fabs(sum / (double)count - cases[k].mean) < 1e-6 * (1 + fabs(cases[k].mean)));
        assert_true(floats[0] == cases[k].first && floats[count - 1] == cases[k].last);
        free(floats);
        ps_micrograph_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_other_files_are_named),
        cmocka_unit_test_setup_teardown(test_a_file_reads_like_its_bytes, enter, leave),
        cmocka_unit_test_setup_teardown(test_a_link_to_a_file_is_read, enter, leave),
        cmocka_unit_test_setup_teardown(test_sources_notice_missing_bytes, enter, leave),
        cmocka_unit_test_setup_teardown(test_paths_that_are_no_files, enter, leave),
        cmocka_unit_test_setup_teardown(test_no_permission, enter, leave),
        cmocka_unit_test_setup_teardown(test_system_failure_is_not_the_files_fault, enter, leave),
        cmocka_unit_test(test_messages_are_one_line_that_holds_the_fault),
        cmocka_unit_test_setup_teardown(test_no_descriptor_is_left_open, enter, leave),
        cmocka_unit_test(test_real_micrographs),
    };
    return cmocka_run_group_tests_name("read", tests, NULL, NULL);
}
