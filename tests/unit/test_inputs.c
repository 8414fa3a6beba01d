/* From operands to micrographs: their names, what is left out, what cannot be picked. Every test
 * has an empty directory, and is in it. */
#include "cli/inputs.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int enter_directory(void **state)
{
    char *directory = strdup("/tmp/pickstream-find-XXXXXX");
    *state = directory;
    return directory && mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[100];
    (void)snprintf(command, sizeof command, "chmod -R u+rwx %s; rm -rf %s", (char *)*state,
                   (char *)*state);
    free(*state);
    return chdir("/") == 0 ? system(command) : -1;
}

/* Makes a file, and the directories it lies in. */
static void touch(const char *path)
{
    char partial[200];
    (void)snprintf(partial, sizeof partial, "%s", path);
    for (char *slash = strchr(partial + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(partial, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

enum { MAX_OPERANDS = 8 };

/* The operands end with a NULL. */
static struct ps_found_list find_with(const struct ps_config *config,
                                      const char *const operands[MAX_OPERANDS])
{
    char *copies[MAX_OPERANDS];
    size_t count = 0;
    while (count < MAX_OPERANDS && operands[count]) {
        copies[count] = strdup(operands[count]);
        count++;
    }
    struct ps_error error;
    struct ps_found_list list;
    if (ps_find(config, copies, count, &list, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < count; i++)
        free(copies[i]);
    return list;
}

static struct ps_found_list find(const char *const operands[MAX_OPERANDS])
{
    struct ps_config *config = ps_config_new();
    struct ps_found_list list = find_with(config, operands);
    ps_config_free(config);
    return list;
}
#define FIND(...) find((const char *const[MAX_OPERANDS]){__VA_ARGS__})

/* "name = path" of each, or "name ! problem", in lines. */
static void assert_list(struct ps_found_list *list, const char *expected)
{
    char text[4000];
    size_t length = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct ps_found *item = &list->items[i];
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s %s %s\n", item->name,
                             item->problem ? "!" : "=", item->problem ? item->problem : item->path);
        assert_true(length < sizeof text);
    }
    text[length] = '\0';
    assert_string_equal(text, expected);
    ps_found_list_done(list);
}
#define ASSERT_FOUND(expected, ...)                                                                \
    do {                                                                                           \
        struct ps_found_list list_ = FIND(__VA_ARGS__);                                            \
        assert_list(&list_, expected);                                                             \
    } while (0)

/* ---- names ----------------------------------------------------------------------------------- */

static void a_file_has_its_own_name(void **state)
{
    touch("a/b/one.mrc");
    ASSERT_FOUND("one.mrc = a/b/one.mrc\n", "a/b/one.mrc");
    ASSERT_FOUND("one.mrc = ./a/b//one.mrc\n", "./a/b//one.mrc");
    char absolute[200];
    char expected[220];
    (void)snprintf(absolute, sizeof absolute, "%s/a/b/one.mrc", (char *)*state);
    (void)snprintf(expected, sizeof expected, "one.mrc = %s\n", absolute);
    ASSERT_FOUND(expected, absolute);
}

/* A name that no glob takes is fine where the user gives it. */
static void a_named_file_needs_no_match(void **state)
{
    (void)state;
    touch("odd.name");
    touch(".hidden.mrc");
    ASSERT_FOUND(".hidden.mrc = .hidden.mrc\nodd.name = odd.name\n", "odd.name", ".hidden.mrc");
}

static void a_directory_gives_paths_below_it(void **state)
{
    (void)state;
    touch("in/b.mrc");
    touch("in/a.tif");
    touch("in/deep/er/c.MRC");
    touch("in/notes.txt");
    touch("in/gain.mrc");
    touch("in/.b.mrc.1234");
    const char *const expected = "a.tif = in/a.tif\n"
                                 "b.mrc = in/b.mrc\n"
                                 "deep/er/c.MRC = in/deep/er/c.MRC\n";
    ASSERT_FOUND(expected, "in");
    ASSERT_FOUND(expected, "in/");
    assert_int_equal(chdir("in"), 0);
    ASSERT_FOUND("a.tif = ./a.tif\nb.mrc = ./b.mrc\ndeep/er/c.MRC = ./deep/er/c.MRC\n", ".");
}

static void equal_names_are_told_apart(void **state)
{
    (void)state;
    touch("grid/square_1/x.mrc");
    touch("grid/square_2/x.mrc");
    touch("grid/square_2/deep/y.mrc");
    const char *const expected = "square_1/x.mrc = grid/square_1/x.mrc\n"
                                 "square_2/deep/y.mrc = grid/square_2/deep/y.mrc\n"
                                 "square_2/x.mrc = grid/square_2/x.mrc\n";
    ASSERT_FOUND(expected, "grid/square_1", "grid/square_2");
    ASSERT_FOUND(expected, "grid/square_2", "grid/square_1");
    ASSERT_FOUND("square_1/x.mrc = grid/square_1/x.mrc\nsquare_2/x.mrc = grid/square_2/x.mrc\n",
                 "grid/square_1/x.mrc", "grid/square_2/x.mrc");
    /* A common prefix of names is not a common directory. */
    touch("grid/square/z.mrc");
    ASSERT_FOUND("square/z.mrc = grid/square/z.mrc\nsquare_1/x.mrc = grid/square_1/x.mrc\n",
                 "grid/square", "grid/square_1");
}

static void absolute_and_relative_paths_mix(void **state)
{
    touch("one/x.mrc");
    touch("two/x.mrc");
    char absolute[200];
    char expected[400];
    (void)snprintf(absolute, sizeof absolute, "%s/two", (char *)*state);
    (void)snprintf(expected, sizeof expected, "one/x.mrc = one/x.mrc\ntwo/x.mrc = %s/x.mrc\n",
                   absolute);
    ASSERT_FOUND(expected, "one", absolute);
    ASSERT_FOUND("one/x.mrc = one/../one/x.mrc\ntwo/x.mrc = one/../two/x.mrc\n", "one/../one",
                 "one/../two/x.mrc");
}

/* Directories inside one another: the outer one is the root, and nothing is picked twice. */
static void nothing_is_listed_twice(void **state)
{
    (void)state;
    touch("in/a.mrc");
    touch("in/deep/b.mrc");
    ASSERT_FOUND("a.mrc = ./in/a.mrc\n", "in/a.mrc", "in/a.mrc", "./in/a.mrc");
    struct ps_found_list list = FIND("in", "in/deep", "in/deep/b.mrc", "in/a.mrc");
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "a.mrc");
    assert_string_equal(list.items[1].name, "deep/b.mrc");
    ps_found_list_done(&list);
}

static void globs_are_expanded(void **state)
{
    (void)state;
    touch("in/a1.mrc");
    touch("in/a2.mrc");
    touch("in/b1.mrc");
    touch("in/what?.mrc");
    ASSERT_FOUND("a1.mrc = in/a1.mrc\na2.mrc = in/a2.mrc\n", "in/a*.mrc");
    ASSERT_FOUND("a1.mrc = in/a1.mrc\nb1.mrc = in/b1.mrc\n", "i?/[ab]1.mrc");
    /* A file of exactly this name is not a glob. */
    ASSERT_FOUND("what?.mrc = in/what?.mrc\n", "in/what?.mrc");
    ASSERT_FOUND("none*.mrc ! No such file or directory\n", "none*.mrc");
}

/* Paths stay as the user wrote them; names do not depend on how one came there. */
static void links_are_followed(void **state)
{
    (void)state;
    touch("data/a.mrc");
    touch("elsewhere/b.mrc");
    assert_int_equal(symlink("data", "link"), 0);
    assert_int_equal(symlink("../elsewhere", "data/more"), 0);
    assert_int_equal(symlink("..", "data/loop"), 0);
    ASSERT_FOUND("a.mrc = data/a.mrc\n", "link/a.mrc", "data/a.mrc");
    assert_int_equal(unlink("data/loop"), 0);
    ASSERT_FOUND("a.mrc = link/a.mrc\nmore/b.mrc = link/more/b.mrc\n", "link");
}

static void loops_end(void **state)
{
    (void)state;
    touch("data/deep/a.mrc");
    assert_int_equal(symlink("..", "data/deep/loop"), 0);
    ASSERT_FOUND("deep/a.mrc = data/deep/a.mrc\n", "data");
}

/* ---- what cannot be picked ------------------------------------------------------------------- */

static void missing_operands_are_listed(void **state)
{
    (void)state;
    touch("in/a.mrc");
    ASSERT_FOUND("a.mrc = in/a.mrc\ngone/b.mrc ! No such file or directory\n", "gone/b.mrc", "in");
    ASSERT_FOUND("gone ! No such file or directory\n", "gone");
    ASSERT_FOUND(" ! No such file or directory\n", "");
    ASSERT_FOUND("in/a.mrc/b ! Not a directory\n", "in/a.mrc/b");
}

/* The same name by accident: neither hides the other. */
static void a_missing_file_hides_none(void **state)
{
    (void)state;
    touch("in/a.mrc");
    ASSERT_FOUND("a.mrc = in/a.mrc\na.mrc ! No such file or directory\n", "in", "a.mrc");
    ASSERT_FOUND("a.mrc = in/a.mrc\na.mrc ! No such file or directory\n", "a.mrc", "in");
    ASSERT_FOUND("a.mrc = in/a.mrc\na.tif ! No such file or directory\n", "in", "a.tif");
    ASSERT_FOUND("a.map ! No such file or directory\na.mrc = in/a.mrc\n", "in", "a.map");
    ASSERT_FOUND("gone.mrc ! No such file or directory\n", "gone.mrc", "gone.mrc");
}

/* Reading it says what is wrong. */
static void dangling_links_are_files(void **state)
{
    (void)state;
    touch("in/a.mrc");
    assert_int_equal(symlink("nowhere.mrc", "in/b.mrc"), 0);
    ASSERT_FOUND("b.mrc = in/b.mrc\n", "in/b.mrc");
    ASSERT_FOUND("a.mrc = in/a.mrc\nb.mrc = in/b.mrc\n", "in");
}

static void names_that_differ_in_the_extension(void **state)
{
    (void)state;
    touch("in/x.tif");
    touch("in/x.mrc");
    touch("in/x.mrc.mrc");
    touch("in/x_2.mrc");
    touch("in/y.mrc");
    touch("in/deep/x.mrc");
    ASSERT_FOUND("deep/x.mrc = in/deep/x.mrc\n"
                 "x.mrc = in/x.mrc\n"
                 "x.mrc.mrc = in/x.mrc.mrc\n"
                 "x.tif = in/x.tif\n"
                 "x_2.mrc = in/x_2.mrc\n"
                 "y.mrc = in/y.mrc\n",
                 "in");
}

static void unreadable_directories_are_listed(void **state)
{
    (void)state;
    touch("in/a.mrc");
    touch("in/locked/b.mrc");
    assert_int_equal(chmod("in/locked", 0), 0);
    if (access("in/locked", R_OK) == 0) {
        print_message("permissions do not bind this user\n");
        skip();
    }
    ASSERT_FOUND("a.mrc = in/a.mrc\nlocked ! Permission denied\n", "in");
}

/* ---- settings -------------------------------------------------------------------------------- */

static void depth_is_a_setting(void **state)
{
    (void)state;
    touch("in/a.mrc");
    touch("in/deep/b.mrc");
    touch("in/.trash/c.mrc");
    touch(".work/d.mrc");
    ASSERT_FOUND("a.mrc = in/a.mrc\ndeep/b.mrc = in/deep/b.mrc\n", "in");
    ASSERT_FOUND("d.mrc = .work/d.mrc\n", ".work"); /* hidden, but asked for */
    struct ps_config *config = ps_config_new();
    struct ps_error error;
    assert_int_equal(ps_config_set(config, "input.recursive", "no", &error), 0);
    struct ps_found_list list = find_with(config, (const char *const[MAX_OPERANDS]){"in"});
    assert_list(&list, "a.mrc = in/a.mrc\n");
    ps_config_free(config);
}

static void globs_of_names_are_settings(void **state)
{
    (void)state;
    touch("in/a.mrc");
    touch("in/a_sum.dat");
    touch("in/b_sum.dat");
    struct ps_config *config = ps_config_new();
    struct ps_error error;
    assert_int_equal(ps_config_set(config, "input.include", "*.dat", &error), 0);
    assert_int_equal(ps_config_set(config, "input.exclude", "b*", &error), 0);
    struct ps_found_list list = find_with(config, (const char *const[MAX_OPERANDS]){"in"});
    assert_list(&list, "a_sum.dat = in/a_sum.dat\n");
    ps_config_free(config);
}

static void nothing_is_no_failure(void **state)
{
    (void)state;
    assert_int_equal(mkdir("empty", 0755), 0);
    ASSERT_FOUND("", "empty");
    ASSERT_FOUND("", NULL);
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* 0 where the shard has no such name, or how often it has it. */
static int times_in_shard(uint32_t number, uint32_t of, const char *name,
                          const char *const operands[MAX_OPERANDS])
{
    struct ps_found_list list = find(operands);
    ps_found_list_shard(&list, (struct ps_shard){number, of});
    int times = 0;
    for (size_t i = 0; i < list.count; i++)
        times += strcmp(list.items[i].name, name) == 0;
    ps_found_list_done(&list);
    return times;
}

static void shards_part_the_list(void **state)
{
    (void)state;
    for (int i = 0; i < 11; i++) {
        char path[20];
        (void)snprintf(path, sizeof path, "in/%02d.mrc", i);
        touch(path);
    }
    for (uint32_t of = 1; of <= 13; of++) {
        int seen[11] = {0};
        for (uint32_t number = 1; number <= of; number++) {
            struct ps_found_list list = FIND("in");
            ps_found_list_shard(&list, (struct ps_shard){number, of});
            for (size_t i = 0; i < list.count; i++)
                seen[atoi(list.items[i].name)]++;
            ps_found_list_done(&list);
        }
        for (int i = 0; i < 11; i++)
            assert_int_equal(seen[i], 1);
    }
}

/* The names decide: not their order, not what else is there, not where the directory is. The shard
 * is zlib.crc32(name) % 1000003 % N + 1 in Python. */
static void a_name_has_its_shard_for_ever(void **state)
{
    (void)state;
    touch("in/a/x.mrc"); /* CRC-32 1185230634 */
    touch("in/b/x.mrc");
    assert_int_equal(times_in_shard(1185230634U % 1000003U % 7U + 1U, 7, "a/x.mrc",
                                    (const char *const[MAX_OPERANDS]){"in"}),
                     1);
    uint32_t shard = 1;
    const char *const first[MAX_OPERANDS] = {"in"};
    while (shard <= 5 && !times_in_shard(shard, 5, "b/x.mrc", first))
        shard++;
    assert_in_range(shard, 1, 5);
    touch("in/a/0.mrc");
    touch("in/b/w.mrc");
    touch("in/c/x.mrc");
    assert_int_equal(times_in_shard(shard, 5, "b/x.mrc", first), 1);
    const char *const others[MAX_OPERANDS] = {"in/c", "in/b/x.mrc", "in/a", "in/b"};
    assert_int_equal(times_in_shard(shard, 5, "b/x.mrc", others), 1);
    assert_int_equal(rename("in", "elsewhere"), 0);
    const char *const moved[MAX_OPERANDS] = {"elsewhere/"};
    assert_int_equal(times_in_shard(shard, 5, "b/x.mrc", moved), 1);
}

/* Names as cameras write them, which differ in digits only, spread over the shards. */
static void shards_are_of_like_size(void **state)
{
    (void)state;
    enum { COUNT = 2400 };
    static const struct {
        const char *start, *middle, *end;
    } patterns[] = {
        {"FoilHole_", "_Data_29355_30_20240117_", ".mrc"},
        {"GridSquare_", "/Data/synth_", ".mrc"},
        {"", "_", "_motion_corrected.mrc"},
    };
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        for (uint32_t of = 2; of <= 12; of++) {
            size_t least = COUNT;
            size_t most = 0;
            for (uint32_t number = 1; number <= of; number++) {
                struct ps_found_list list = {.items = calloc(COUNT, sizeof *list.items),
                                             .count = COUNT};
                assert_non_null(list.items);
                for (int i = 0; i < COUNT; i++)
                    assert_true(asprintf(&list.items[i].name, "%s%d%s%06d%s", patterns[p].start,
                                         1000 + i / 10, patterns[p].middle, i,
                                         patterns[p].end) > 0);
                ps_found_list_shard(&list, (struct ps_shard){number, of});
                least = list.count < least ? list.count : least;
                most = list.count > most ? list.count : most;
                ps_found_list_done(&list);
            }
            /* As random parts do: within 4 standard deviations. */
            double mean = (double)COUNT / of;
            double spread = 4 * sqrt(mean);
            if ((double)least < mean - spread || (double)most > mean + spread)
                fail_msg("%s: shards of %zu to %zu of %d in %u", patterns[p].middle, least, most,
                         COUNT, of);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        TEST(a_file_has_its_own_name),
        TEST(a_named_file_needs_no_match),
        TEST(a_directory_gives_paths_below_it),
        TEST(equal_names_are_told_apart),
        TEST(absolute_and_relative_paths_mix),
        TEST(nothing_is_listed_twice),
        TEST(globs_are_expanded),
        TEST(links_are_followed),
        TEST(loops_end),
        TEST(missing_operands_are_listed),
        TEST(a_missing_file_hides_none),
        TEST(dangling_links_are_files),
        TEST(names_that_differ_in_the_extension),
        TEST(unreadable_directories_are_listed),
        TEST(depth_is_a_setting),
        TEST(globs_of_names_are_settings),
        TEST(nothing_is_no_failure),
        TEST(shards_part_the_list),
        TEST(a_name_has_its_shard_for_ever),
        TEST(shards_are_of_like_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
