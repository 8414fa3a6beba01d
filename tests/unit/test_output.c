/* Files of picks and pictures: what other programs find in them, and that they find all or nothing.
 */
#include "base/atomic_file.h"
#include "base/error.h"
#include "config/config.h"
#include "picks/format.h"
#include "picks/write.h"
#include "picture/overlay.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/pickstream-output-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static const char *in_directory(const char *name)
{
    static char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* The bytes of a file as a string, to be freed. */
static char *content(const char *path)
{
    FILE *stream = fopen(path, "r");
    if (!stream)
        fail_msg("%s is missing", path);
    enum { MAX_BYTES = 1 << 20 };
    char *text = calloc(1, MAX_BYTES);
    size_t length = fread(text, 1, MAX_BYTES - 1, stream);
    (void)fclose(stream);
    text[length] = '\0';
    return text;
}

static void assert_content(const char *path, const char *expected)
{
    char *text = content(path);
    assert_string_equal(text, expected);
    free(text);
}

static int entries(const char *path)
{
    DIR *stream = opendir(path);
    assert_non_null(stream);
    int count = 0;
    while (readdir(stream))
        count++;
    (void)closedir(stream);
    return count - 2;
}

/* ---- atomic files --------------------------------------------------------------------------- */

static int write_text(FILE *stream, const void *context, struct ps_error *error)
{
    (void)error;
    (void)fputs(context, stream);
    return 0;
}

static int write_half(FILE *stream, const void *context, struct ps_error *error)
{
    (void)fputs(context, stream);
    (void)fflush(stream);
    return ps_fail(error, PS_E_DEVICE, "the writer gave up");
}

static int write_much(FILE *stream, const void *context, struct ps_error *error)
{
    (void)error;
    for (int i = 0; i < 1000; i++)
        (void)fputs(context, stream);
    return 0;
}

/* P41 */
static void writes_and_replaces(void **state)
{
    (void)state;
    const char *path = in_directory("new/deep/er/file");
    struct ps_error error = {0};
    mode_t mask = umask(027);
    if (ps_file_write_atomically(path, write_text, "first", &error) != 0)
        fail_msg("%s", error.message);
    (void)umask(mask);
    assert_content(path, "first");
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
    assert_int_equal(ps_file_write_atomically(path, write_text, "second", &error), 0);
    assert_content(path, "second");
    assert_int_equal(entries(in_directory("new/deep/er")), 1);
}

static void without_a_directory(void **state)
{
    (void)state;
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(ps_file_write_atomically("here", write_text, "x", NULL), 0);
    assert_int_equal(chdir("/"), 0);
    assert_content(in_directory("here"), "x");
}

/* P41: another name of the file that is there keeps the old bytes: it was not written over. */
static void old_file_is_not_touched(void **state)
{
    (void)state;
    char other[200];
    (void)snprintf(other, sizeof other, "%s", in_directory("replace-other"));
    const char *path = in_directory("replace");
    assert_int_equal(ps_file_write_atomically(path, write_text, "old", NULL), 0);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(ps_file_write_atomically(path, write_text, "new", NULL), 0);
    assert_content(other, "old");
    assert_content(path, "new");
}

/* P41 */
static void failed_writer_leaves_nothing(void **state)
{
    (void)state;
    const char *path = in_directory("failed/file");
    struct ps_error error = {0};
    assert_int_equal(ps_file_write_atomically(path, write_text, "old", &error), 0);
    assert_int_equal(ps_file_write_atomically(path, write_half, "ne", NULL), PS_E_DEVICE);
    assert_int_equal(ps_file_write_atomically(path, write_half, "ne", &error), PS_E_DEVICE);
    char expected[300];
    (void)snprintf(expected, sizeof expected, "%s: the writer gave up", path);
    assert_string_equal(error.message, expected);
    assert_content(path, "old");
    assert_int_equal(entries(in_directory("failed")), 1);
}

/* A limit on the size of files stands for a disk that gets full. */
static void full_disk_is_reported(void **state)
{
    (void)state;
    const char *path = in_directory("full/file");
    struct ps_error error = {0};
    assert_int_equal(ps_file_write_atomically(path, write_text, "old", &error), 0);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int small_code = ps_file_write_atomically(path, write_much, "new", &error);
    struct ps_error large_error = {0};
    int large_code = ps_file_write_atomically(path, write_much, "0123456789", &large_error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    assert_int_equal(small_code, PS_E_SYSTEM); /* fails in the flush at the end */
    assert_int_equal(large_code, PS_E_SYSTEM); /* fails on the way */
    char expected[300];
    (void)snprintf(expected, sizeof expected, "%s: cannot write: File too large", path);
    assert_string_equal(error.message, expected);
    assert_string_equal(large_error.message, expected);
    assert_content(path, "old");
    assert_int_equal(entries(in_directory("full")), 1);
}

static void impossible_places(void **state)
{
    (void)state;
    struct ps_error error = {0};
    char expected[600], blocked[200];
    assert_int_equal(ps_file_write_atomically(in_directory("plain"), write_text, "x", NULL), 0);

    (void)snprintf(blocked, sizeof blocked, "%s", in_directory("plain/sub/file"));
    assert_int_equal(ps_file_write_atomically(blocked, write_text, "x", &error), PS_E_SYSTEM);
    (void)snprintf(expected, sizeof expected,
                   "%s: cannot make directory %s/plain/sub: Not a directory", blocked, directory);
    assert_string_equal(error.message, expected);

    (void)snprintf(blocked, sizeof blocked, "%s", in_directory("plain/file"));
    assert_int_equal(ps_file_write_atomically(blocked, write_text, "x", &error), PS_E_SYSTEM);
    (void)snprintf(expected, sizeof expected, "%s: cannot open directory %s/plain: Not a directory",
                   blocked, directory);
    assert_string_equal(error.message, expected);

    assert_int_equal(mkdir(in_directory("taken"), 0777), 0);
    const char *taken = in_directory("taken");
    assert_int_equal(ps_file_write_atomically(taken, write_text, "x", &error), PS_E_SYSTEM);
    (void)snprintf(expected, sizeof expected,
                   "%s: cannot rename a temporary file to this name: Is a directory", taken);
    assert_string_equal(error.message, expected);

    const char *nameless = in_directory("taken/");
    assert_int_equal(ps_file_write_atomically(nameless, write_text, "x", &error), PS_E_SYSTEM);
    (void)snprintf(expected, sizeof expected, "%s: the name of a file is missing", nameless);
    assert_string_equal(error.message, expected);
    assert_int_equal(entries(in_directory("taken")), 0);
}

static void read_only_directory(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        print_message("root may write everywhere: read-only directory not tested\n");
        skip();
    }
    assert_int_equal(mkdir(in_directory("locked"), 0555), 0);
    const char *path = in_directory("locked/file");
    struct ps_error error = {0};
    assert_int_equal(ps_file_write_atomically(path, write_text, "x", &error), PS_E_SYSTEM);
    char expected[300];
    (void)snprintf(expected, sizeof expected,
                   "%s: cannot make a file in this directory: Permission denied", path);
    assert_string_equal(error.message, expected);
}

/* ---- picks ---------------------------------------------------------------------------------- */

static struct ps_pick some_picks[] = {
    {.x = 512, .y = 100.25F, .score = 1.0F / 3.0F, .area = 812},
    {.x = 0.1F, .y = 4095.9998F, .score = -2.7182817F, .area = 1e-7F},
    {.x = 99, .y = 0, .score = -1e-38F, .area = 1234567},
};
enum { SOME = sizeof some_picks / sizeof *some_picks };

static void write_picks(const char *path, const char *format, const struct ps_pick_file *file)
{
    struct ps_error error = {0};
    const struct ps_picks_format *row = ps_picks_format_find(format);
    assert_non_null(row);
    if (ps_picks_write(path, row, file, &error) != 0)
        fail_msg("%s", error.message);
}

#define STAR_HEADER                                                                                \
    "\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n_rlnAutopickFigureOfMerit #3\n"

/* The same floats come out as went in, column by column. */
static void star_round_trip(void **state)
{
    (void)state;
    struct ps_result result = {.picks = some_picks, .count = SOME};
    struct ps_pick_file file = {.path = "/data_1/m.mrc", .result = &result};
    const char *path = in_directory("m_autopick.star");
    write_picks(path, "star", &file);
    char *text = content(path);
    const char *head = "# written by pickstream\n" STAR_HEADER;
    assert_memory_equal(text, head, strlen(head));
    char *at = text + strlen(head);
    for (size_t i = 0; i < SOME; i++) {
        assert_true(strtof(at, &at) == some_picks[i].x);
        assert_true(strtof(at, &at) == some_picks[i].y);
        assert_true(strtof(at, &at) == some_picks[i].score);
        assert_int_equal(*at, '\n');
    }
    assert_string_equal(at, "\n\n");
    /* RELION takes the first line with this in it for the table, comment or not. */
    assert_ptr_equal(strstr(text, "data_"), strstr(text, "\ndata_\n") + 1);
    free(text);
}

static void csv_round_trip(void **state)
{
    (void)state;
    struct ps_result result = {.picks = some_picks, .count = SOME};
    struct ps_pick_file file = {.path = "m.mrc", .result = &result};
    const char *path = in_directory("m_autopick.csv");
    write_picks(path, "csv", &file);
    char *text = content(path);
    const char *head = "x,y,score,area\n512,100.25,";
    assert_memory_equal(text, head, strlen(head));
    char *at = strchr(text, '\n');
    for (size_t i = 0; i < SOME; i++) {
        const struct ps_pick *pick = &some_picks[i];
        assert_true(strtof(at + 1, &at) == pick->x && *at == ',');
        assert_true(strtof(at + 1, &at) == pick->y && *at == ',');
        assert_true(strtof(at + 1, &at) == pick->score && *at == ',');
        assert_true(strtof(at + 1, &at) == pick->area && *at == '\n');
    }
    assert_string_equal(at, "\n");
    free(text);
}

/* P40 */
static void no_picks(void **state)
{
    (void)state;
    struct ps_result result = {0};
    struct ps_pick_file file = {.path = "m.mrc", .result = &result};
    const char *path = in_directory("none");
    write_picks(path, "star", &file);
    assert_content(path, "# written by pickstream\n" STAR_HEADER "\n");
    write_picks(path, "csv", &file);
    assert_content(path, "x,y,score,area\n");
    result = (struct ps_result){.outcome = PS_REJECTED, .reason = "constant: the data_ are 5"};
    write_picks(path, "star", &file);
    assert_content(
        path, "# written by pickstream\n# rejected: constant: the data  are 5\n" STAR_HEADER "\n");
}

static json_t *read_json(const char *path)
{
    json_error_t error;
    json_t *object = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fail_msg("%s: %s", path, error.text);
    return object;
}

/* The value at "a.b.c". */
static const json_t *at(const json_t *object, const char *path)
{
    char copy[100], *rest = copy;
    (void)snprintf(copy, sizeof copy, "%s", path);
    for (const char *key = strsep(&rest, "."); key; key = strsep(&rest, "."))
        object = json_object_get(object, key);
    if (!object)
        fail_msg("%s is missing", path);
    return object;
}

static void json_of_picks(void **state)
{
    (void)state;
    struct ps_micrograph micrograph = {.format = "mrc", .mode = 12, .frames = 1, .bytes = 94280704};
    struct ps_result result = {
        .picks = some_picks,
        .count = SOME,
        .truncated = true,
        .score_median = 0.25,
        .diameter = 200,
        .pixel_size = 0.83,
        .unpicked_margin = {1, 2, 3, 4},
        .device = "cpu",
        .warning_count = 1,
        .warnings = {"3 dead columns"},
        .milliseconds = {[PS_STAGE_SCORE] = 40, [PS_STAGE_CENTRES] = 2},
    };
    struct ps_pick_file file = {
        .path = "/d/Grid/x.mrc",
        .name = "Grid/x.mrc",
        .width = 5760,
        .height = 4092,
        .micrograph = &micrograph,
        .pixel_size_source = "header",
        .profile = "aspire",
        .read_milliseconds = 8,
        .result = &result,
    };
    const char *path = in_directory("m_autopick.json");
    write_picks(path, "json", &file);
    json_t *json = read_json(path);
    assert_string_equal(json_string_value(at(json, "schema")), "pickstream/1");
    assert_string_equal(json_string_value(at(json, "type")), "picks");
    assert_string_equal(json_string_value(at(json, "micrograph.path")), "/d/Grid/x.mrc");
    assert_string_equal(json_string_value(at(json, "micrograph.name")), "Grid/x.mrc");
    assert_int_equal(json_integer_value(at(json, "micrograph.bytes")), 94280704);
    assert_int_equal(json_integer_value(at(json, "micrograph.mode")), 12);
    assert_int_equal(json_integer_value(json_array_get(at(json, "micrograph.shape"), 0)), 4092);
    assert_int_equal(json_integer_value(json_array_get(at(json, "micrograph.shape"), 1)), 5760);
    assert_true(json_real_value(at(json, "micrograph.pixel_size")) == 0.83);
    assert_string_equal(json_string_value(at(json, "micrograph.pixel_size_source")), "header");
    assert_int_equal(json_integer_value(json_array_get(at(json, "coordinates.unpicked_margin"), 3)),
                     4);
    assert_true(json_real_value(at(json, "picker.diameter")) == 166);
    assert_string_equal(json_string_value(at(json, "picker.profile")), "aspire");
    assert_string_equal(json_string_value(at(json, "picker.device")), "cpu");
    assert_string_equal(json_string_value(at(json, "result.status")), "picked");
    assert_true(json_is_null(at(json, "result.reason")));
    assert_int_equal(json_integer_value(at(json, "result.count")), SOME);
    assert_true(json_is_true(at(json, "result.truncated")));
    assert_string_equal(json_string_value(json_array_get(at(json, "result.warnings"), 0)),
                        "3 dead columns");
    assert_true(json_real_value(at(json, "milliseconds.score")) == 40);
    assert_true(json_real_value(at(json, "milliseconds.total")) == 50);
    assert_string_equal(json_string_value(json_array_get(at(json, "columns"), 3)), "area");
    assert_int_equal(json_array_size(at(json, "picks")), SOME);
    for (size_t i = 0; i < SOME; i++) {
        const json_t *row = json_array_get(at(json, "picks"), i);
        assert_true((float)json_real_value(json_array_get(row, 0)) == some_picks[i].x);
        assert_true((float)json_real_value(json_array_get(row, 1)) == some_picks[i].y);
        assert_true((float)json_real_value(json_array_get(row, 2)) == some_picks[i].score);
        assert_true((float)json_real_value(json_array_get(row, 3)) == some_picks[i].area);
    }
    json_decref(json);
}

/* Unknown values are null; a name that is not UTF-8 and a NaN do not fail. */
static void json_of_little(void **state)
{
    (void)state;
    struct ps_pick odd = {.x = 1, .y = 2, .score = NAN};
    struct ps_result result = {.outcome = PS_REJECTED, .reason = "constant"};
    struct ps_pick_file file = {.path = "caf\xe9.mrc", .width = 1, .height = 2, .result = &result};
    const char *path = in_directory("little.json");
    write_picks(path, "json", &file);
    json_t *json = read_json(path);
    assert_string_equal(json_string_value(at(json, "micrograph.name")), "caf%E9.mrc");
    assert_true(json_is_null(at(json, "micrograph.format")));
    assert_true(json_is_null(at(json, "micrograph.pixel_size")));
    assert_true(json_is_null(at(json, "picker.diameter")));
    assert_string_equal(json_string_value(at(json, "result.status")), "rejected");
    assert_string_equal(json_string_value(at(json, "result.reason")), "constant");
    assert_int_equal(json_array_size(at(json, "picks")), 0);
    json_decref(json);

    result = (struct ps_result){.picks = &odd, .count = 1, .score_median = NAN};
    write_picks(path, "json", &file);
    json = read_json(path);
    assert_true(json_is_null(json_array_get(json_array_get(at(json, "picks"), 0), 2)));
    json_decref(json);
}

static void names_of_files(void **state)
{
    (void)state;
    static const char *const cases[][4] = {
        {"out", "Grid_1/Data/x.mrc", "_autopick.star", "out/Grid_1/Data/x_autopick.star"},
        {"out/", "a.b/c.d.tiff", ".csv", "out/a.b/c.d.csv"},
        {".", "a.b/plain", "_autopick.json", "./a.b/plain_autopick.json"},
        {"/", ".hidden", "_p", "/.hidden_p"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = ps_picks_path(cases[i][0], cases[i][1], cases[i][2]);
        assert_string_equal(path, cases[i][3]);
        free(path);
    }
}

/* output.formats accepts exactly what there are writers for. */
static void formats_of_the_configuration(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    char all[100] = "";
    struct ps_error error = {0};
    for (const struct ps_picks_format *format = ps_picks_formats; format->name; format++) {
        (void)snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", *all ? ", " : "",
                       format->name);
        if (ps_config_set(config, "output.formats", format->name, &error) != 0)
            fail_msg("%s", error.message);
    }
    char *last = strrchr(all, ',');
    char expected[200];
    (void)snprintf(expected, sizeof expected,
                   "output.formats = x: expected one or more of %.*s or%s", (int)(last - all), all,
                   last + 1);
    assert_int_equal(ps_config_set(config, "output.formats", "x", &error), PS_E_CONFIG);
    assert_string_equal(error.message, expected);
    assert_null(ps_picks_format_find("x"));
    ps_config_free(config);
}

/* ---- overlay -------------------------------------------------------------------------------- */

struct rgb {
    int red, green, blue;
};

static png_bytep read_png(const char *path, int *ret_width, int *ret_height)
{
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path))
        fail_msg("%s: %s", path, image.message);
    assert_int_equal(image.format, PNG_FORMAT_RGB); /* as it is stored */
    png_bytep pixels = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    *ret_width = (int)image.width;
    *ret_height = (int)image.height;
    return pixels;
}

static struct rgb pixel_at(png_const_bytep pixels, int width, int x, int y)
{
    png_const_bytep pixel = pixels + 3 * ((size_t)y * (size_t)width + (size_t)x);
    return (struct rgb){pixel[0], pixel[1], pixel[2]};
}

static bool is_grey(struct rgb colour)
{
    return colour.red == colour.green && colour.green == colour.blue;
}

/* A ramp that is dark in the first rows, with two picks. */
static void overlay_of_two(void **state)
{
    (void)state;
    enum { WIDTH = 300, HEIGHT = 200 };
    uint8_t *pixels = malloc(WIDTH * HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = (uint8_t)(i / WIDTH);
    struct ps_image image = {
        .pixels = pixels, .type = PS_PIXEL_U8, .width = WIDTH, .height = HEIGHT};
    struct ps_pick picks[] = {{.x = 100, .y = 50, .score = 5}, {.x = 299, .y = 199, .score = 1}};
    struct ps_result result = {.picks = picks, .count = 2, .diameter = 40};
    const char *path = in_directory("two.png");
    struct ps_error error = {0};
    if (ps_overlay_write(path, &image, &result, &error) != 0)
        fail_msg("%s", error.message);
    free(pixels);
    int width, height;
    png_bytep png = read_png(path, &width, &height);
    assert_int_equal(width, WIDTH);
    assert_int_equal(height, HEIGHT);
    /* y = 0 is on top */
    assert_true(pixel_at(png, width, 150, 0).red < pixel_at(png, width, 150, 199).red);
    /* the better pick yellow, all around, the other one blue */
    static const int around[4][2] = {{120, 50}, {80, 50}, {100, 70}, {100, 30}};
    for (int i = 0; i < 4; i++) {
        struct rgb colour = pixel_at(png, width, around[i][0], around[i][1]);
        assert_true(colour.red > 200 && colour.green > 200 && colour.blue < 80);
    }
    struct rgb worse = pixel_at(png, width, 279, 199);
    assert_true(worse.blue > 200 && worse.red < 100);
    assert_true(is_grey(pixel_at(png, width, 100, 50)));
    assert_true(is_grey(pixel_at(png, width, 117, 50)));
    assert_true(is_grey(pixel_at(png, width, 123, 50)));
    free(png);
}

/* Larger than a picture may be: it is binned, by a whole number, and circles shrink with it. */
static void overlay_is_binned(void **state)
{
    (void)state;
    enum { WIDTH = 4097, HEIGHT = 31 };
    float *pixels = calloc(WIDTH * HEIGHT, sizeof *pixels);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        pixels[i] = 1e6F + (float)(i % 7);
    pixels[5] = NAN;
    pixels[6] = INFINITY;
    pixels[7] = 1e30F;
    struct ps_image image = {
        .pixels = pixels, .type = PS_PIXEL_F32, .width = WIDTH, .height = HEIGHT};
    struct ps_pick pick = {.x = 3001, .y = 16};
    struct ps_result result = {.picks = &pick, .count = 1, .diameter = 24};
    const char *path = in_directory("binned.png");
    assert_int_equal(ps_overlay_write(path, &image, &result, NULL), 0);
    free(pixels);
    int width, height;
    png_bytep png = read_png(path, &width, &height);
    assert_int_equal(width, 1366); /* 3 to 1 */
    assert_int_equal(height, 11);
    assert_false(is_grey(pixel_at(png, width, 1004, 5)));
    assert_false(is_grey(pixel_at(png, width, 996, 5)));
    assert_true(is_grey(pixel_at(png, width, 1000, 5)));
    /* one pixel out of all proportion does not take the contrast from the others */
    int darkest = 255, brightest = 0;
    for (int x = 100; x < 900; x++) {
        int grey = pixel_at(png, width, x, 5).red;
        darkest = grey < darkest ? grey : darkest;
        brightest = grey > brightest ? grey : brightest;
    }
    assert_in_range(brightest - darkest, 60, 255);
    free(png);
}

static void overlay_of_nothing(void **state)
{
    (void)state;
    int16_t pixel = -5;
    float nan = NAN;
    struct ps_image image = {.pixels = &pixel, .type = PS_PIXEL_I16, .width = 1, .height = 1};
    struct ps_result result = {.outcome = PS_REJECTED, .reason = "1 x 1"};
    const char *path = in_directory("nothing.png");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ps_overlay_write(path, &image, &result, NULL), 0);
        int width, height;
        png_bytep png = read_png(path, &width, &height);
        assert_int_equal(width, 1);
        assert_true(is_grey(pixel_at(png, width, 0, 0)));
        free(png);
        image = (struct ps_image){.pixels = &nan, .type = PS_PIXEL_F32, .width = 1, .height = 1};
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_replaces),     cmocka_unit_test(without_a_directory),
        cmocka_unit_test(old_file_is_not_touched), cmocka_unit_test(failed_writer_leaves_nothing),
        cmocka_unit_test(full_disk_is_reported),   cmocka_unit_test(impossible_places),
        cmocka_unit_test(read_only_directory),     cmocka_unit_test(star_round_trip),
        cmocka_unit_test(csv_round_trip),          cmocka_unit_test(no_picks),
        cmocka_unit_test(json_of_picks),           cmocka_unit_test(json_of_little),
        cmocka_unit_test(names_of_files),          cmocka_unit_test(formats_of_the_configuration),
        cmocka_unit_test(overlay_of_two),          cmocka_unit_test(overlay_is_binned),
        cmocka_unit_test(overlay_of_nothing),
    };
    return cmocka_run_group_tests_name("output", tests, make_directory, remove_directory);
}
