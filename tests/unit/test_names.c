/* The stems of files of picks: one micrograph each, over time and between processes. Every test is
 * in an empty directory. */
#include "picks/names.h"

#include "base/percent.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int enter_directory(void **state)
{
    char *directory = strdup("/tmp/pickstream-names-XXXXXX");
    *state = directory;
    return directory && mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", (char *)*state);
    free(*state);
    return chdir("/") == 0 ? system(command) : -1;
}

static struct ps_names *new_names(enum ps_names_kind kind)
{
    struct ps_names *names = NULL;
    struct ps_error error;
    assert_int_equal(ps_names_new(kind, &names, &error), 0);
    return names;
}

/* Claims a stem; if `write`, makes a file of it. */
static void claim(struct ps_names *names, const char *name, const char *path, bool write,
                  char ret[1024])
{
    struct ps_claim claim;
    struct ps_error error;
    if (ps_names_claim(names, "out", name, path, &claim, &error) != 0)
        fail_msg("%s", error.message);
    (void)snprintf(ret, 1024, "%s", claim.stem);
    if (write) {
        char file[1024 + 20];
        (void)snprintf(file, sizeof file, "%s.box", claim.stem);
        int fd = open(file, O_CREAT | O_WRONLY, 0666);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    ps_claim_done(&claim);
}

#define ASSERT_STEM(names, name, path, expected)                                                   \
    do {                                                                                           \
        char stem_[1024];                                                                          \
        claim(names, name, path, true, stem_);                                                     \
        assert_string_equal(stem_, expected);                                                      \
    } while (0)

static void the_first_one_keeps_the_short_name(void **state)
{
    (void)state;
    struct ps_names *names = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "a/x.mrc", "/d/a/x.mrc", "out/a/x");
    ASSERT_STEM(names, "a/x.tif", "/d/a/x.tif", "out/a/x.tif");
    ASSERT_STEM(names, "a/x.tif.mrc", "/d/a/x.tif.mrc", "out/a/x.tif.mrc");
    ASSERT_STEM(names, "b/x.tif", "/d/b/x.tif", "out/b/x");
    ASSERT_STEM(names, "ts_1_-21.0.mrc", "/d/ts_1_-21.0.mrc", "out/ts_1_-21.0");
    ASSERT_STEM(names, "ts_1_-21.5", "/d/ts_1_-21.5", "out/ts_1_-21.5");
    ASSERT_STEM(names, "x.TIFF", "/d/x.TIFF", "out/x");
    ps_names_free(names);
    /* So it is in the next run, whatever is first there. */
    names = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "a/x.tif", "/d//a/./x.tif", "out/a/x.tif");
    ASSERT_STEM(names, "a/x.mrc", "/d/a/x.mrc", "out/a/x");
    ps_names_free(names);
}

/* Micrographs of the same name, from different directories, in runs with one output directory. */
static void the_path_tells_them_apart(void **state)
{
    (void)state;
    char stem[1024], again[1024];
    struct ps_names *names = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "x.mrc", "/a/x.mrc", "out/x");
    ASSERT_STEM(names, "x.mrc", "/b/x.mrc", "out/x.mrc");
    claim(names, "x.mrc", "/c/x.mrc", true, stem);
    assert_int_equal(strncmp(stem, "out/x.mrc-", 10), 0);
    assert_int_equal(strlen(stem), 18);
    claim(names, "x.mrc", "/c/x.mrc", true, again);
    assert_string_equal(stem, again);
    ASSERT_STEM(names, "x.mrc", "a/x.mrc", "out/x");
    ps_names_free(names);
}

static void relative_paths_and_links_to_directories(void **state)
{
    (void)state;
    assert_int_equal(mkdir("a", 0777) | mkdir("b", 0777) | symlink("a", "link"), 0);
    struct ps_names *names = new_names(PS_NAMES_LOCAL);
    ASSERT_STEM(names, "x.mrc", "a/x.mrc", "out/x");
    ASSERT_STEM(names, "x.mrc", "./a/x.mrc", "out/x");
    ASSERT_STEM(names, "x.mrc", "link/x.mrc", "out/x");
    ASSERT_STEM(names, "x.mrc", "b/x.mrc", "out/x.mrc");
    ps_names_free(names);
    /* From another working directory. */
    assert_int_equal(chdir("b") | symlink("../out", "out"), 0);
    names = new_names(PS_NAMES_LOCAL);
    ASSERT_STEM(names, "x.mrc", "x.mrc", "out/x.mrc");
    ASSERT_STEM(names, "x.mrc", "../a/x.mrc", "out/x");
    ps_names_free(names);
}

/* An absolute path is another one after the project was moved; the micrograph is the same. */
static void a_moved_project_keeps_its_stems(void **state)
{
    char stem[1024], path[1024];
    assert_int_equal(system("mkdir -p before/mics && ln -s before/out out && mkdir before/out"), 0);
    struct ps_names *names = new_names(PS_NAMES_LOCAL);
    (void)snprintf(path, sizeof path, "%s/before/mics/x.mrc", (const char *)*state);
    claim(names, "x.mrc", path, true, stem);
    assert_string_equal(stem, "out/x");
    ps_names_free(names);
    assert_int_equal(system("mv before after && ln -sfn after/out out"), 0);
    names = new_names(PS_NAMES_LOCAL);
    (void)snprintf(path, sizeof path, "%s/after/other/x.mrc", (const char *)*state);
    claim(names, "x.mrc", path, true, stem);
    assert_string_equal(stem, "out/x.mrc");
    (void)snprintf(path, sizeof path, "%s/after/mics/x.mrc", (const char *)*state);
    claim(names, "x.mrc", path, true, stem);
    assert_string_equal(stem, "out/x");
    ps_names_free(names);
}

static void a_stem_whose_files_were_removed_is_free(void **state)
{
    (void)state;
    char stem[1024];
    struct ps_claim held;
    struct ps_error error;
    struct ps_names *names = new_names(PS_NAMES_REMOTE), *other = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "x.mrc", "/a/x.mrc", "out/x");
    assert_int_equal(unlink("out/x.box"), 0);
    /* Not while another thread writes them. */
    assert_int_equal(ps_names_claim(names, "out", "x.mrc", "/a/x.mrc", &held, &error), 0);
    assert_false(held.renamed);
    claim(other, "x.tif", "/a/x.tif", false, stem);
    assert_string_equal(stem, "out/x.tif");
    ps_claim_done(&held);
    claim(other, "x.map", "/a/x.map", true, stem);
    assert_string_equal(stem, "out/x");
    ASSERT_STEM(names, "x.mrc", "/a/x.mrc", "out/x.mrc");
    ps_names_free(names);
    /* As if the whole directory were another one. */
    assert_int_equal(system("rm -rf out"), 0);
    ASSERT_STEM(other, "x.tif", "/a/x.tif", "out/x");
    ps_names_free(other);
}

static void finding_claims_nothing(void **state)
{
    (void)state;
    struct ps_error error;
    struct ps_names *names = new_names(PS_NAMES_REMOTE);
    char *stem = NULL;
    assert_int_equal(ps_names_find(names, "out", "x.tif", "/a/x.tif", &stem, &error), 0);
    assert_string_equal(stem, "out/x");
    free(stem);
    ASSERT_STEM(names, "x.mrc", "/a/x.mrc", "out/x");
    assert_int_equal(ps_names_find(names, "out", "x.tif", "/a/x.tif", &stem, &error), 0);
    assert_null(stem);
    ps_names_free(names);
}

/* Any bytes in names; and a line that was cut short when the machine failed. */
static void odd_names_and_records(void **state)
{
    (void)state;
    struct ps_names *names = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "a\tb\n%41.mrc", "/a\tb\n%41.mrc", "out/a\tb\n%41");
    ASSERT_STEM(names, "caf\xe9.mrc", "/caf\xe9.mrc", "out/caf\xe9");
    ps_names_free(names);
    FILE *record = fopen("out/.pickstream-names", "ae");
    assert_non_null(record);
    (void)fputs("no tab\n\t\n%zz\tx\nz\t/d", record);
    (void)fclose(record);
    names = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "a\tb\n%41.tif", "/a\tb\n%41.tif", "out/a\tb\n%41.tif");
    ASSERT_STEM(names, "caf\xe9.tif", "/caf\xe9.tif", "out/caf\xe9.tif");
    ASSERT_STEM(names, "z.mrc", "/z.mrc", "out/z");
    ps_names_free(names);
    names = new_names(PS_NAMES_REMOTE);
    ASSERT_STEM(names, "z.tif", "/z.tif", "out/z.tif");
    ps_names_free(names);
}

/* Names as long as the file system allows, which differ only at their ends. */
static void long_names(void **state)
{
    (void)state;
    char stems[3][1024], name[256];
    struct ps_names *names = new_names(PS_NAMES_REMOTE);
    for (int i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%0250d%d.mrc", 0, i);
        claim(names, name, name, true, stems[i]);
        assert_true(strlen(stems[i]) - 4 + strlen("_cryosparc.star") <= 255);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(stems[i], stems[k]);
    }
    ps_names_free(names);
}

/* Processes at the same time: every one has a stem of its own. */
static void processes_agree(void **state)
{
    (void)state;
    enum { PROCESSES = 8, ROUNDS = 20 };
    for (int i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid > 0)
            continue;
        for (int round = 0; round < ROUNDS; round++) {
            char name[40], path[60], stem[1024], file[1100];
            struct ps_names *names = new_names(PS_NAMES_REMOTE);
            (void)snprintf(name, sizeof name, "x%d.mrc", round);
            (void)snprintf(path, sizeof path, "/%d/%s", i, name);
            struct ps_claim held;
            if (ps_names_claim(names, "out", name, path, &held, NULL) != 0)
                _exit(1);
            (void)snprintf(stem, sizeof stem, "%s", held.stem);
            (void)snprintf(file, sizeof file, "%s.box", stem);
            int fd = open(file, O_CREAT | O_EXCL | O_WRONLY, 0666);
            if (fd < 0)
                _exit(2);
            (void)close(fd);
            ps_claim_done(&held);
            ps_names_free(names);
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
}

static void private_names_are_kept_apart_but_not_recorded(void **state)
{
    (void)state;
    struct ps_names *names = new_names(PS_NAMES_PRIVATE);
    ASSERT_STEM(names, "x.mrc", "x.mrc", "out/x");
    ASSERT_STEM(names, "x.mrc", "/d/x.mrc", "out/x.mrc");
    assert_int_not_equal(access("out/.pickstream-names", F_OK), 0);
    ps_names_free(names);
}

static void percent(void **state)
{
    (void)state;
    static const char *const texts[][2] = {{"caf\xc3\xa9 100%", "caf\xc3\xa9 100%25"},
                                           {"caf\xe9\xc3\xa9", "caf%E9%C3%A9"},
                                           {"a\nb\x7f", "a%0Ab%7F"},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *encoded = ps_percent_encode(texts[i][0]);
        assert_string_equal(encoded, texts[i][1]);
        assert_true(ps_percent_decode(encoded));
        assert_string_equal(encoded, texts[i][0]);
        free(encoded);
    }
    char lower[] = "%e9";
    assert_true(ps_percent_decode(lower));
    assert_string_equal(lower, "\xe9");
    static const char *const wrong[] = {"%", "%4", "%zz", "%00", "a%4"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char copy[8];
        (void)snprintf(copy, sizeof copy, "%s", wrong[i]);
        assert_false(ps_percent_decode(copy));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_one_keeps_the_short_name),
        TEST(the_path_tells_them_apart),
        TEST(relative_paths_and_links_to_directories),
        TEST(a_moved_project_keeps_its_stems),
        TEST(a_stem_whose_files_were_removed_is_free),
        TEST(finding_claims_nothing),
        TEST(odd_names_and_records),
        TEST(long_names),
        TEST(processes_agree),
        TEST(private_names_are_kept_apart_but_not_recorded),
        TEST(percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
