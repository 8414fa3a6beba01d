/* Configuration: what a user writes, what is refused and with which words, what is printed. */
#include "config/config.h"

#include "config/internal.h"
#include "base/text.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char file[] = "/tmp/pickstream-config-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file);
}

static void write_bytes(const char *bytes, size_t length)
{
    FILE *stream = fopen(file, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static void print_values(const struct ps_config *config, FILE *stream)
{
    assert_int_equal(ps_config_print(config, stream, NULL), 0);
}

/* The output of a printer of the configuration; the caller frees it. */
static char *printed(const struct ps_config *config,
                     void (*print)(const struct ps_config *, FILE *))
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    print(config, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void template_of(const struct ps_config *config, FILE *stream)
{
    (void)config;
    ps_config_template(stream);
}

static void man_of(const struct ps_config *config, FILE *stream)
{
    (void)config;
    ps_config_man(stream);
}

static void set(struct ps_config *config, const char *key, const char *value)
{
    struct ps_error error = {0};
    if (ps_config_set(config, key, value, &error) != 0)
        fail_msg("%s", error.message);
}

/* The file is refused with this message, "FILE" standing for its name, and changes nothing. */
static void assert_refused_bytes(const char *bytes, size_t length, const char *expected)
{
    write_bytes(bytes, length);
    struct ps_config *config = ps_config_new();
    set(config, "picker.tau2", "77");
    set(config, "output.directory", "/before");
    char *before = printed(config, print_values);
    struct ps_error error = {0};
    assert_int_equal(ps_config_read(config, file, &error), PS_E_CONFIG);
    assert_int_equal(error.code, PS_E_CONFIG);
    char full[600];
    (void)snprintf(full, sizeof full, "%s:%s", file, expected);
    assert_string_equal(error.message, full);
    char *after = printed(config, print_values);
    assert_string_equal(before, after);
    free(before);
    free(after);
    ps_config_free(config);
}

static void assert_refused(const char *text, const char *expected)
{
    assert_refused_bytes(text, strlen(text), expected);
}

static void defaults(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    assert_true(config->input.recursive);
    assert_int_equal(config->input.include.count, 5);
    assert_string_equal(config->input.include.items[4], "*.tiff");
    assert_int_equal(config->input.movies, PS_MOVIES_SKIP);
    assert_int_equal(config->picker.profile, PS_PROFILE_ADAPTIVE);
    assert_true(config->picker.particle_diameter.value == 0);
    assert_int_equal(config->picker.classifier, PS_CLASSIFIER_SVM);
    assert_true(isinf(config->picker.min_score) && config->picker.min_score < 0);
    assert_string_equal(config->compute.backend, "auto");
    assert_true(config->compute.max_pixels >= (uint64_t)16384 * 16384);
    assert_false(config->compute.require_gpu);
    assert_string_equal(config->output.directory, ".");
    assert_int_equal(config->output.formats.count, 1);
    ps_config_free(config);
}

/* A default goes in and comes out as it stands in the table: the words for it are the shortest. */
static void defaults_are_canonical(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        char *text = ps_config_format(key, config);
        assert_string_equal(text, key->fallback);
        free(text);
    }
    ps_config_free(config);
}

static void values_from_a_file(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf; comment\n"
                               "[picker]\r\n"
                               "particle_diameter = 64.5 px ; of the ribosome\n"
                               "pixel_size: 0.83\n"
                               "classifier=mixture\n"
                               "min_score = -0.25\n"
                               "tau1 = +12\n"
                               "\n"
                               "[input] # frames\n"
                               "movies = sum\n"
                               "recursive = Off\n"
                               "exclude =\n"
                               "include = *.mrc,*.dat ,  a;b\n"
                               "[picker]\n"
                               "max_picks = 5\n"
                               "[compute]\n"
                               "backend = cuda:3\n"
                               "max_pixels = 68719476736\n"
                               "[output]\n"
                               "formats = json, star\n"
                               "directory = /data/\xc3\xa4 b";
    write_bytes(text, sizeof text - 1);
    struct ps_config *config = ps_config_new();
    struct ps_error error = {0};
    if (ps_config_read(config, file, &error) != 0)
        fail_msg("%s", error.message);
    assert_true(config->picker.particle_diameter.value == 64.5);
    assert_int_equal(config->picker.particle_diameter.unit, PS_UNIT_PIXEL);
    assert_true(config->picker.pixel_size == 0.83);
    assert_int_equal(config->picker.classifier, PS_CLASSIFIER_MIXTURE);
    assert_true(config->picker.min_score == -0.25);
    assert_int_equal(config->picker.tau1, 12);
    assert_int_equal(config->picker.max_picks, 5);
    assert_int_equal(config->input.movies, PS_MOVIES_SUM);
    assert_false(config->input.recursive);
    assert_int_equal(config->input.exclude.count, 0);
    assert_int_equal(config->input.include.count, 3);
    assert_string_equal(config->input.include.items[2], "a;b");
    assert_string_equal(config->compute.backend, "cuda:3");
    assert_true(config->compute.max_pixels == UINT64_C(68719476736));
    assert_int_equal(config->output.formats.count, 2);
    assert_string_equal(config->output.formats.items[0], "json");
    assert_string_equal(config->output.directory, "/data/\xc3\xa4 b");
    ps_config_free(config);
}

static void lengths(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
        enum ps_unit unit;
    } cases[] = {
        {"180", 180, PS_UNIT_ANGSTROM},
        {"180 A", 180, PS_UNIT_ANGSTROM},
        {"180A", 180, PS_UNIT_ANGSTROM},
        {"1.5e2 \u00c5", 150, PS_UNIT_ANGSTROM},
        {"64px", 64, PS_UNIT_PIXEL},
        {"64.5 px", 64.5, PS_UNIT_PIXEL},
        {"0100.0 \u212b", 100, PS_UNIT_ANGSTROM},
    };
    struct ps_config *config = ps_config_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set(config, "picker.particle_diameter", cases[i].text);
        assert_true(config->picker.particle_diameter.value == cases[i].value);
        assert_int_equal(config->picker.particle_diameter.unit, cases[i].unit);
    }
    ps_config_free(config);
}

#define LENGTH_TEXT "expected a length, 1 to 100000, in A (180 or 180 A) or in pixels (64px)"

static void refused_values(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *message;
    } cases[] = {
        {"picker.particle_diameter", "180 nm", "picker.particle_diameter = 180 nm: " LENGTH_TEXT},
        {"picker.particle_diameter", "0", "picker.particle_diameter = 0: " LENGTH_TEXT},
        {"picker.particle_diameter", "nan", "picker.particle_diameter = nan: " LENGTH_TEXT},
        {"picker.particle_diameter", "inf px", "picker.particle_diameter = inf px: " LENGTH_TEXT},
        {"picker.particle_diameter", "0x40px", "picker.particle_diameter = 0x40px: " LENGTH_TEXT},
        {"picker.particle_diameter", "64 px.", "picker.particle_diameter = 64 px.: " LENGTH_TEXT},
        {"picker.particle_diameter", "", "picker.particle_diameter = : " LENGTH_TEXT},
        {"picker.pixel_size", "0,83", "picker.pixel_size = 0,83: expected a number, 0 to 1000 A"},
        {"picker.pixel_size", "1e400", "picker.pixel_size = 1e400: expected a number, 0 to 1000 A"},
        {"picker.pixel_size", "-0.1", "picker.pixel_size = -0.1: expected a number, 0 to 1000 A"},
        {"picker.min_score", "nan",
         "picker.min_score = nan: expected a number, -1000000000 to 1000000000, or none"},
        {"picker.min_score", "-inf",
         "picker.min_score = -inf: expected a number, -1000000000 to 1000000000, or none"},
        {"picker.max_picks", "12x",
         "picker.max_picks = 12x: expected a whole number, 0 to 1000000 picks"},
        {"picker.max_picks", "1.0",
         "picker.max_picks = 1.0: expected a whole number, 0 to 1000000 picks"},
        {"picker.max_picks", "1000001",
         "picker.max_picks = 1000001: expected a whole number, 0 to 1000000 picks"},
        {"compute.threads", "-1",
         "compute.threads = -1: expected a whole number, 0 to 1024 "
         "threads"},
        {"compute.max_pixels", "-1",
         "compute.max_pixels = -1: expected a whole number, 1 to 68719476736 px"},
        {"compute.max_pixels", "99999999999999999999999",
         "compute.max_pixels = 99999999999999999999999: expected a whole number, 1 to 68719476736 "
         "px"},
        {"compute.require_gpu", "maybe", "compute.require_gpu = maybe: expected yes or no"},
        {"compute.backend", "cuda:",
         "compute.backend = cuda:: expected auto, cpu, cuda or cuda:N "
         "with N from 0 to 63"},
        {"compute.backend", "cuda:64",
         "compute.backend = cuda:64: expected auto, cpu, cuda or "
         "cuda:N with N from 0 to 63"},
        {"compute.backend", "gpu",
         "compute.backend = gpu: expected auto, cpu, cuda or cuda:N "
         "with N from 0 to 63"},
        {"picker.classifier", "SVM",
         "picker.classifier = SVM: expected svm, naive_bayes or mixture"},
        {"picker.profile", "best", "picker.profile = best: expected adaptive or aspire"},
        {"output.formats", "star,xml",
         "output.formats = star,xml: expected one or more of star, cryosparc, box, cbox, tsv, csv "
         "or json"},
        {"output.formats", " ", "output.formats: begins or ends with a blank"},
        {"output.formats", ",",
         "output.formats = ,: expected one or more of star, cryosparc, box, cbox, tsv, csv or "
         "json"},
        {"output.directory", "", "output.directory = : expected a path"},
        {"output.directory", "a ;b", "output.directory: \" ;\" would begin a comment"},
        {"output.directory", "a\nb", "output.directory: holds a control character"},
        {"output.directory", "\xff", "output.directory: not UTF-8"},
        {"input.include", "", "input.include = : expected one or more globs"},
        {"input.include", "*.mrc,;x", "input.include = *.mrc,;x: expected one or more globs"},
        {"picker.tua1", "1", "unknown key picker.tua1: did you mean picker.tau1?"},
        {"picker.threads", "1", "unknown key picker.threads: did you mean compute.threads?"},
        {"picker.zzz", "1", "unknown key picker.zzz"},
        {"pikcer.tau1", "1", "unknown section [pikcer]: did you mean [picker]?"},
        {"elsewhere.tau1", "1", "unknown section [elsewhere]"},
        {"tau1", "1", "unknown key tau1: expected section.key"},
    };
    struct ps_config *config = ps_config_new();
    char *before = printed(config, print_values);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ps_error error = {0};
        assert_int_equal(ps_config_set(config, cases[i].key, cases[i].value, &error), PS_E_CONFIG);
        assert_string_equal(error.message, cases[i].message);
        assert_int_equal(ps_config_set(config, cases[i].key, cases[i].value, NULL), PS_E_CONFIG);
    }
    char *after = printed(config, print_values);
    assert_string_equal(before, after);
    free(before);
    free(after);
    ps_config_free(config);
}

static void refused_files(void **state)
{
    (void)state;
    assert_refused("[picker]\ntau1 = 5\n\ntau1 = 6\n",
                   "4: duplicate key picker.tau1: set in line 2 already");
    assert_refused("[picker]\ntau1 = 5\n[input]\n[picker]\ntau1 = 5\n",
                   "5: duplicate key picker.tau1: set in line 2 already");
    assert_refused("[output]\ndirectory = /a\n  /b\n",
                   "3: duplicate key output.directory: set in line 2 already (an indented line "
                   "continues the one before)");
    assert_refused("[picker]\ntau1 = 5 6\n",
                   "2: picker.tau1 = 5 6: expected a whole number, 0 to 1000000000 windows");
    assert_refused("[picker]\ntau1 =\n",
                   "2: picker.tau1 = : expected a whole number, 0 to 1000000000 windows");
    assert_refused("[picker]\n\ntau3 = 5\n",
                   "3: unknown key picker.tau3: did you mean picker.tau1?");
    assert_refused("[pick]\n", "1: unknown section [pick]: did you mean [picker]?");
    assert_refused("[outputs]\n", "1: unknown section [outputs]: did you mean [output]?");
    assert_refused("[ picker ]\n", "1: unknown section [ picker ]: did you mean [picker]?");
    assert_refused("[picker] tau1 = 5\n",
                   "1: [picker] is followed by \"tau1 = 5\": expected the end of the line");
    assert_refused("tau1 = 5\n", "1: key tau1 stands before the first [section]");
    assert_refused("[picker]\ntau1\ntau2 = x\n", "2: expected [section], key = value, or a comment "
                                                 "that begins with ; or #");
    assert_refused("[picker\n", "1: expected [section], key = value, or a comment that begins with "
                                "; or #");
    assert_refused("[picker]\ntau2 = x\ntau1\n",
                   "2: picker.tau2 = x: expected a whole number, 0 to 1000000000 windows");
    assert_refused("[picker]\ntau1 = x\ntau2 = y\n",
                   "2: picker.tau1 = x: expected a whole number, 0 to 1000000000 windows");
    assert_refused("; caf\xe9\n", "1: not UTF-8");
    assert_refused("[picker]\ntau1 = 5\x07\n", "2: control character (byte 0x07)");
    static const char nul[] = "[picker]\ntau1 = 5\0\n";
    assert_refused_bytes(nul, sizeof nul - 1, "2: NUL byte: not a text file");
}

static void assert_items(const struct ps_list *list, const char *const *expected)
{
    size_t count = 0;
    for (; expected[count]; count++) {
        assert_true(count < list->count);
        assert_string_equal(list->items[count], expected[count]);
    }
    assert_int_equal(list->count, count);
}

static void quoted_items(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *items[4];
        const char *canonical;
    } cases[] = {
        {"\"/data/My Session\"", {"/data/My Session"}, "\"/data/My Session\""},
        {"\"/a\",\"/b\" \t/c", {"/a", "/b", "/c"}, "/a /b /c"},
        {"\"\\\"x\\\" \\\\\"", {"\"x\" \\"}, "\"\\\"x\\\" \\\\\""},
        {"C:\\x\\", {"C:\\x\\"}, "C:\\x\\"},
        {"\"a,b\" \";c\" \"#d\" e=f", {"a,b", ";c", "#d", "e=f"}, "\"a,b\" \";c\" \"#d\" \"e=f\""},
        {"", {NULL}, ""},
    };
    struct ps_config *config = ps_config_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *expected[5] = {NULL};
        memcpy(expected, cases[i].items, sizeof cases[i].items);
        set(config, "input.directories", cases[i].text);
        assert_items(&config->input.directories, expected);
        char *text = ps_config_get(config, "input.directories");
        assert_string_equal(text, cases[i].canonical);
        set(config, "input.directories", text);
        assert_items(&config->input.directories, expected);
        free(text);
    }
    set(config, "output.formats", "\"csv\" json");
    assert_items(&config->output.formats, (const char *[]){"csv", "json", NULL});
    static const char *const refused[] = {
        "\"/a", "/a\"",    "\"/a\"b",  "\"/a\"\"/b\"", "/data/\"My Session\"",
        "\"\"", "\"\\x\"", "\"/a\\\"", "\"/a\\",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char expected[200];
        (void)snprintf(expected, sizeof expected,
                       "input.directories = %s: expected none or more paths", refused[i]);
        struct ps_error error = {0};
        assert_int_equal(ps_config_set(config, "input.directories", refused[i], &error),
                         PS_E_CONFIG);
        assert_string_equal(error.message, expected);
    }
    ps_config_free(config);
}

static void items_added_literally(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    struct ps_error error = {0};
    assert_int_equal(ps_config_add(config, "input.directories", "a \"b\", c\\", &error), 0);
    assert_int_equal(ps_config_add(config, "input.directories", "d", &error), 0);
    assert_items(&config->input.directories, (const char *[]){"a \"b\", c\\", "d", NULL});
    assert_int_equal(ps_config_add(config, "input.directories", "a\nb", &error), PS_E_CONFIG);
    assert_int_equal(ps_config_add(config, "input.directories", "", &error), PS_E_CONFIG);
    assert_int_equal(ps_config_add(config, "output.formats", "xml", &error), PS_E_CONFIG);
    assert_int_equal(ps_config_add(config, "output.nothing", "x", &error), PS_E_CONFIG);
    assert_items(&config->input.directories, (const char *[]){"a \"b\", c\\", "d", NULL});
    ps_config_free(config);
}

/* A list may be longer than a line. */
static void lists_in_several_lines(void **state)
{
    (void)state;
    static const char text[] = "[input]\n"
                               "directories = /a \"/b c\"\n"
                               "    /d ; a comment\n"
                               "\n"
                               "\t; another\n"
                               "\t\"/x = y\", /z\n"
                               "recursive = no\n";
    write_bytes(text, strlen(text));
    struct ps_config *config = ps_config_new();
    struct ps_error error = {0};
    if (ps_config_read(config, file, &error) != 0)
        fail_msg("%s", error.message);
    assert_items(&config->input.directories,
                 (const char *[]){"/a", "/b c", "/d", "/x = y", "/z", NULL});
    assert_false(config->input.recursive);

    /* A long list is printed in lines that can be read back. */
    static const char *const items[] = {"#a", ";b", "c=d", "[e]", "f g", ":h", "\"i\"", "j\\"};
    set(config, "input.directories", "");
    for (int i = 0; i < 80; i++)
        assert_int_equal(ps_config_add(config, "input.directories", items[i % 8], &error), 0);
    char *printed_text = printed(config, print_values);
    write_bytes(printed_text, strlen(printed_text));
    struct ps_config *again = ps_config_new();
    if (ps_config_read(again, file, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(again->input.directories.count, 80);
    for (int i = 0; i < 80; i++)
        assert_string_equal(again->input.directories.items[i], items[i % 8]);
    free(printed_text);
    ps_config_free(again);
    ps_config_free(config);

    /* An indented key is not taken for an item, nor an item for the value of a key without a list.
     */
    assert_refused("[input]\ndirectories = /a\n  recursive = no\n",
                   "3: duplicate key input.directories: set in line 2 already (an indented line "
                   "continues the one before)");
    assert_refused("[input]\ndirectories = /a\n  \"/b\n",
                   "3: input.directories = /a \"/b: expected none or more paths");
    assert_refused("[input]\ndirectories = /a\n  /b\ndirectories = /c\n",
                   "4: duplicate key input.directories: set in line 3 already");
}

/* inih itself would cut these and say nothing. */
static void long_lines(void **state)
{
    (void)state;
    char text[512] = "[output]\n";
    char *line = text + strlen(text);
    strcpy(line, "directory = /");
    size_t length = strlen(line);
    memset(line + length, 'd', 301 - length);
    strcpy(line + 301, "\nformats = csv\n");
    assert_refused(text, "2: line of 301 bytes, at most 199 accepted");
    strcpy(line + 200, "\n");
    assert_refused(text, "2: line of 200 bytes, at most 199 accepted");
    *line = ';';
    assert_refused(text, "2: line of 200 bytes, at most 199 accepted");
    *line = 'd';
    strcpy(line + 199, "\r\nformats = csv\r\n");
    write_bytes(text, strlen(text));
    struct ps_config *config = ps_config_new();
    struct ps_error error = {0};
    if (ps_config_read(config, file, &error) != 0)
        fail_msg("%s", error.message);
    assert_int_equal(strlen(config->output.directory), 199 - strlen("directory = "));
    assert_string_equal(config->output.formats.items[0], "csv");
    ps_config_free(config);
}

static void unreadable_files(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    struct ps_error error = {0};
    assert_int_equal(ps_config_read(config, "/nonexistent/x.ini", &error), PS_E_SYSTEM);
    assert_string_equal(error.message, "/nonexistent/x.ini: cannot open: No such file or "
                                       "directory");
    assert_int_equal(ps_config_read(config, "/tmp", &error), PS_E_SYSTEM);
    assert_string_equal(error.message, "/tmp: cannot read: Is a directory");
    ps_config_free(config);
}

/* Everything away from its default, then printed, read, and copied. */
static void printed_reads_back(void **state)
{
    (void)state;
    static const char *const values[][2] = {
        {"input.directories", "/data/1 \"/data/My Session\" \"/a\\\\b, \\\"c\\\"\""},
        {"input.recursive", "no"},
        {"input.include", "*.mrc"},
        {"input.exclude", ""},
        {"input.layout", "plain"},
        {"input.movies", "sum"},
        {"input.settle_seconds", "0.5"},
        {"input.poll", "always"},
        {"input.poll_seconds", "1.5"},
        {"input.order", "newest"},
        {"picker.particle_diameter", "180.1 px"},
        {"picker.pixel_size", "0.30000000000000004"},
        {"picker.classifier", "naive_bayes"},
        {"picker.min_score", "-1.0000000000000002"},
        {"picker.max_picks", "1000000"},
        {"picker.max_particle_size", "1"},
        {"picker.min_particle_size", "2"},
        {"picker.query_image_size", "3"},
        {"picker.minimum_overlap_amount", "4"},
        {"picker.container_size", "5"},
        {"picker.tau1", "6"},
        {"picker.tau2", "7"},
        {"compute.backend", "cuda:0"},
        {"compute.devices", "0 2"},
        {"compute.readers", "5"},
        {"compute.on_device_error", "cpu"},
        {"compute.threads", "3"},
        {"compute.slots_per_device", "2"},
        {"compute.queue_length", "17"},
        {"compute.max_pixels", "12345678901"},
        {"picker.profile", "aspire"},
        {"picker.contrast", "auto"},
        {"picker.mask_contaminants", "no"},
        {"compute.require_gpu", "yes"},
        {"publish.endpoint", "ipc:///run/pickstream/picks"},
        {"publish.replay_endpoint", "ipc:///run/pickstream/replay"},
        {"publish.session", "s1"},
        {"publish.high_water_mark", "18"},
        {"publish.heartbeat_seconds", "0.25"},
        {"publish.curve_secret_key", "/etc/pickstream/secret"},
        {"publish.curve_clients", "/etc/pickstream/clients"},
        {"publish.insecure_bind", "yes"},
        {"publish.particles", "64"},
        {"publish.particles_max", "17"},
        {"output.extract", "yes"},
        {"output.box", "96 px"},
        {"output.bin", "32"},
        {"output.extract_invert", "no"},
        {"output.extract_float16", "yes"},
        {"publish.preview", "yes"},
        {"http.listen", "127.0.0.1:5592"},
        {"http.insecure_bind", "yes"},
        {"http.previews", "19"},
        {"notify.command", "\"/site/tell us\" --to lab"},
        {"notify.interval_seconds", "60"},
        {"notify.idle_seconds", "900"},
        {"notify.timeout_seconds", "7.5"},
        {"output.directory", "/a b/\u00e9;[x]=#"},
        {"output.formats", "json csv star"},
        {"output.box_size", "128"},
        {"output.relion_project", "/project"},
        {"service.state_directory", "/state"},
        {"service.log_level", "debug"},
        {"service.drain_seconds", "3.5"},
    };
    enum { COUNT = sizeof values / sizeof *values };
    struct ps_config *config = ps_config_new();
    for (size_t i = 0; i < COUNT; i++) {
        set(config, values[i][0], values[i][1]);
        char *text = ps_config_get(config, values[i][0]);
        assert_string_equal(text, values[i][1]);
        free(text);
    }
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        char *text = ps_config_format(key, config);
        assert_string_not_equal(text, key->fallback);
        free(text);
    }
    char *text = printed(config, print_values);
    struct ps_config *copy = ps_config_copy(config);
    char *copied = printed(copy, print_values);
    assert_string_equal(text, copied);
    assert_ptr_not_equal(copy->output.directory, config->output.directory);

    write_bytes(text, strlen(text));
    struct ps_config *again = ps_config_new();
    struct ps_error error = {0};
    if (ps_config_read(again, file, &error) != 0)
        fail_msg("%s", error.message);
    char *read = printed(again, print_values);
    assert_string_equal(text, read);
    assert_true(again->picker.pixel_size == 0.30000000000000004);

    free(text);
    free(copied);
    free(read);
    ps_config_free(config);
    ps_config_free(copy);
    ps_config_free(again);
}

static void defaults_print_and_read_back(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    char *text = printed(config, print_values);
    assert_non_null(strstr(text, "\n; particle_diameter is not set\n"));
    write_bytes(text, strlen(text));
    assert_int_equal(ps_config_read(config, file, NULL), 0);
    char *again = printed(config, print_values);
    assert_string_equal(text, again);
    free(text);
    free(again);
    ps_config_free(config);
}

/* The file that is shipped is what the table says, and all of it can be switched on. */
static void shipped_file(void **state)
{
    (void)state;
    char *expected = printed(NULL, template_of);
    FILE *stream = fopen("conf/pickstream.ini", "r");
    if (!stream)
        fail_msg("conf/pickstream.ini: run from the root of the repository");
    char *shipped = calloc(1, 1 << 16);
    assert_true(fread(shipped, 1, (1 << 16) - 1, stream) > 0);
    (void)fclose(stream);
    /* If this fails: pickstream check --template > conf/pickstream.ini */
    assert_string_equal(shipped, expected);

    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        char row[300];
        (void)snprintf(row, sizeof row, "\n;%s =%s%s\n", key->name, *key->fallback ? " " : "",
                       key->fallback);
        char *at = strstr(shipped, row);
        assert_non_null(at);
        if (*key->fallback)
            memmove(at + 1, at + 2, strlen(at + 1));
    }
    write_bytes(shipped, strlen(shipped));
    struct ps_config *config = ps_config_new();
    char *before = printed(config, print_values);
    set(config, "picker.tau1", "9");
    struct ps_error error = {0};
    if (ps_config_read(config, file, &error) != 0)
        fail_msg("%s", error.message);
    char *after = printed(config, print_values);
    assert_string_equal(before, after);
    free(before);
    free(after);
    free(shipped);
    free(expected);
    ps_config_free(config);
}

static void man_page_names_every_key(void **state)
{
    (void)state;
    char *page = printed(NULL, man_of);
    assert_memory_equal(page, ".TH PICKSTREAM.CONF 5", 21);
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        char row[100];
        (void)snprintf(row, sizeof row, "\n.TP\n.B %s\n", key->name);
        assert_non_null(strstr(page, row));
    }
    free(page);
}

static void assert_contradicts(const char *const *settings, const char *expected)
{
    struct ps_config *config = ps_config_new();
    for (; *settings; settings += 2)
        set(config, settings[0], settings[1]);
    struct ps_error error = {0};
    int code = ps_config_check(config, &error);
    assert_int_equal(code, expected ? PS_E_CONFIG : 0);
    assert_string_equal(error.message, expected ? expected : "");
    ps_config_free(config);
}

static void contradictions(void **state)
{
    (void)state;
    assert_contradicts((const char *[]){NULL},
                       "picker.particle_diameter is not set: it is required, for example 180 (in "
                       "A) or 64px");
    assert_contradicts((const char *[]){"picker.particle_diameter", "180",
                                        "picker.min_particle_size", "20",
                                        "picker.max_particle_size", "20", NULL},
                       "picker.min_particle_size = 20 must be less than picker.max_particle_size "
                       "= 20");
    assert_contradicts((const char *[]){"picker.particle_diameter", "180", "picker.tau1", "31",
                                        "picker.tau2", "30", NULL},
                       "picker.tau1 = 31 must be less than picker.tau2 = 30: windows between are "
                       "examples of neither");
    assert_contradicts((const char *[]){"picker.particle_diameter", "180", "compute.backend", "cpu",
                                        "compute.require_gpu", "yes", NULL},
                       "compute.require_gpu = yes contradicts compute.backend = cpu");
    assert_contradicts((const char *[]){"picker.particle_diameter", "180", "picker.tau1", "31",
                                        "picker.min_particle_size", "20", NULL},
                       NULL);
}

static void names_of_micrographs(void **state)
{
    (void)state;
    static const char *const accepted[] = {
        "a.mrc",           "FoilHole_1_Data_2_Fractions.MRC",
        "b.TIF",           "x.y.tiff",
        "against_ice.mrc", "c.map",
        "stack.mrcs",
    };
    static const char *const left_out[] = {
        ".a.mrc", ".a.mrc.Xy12Qz", "a.mrc.tmp", "a.tmp", "a.jpg",
        "a.xml",  "a.mrc~",        "a.eer",     "mrc",   "a_autopick.star",
    };
    struct ps_config *config = ps_config_new();
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        if (!ps_config_accepts(config, accepted[i]))
            fail_msg("%s is left out", accepted[i]);
    }
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (ps_config_accepts(config, left_out[i]))
            fail_msg("%s is accepted", left_out[i]);
    }
    assert_true(ps_config_includes(config, ".a.mrc"));
    set(config, "input.exclude", "");
    assert_true(ps_config_accepts(config, ".a.mrc"));
    ps_config_free(config);
}

/* A glob that says more than an extension. */
static void names_that_include_names(void **state)
{
    (void)state;
    struct ps_config *config = ps_config_new();
    assert_false(ps_config_names(config, "x_noDW.mrc"));
    set(config, "input.include", "* *.* *.mrc *.tif*");
    assert_false(ps_config_names(config, "x_noDW.mrc"));
    set(config, "input.include", "*.mrc *_noDW.mrc *.avg.mrc");
    assert_true(ps_config_names(config, "x_nodw.mrc"));
    assert_true(ps_config_names(config, "x.avg.mrc"));
    assert_false(ps_config_names(config, "x.mrc"));
    ps_config_free(config);
}

static void numbers_as_text(void **state)
{
    (void)state;
    char text[PS_NUMBER_TEXT];
    assert_string_equal(ps_text_from_float(512.0F, text), "512");
    assert_string_equal(ps_text_from_float(0.1F, text), "0.1");
    assert_string_equal(ps_text_from_float(1234567.0F, text), "1234567");
    assert_string_equal(ps_text_from_double(0.1, text), "0.1");
    static const float floats[] = {1.0F / 3.0F, -2.7182817F, 1e-45F, 3.4028235e38F, 4095.9998F};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        assert_true(strtof(ps_text_from_float(floats[i], text), NULL) == floats[i]);
    assert_true(strtod(ps_text_from_double(2.0 / 3.0, text), NULL) == 2.0 / 3.0);
}

static void utf8(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "a", "\xc3\xa4", "\xe2\x84\xab", "\xf0\x9f\x94\xac", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",         "\xc0\x80",     "\xc3",
                                      "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xf5\x80",     "\xe2\x84\x61", "\xf0\x8f\xbf\xbf",
                                      "\xff",         "\xe2\x84"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ps_text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ps_text_is_utf8(bad[i], strlen(bad[i])));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(defaults_are_canonical),
        cmocka_unit_test(values_from_a_file),
        cmocka_unit_test(lengths),
        cmocka_unit_test(refused_values),
        cmocka_unit_test(refused_files),
        cmocka_unit_test(quoted_items),
        cmocka_unit_test(items_added_literally),
        cmocka_unit_test(lists_in_several_lines),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(unreadable_files),
        cmocka_unit_test(printed_reads_back),
        cmocka_unit_test(defaults_print_and_read_back),
        cmocka_unit_test(shipped_file),
        cmocka_unit_test(man_page_names_every_key),
        cmocka_unit_test(contradictions),
        cmocka_unit_test(names_of_micrographs),
        cmocka_unit_test(names_that_include_names),
        cmocka_unit_test(numbers_as_text),
        cmocka_unit_test(utf8),
    };
    return cmocka_run_group_tests_name("config", tests, make_file, remove_file);
}
