/* The directories of the watcher: new, moved, missing, nested and linked ones, and a kernel that
 * refuses to watch them.
 *
 * Run as "test_watcher_places limited" it expects a kernel that allows 3 watches, as "starved" one
 * without inotify instances: it starts itself in user namespaces with these limits. */
#include "watching.h"

#include "watch/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program; /* this one */

/* ---- new and moved ----------------------------------------------------------------------------
 */

/* P3: directories made and filled faster than watches can be set. */
static void new_directories_with_files_in_them(void **state)
{
    enum { COUNT = 200 };
    struct watching *watching = *state;
    make_directories("in");
    watch_scans(watching, "in");
    for (int i = 0; i < COUNT; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "in/%d/b/c", i);
        make_directories(path);
        (void)snprintf(path, sizeof path, "in/%d/b/c/x.mrc", i);
        write_file(path);
    }
    await_count(watching, COUNT);
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), COUNT);
    assert_int_equal(times_found(watching, "in/117/b/c/x.mrc"), 1);
}

/* The same without another scan: only the watch of the new directory finds new files. */
static void new_directories_are_watched(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    make_directories("in/a/b");
    flush_events(watching, "in"); /* "a" is being scanned now, or has been */
    for (int i = 0; times_found(watching, "in/a/b/x.mrc") == 0; i++) {
        write_file("in/a/b/x.mrc"); /* until the watch is set */
        flush_events(watching, "in");
        assert_true(i < 1000);
    }
    assert_true(hit_of(watching, "in/a/b/x.mrc").announced);
}

/* P8 */
static void equal_names_are_two_micrographs(void **state)
{
    struct watching *watching = *state;
    make_directories("one/GridSquare_1");
    make_directories("one/GridSquare_2");
    make_directories("two/GridSquare_1");
    watch_events(watching, "one two");
    write_file("one/GridSquare_1/x.mrc");
    write_file("one/GridSquare_2/x.mrc");
    write_file("two/GridSquare_1/x.mrc");
    await(watching, "one/GridSquare_1/x.mrc");
    await(watching, "one/GridSquare_2/x.mrc");
    await(watching, "two/GridSquare_1/x.mrc");
    assert_string_equal(hit_of(watching, "two/GridSquare_1/x.mrc").name, "GridSquare_1/x.mrc");
}

static void a_moved_directory_has_its_new_name(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a/deep");
    make_directories("out");
    watch_events(watching, "in");
    assert_int_equal(rename("in/a", "in/b"), 0);
    for (int i = 0; times_found(watching, "in/b/deep/x.mrc") == 0; i++) {
        write_file("in/b/deep/x.mrc");
        flush_events(watching, "in");
        assert_true(i < 1000);
    }
    assert_int_equal(rename("in/b", "out/b"), 0);
    flush_events(watching, "in");
    write_file("out/b/deep/y.mrc");
    flush_events(watching, "in");
    assert_int_equal(times_found(watching, "in/a/deep/x.mrc"), 0);
    assert_int_equal(times_found(watching, "in/b/deep/y.mrc"), 0);
    assert_int_equal(times_found(watching, "in/a/deep/y.mrc"), 0);
}

/* No event reports a move above a configured directory: the next scan finds it. */
static void a_moved_parent(void **state)
{
    struct watching *watching = *state;
    make_directories("top/in/a");
    watch_scans(watching, "top/in");
    write_file("top/in/a/x.mrc");
    await(watching, "top/in/a/x.mrc");
    assert_int_equal(rename("top", "bottom"), 0);
    await_mode(watching, 0, "missing", -1);
    make_directories("top/in/a");
    await_mode(watching, 0, "inotify", -1);
    write_file("bottom/in/a/stray.mrc");
    write_file("top/in/a/y.mrc");
    await(watching, "top/in/a/y.mrc");
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 2);
}

static void directories_below_are_a_setting(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a");
    set(watching, "input.recursive", "no");
    write_file("in/a/x.mrc");
    watch_scans(watching, "in");
    make_directories("in/b");
    write_file("in/b/x.mrc");
    write_file("in/x.mrc");
    await(watching, "in/x.mrc");
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 1);
}

/* ---- missing ----------------------------------------------------------------------------------
 */

/* P46: the share is mounted after the start of the watcher. */
static void a_directory_that_comes_later(void **state)
{
    struct watching *watching = *state;
    watch_scans(watching, "in/share");
    await_mode(watching, 0, "missing", -1);
    make_directories("in/share/a");
    write_file("in/share/a/x.mrc");
    await(watching, "in/share/a/x.mrc");
    await_mode(watching, 0, "inotify", -1);
}

/* P47: when the directory is back, only new files are found. */
static void a_directory_that_vanishes_and_comes_back(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a");
    make_directories("other");
    watch_scans(watching, "in other");
    write_file("in/a/x.mrc");
    await(watching, "in/a/x.mrc");
    for (int i = 0; i < 3; i++) {
        char path[32];
        assert_int_equal(rename("in", "away"), 0);
        await_mode(watching, 0, "missing", -1);
        flush_events(watching, "other"); /* the others are still watched */
        (void)snprintf(path, sizeof path, "away/a/%d.mrc", i);
        write_file(path);
        assert_int_equal(rename("away", "in"), 0);
        await_mode(watching, 0, "inotify", -1);
        (void)snprintf(path, sizeof path, "in/a/%d.mrc", i);
        await(watching, path);
    }
    assert_int_equal(times_found(watching, "in/a/x.mrc"), 1);
    shell("rm -r in");
    await_mode(watching, 0, "missing", -1);
    make_directories("in/a");
    write_file("in/a/new.mrc");
    await(watching, "in/a/new.mrc");
    await_mode(watching, 0, "inotify", 0);
}

/* A directory that was only replaced is scanned at once, before the next scan is due. */
static void a_replaced_directory_is_taken_up_at_once(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    make_directories("new");
    watch_events(watching, "in");
    if (renameat2(AT_FDCWD, "in", AT_FDCWD, "new", RENAME_EXCHANGE) != 0) {
        print_message("the file system cannot exchange names\n");
        skip();
    }
    for (int i = 0; times_found(watching, "in/x.mrc") == 0; i++) {
        write_file("in/x.mrc");
        (void)ps_watcher_ticks(watching->watcher);
        assert_true(i < 100000);
    }
}

static void the_status_says_how_it_is(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a/b");
    watch_scans(watching, "in none in/");
    await_mode(watching, 0, "inotify", 0);
    await_mode(watching, 2, "inotify", 0);
    await_mode(watching, 1, "missing", 0);
    rescan(watching);
    struct ps_root_status *items = NULL;
    assert_int_equal(ps_watcher_status(watching->watcher, &items), 3);
    const struct ps_root_status expected[] = {
        {"in", "inotify", "", 3, 0, {{0}}},
        {"none", "missing", "No such file or directory", 0, 0, {{0}}},
        {"in", "inotify", "the same directory as another one", 0, 0, {{0}}},
    };
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(items[i].path, expected[i].path);
        assert_string_equal(items[i].mode, expected[i].mode);
        assert_string_equal(items[i].reason, expected[i].reason);
        assert_int_equal(items[i].directories, expected[i].directories);
        assert_int_equal(items[i].candidates, expected[i].candidates);
    }
    free(items);
    assert_int_equal(ps_metrics_gauge(watching->metrics, PS_GAUGE_WATCHES), 3);
}

/* ---- nested and linked ------------------------------------------------------------------------
 */

static void the_nearest_configured_directory_names_a_file(void **state)
{
    struct watching *watching = *state;
    make_directories("in/sub/deep");
    write_file("in/before.mrc");
    write_file("in/sub/deep/before.mrc");
    watch_scans(watching, "in in/sub");
    write_file("in/sub/x.mrc");
    write_file("in/sub/deep/y.mrc");
    await_count(watching, 4);
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    await_mode(watching, 1, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 4);
    assert_string_equal(hit_of(watching, "in/sub/x.mrc").name, "x.mrc");
    assert_string_equal(hit_of(watching, "in/sub/deep/y.mrc").name, "deep/y.mrc");
    assert_string_equal(hit_of(watching, "in/before.mrc").name, "before.mrc");
}

/* A nested one that is created after the outer one was scanned, and written differently. */
static void a_nearer_configured_directory_takes_over(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_scans(watching, "in ./in/sub");
    await_mode(watching, 1, "missing", -1);
    make_directories("in/sub/deep");
    await_mode(watching, 1, "inotify", -1);
    rescan(watching);
    write_file("in/sub/deep/x.mrc");
    await(watching, "./in/sub/deep/x.mrc");
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    await_mode(watching, 1, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 1);
    assert_string_equal(hit_of(watching, "./in/sub/deep/x.mrc").name, "deep/x.mrc");
}

/* P12: paths begin as configured, cycles end, and each file is found once. */
static void links_are_followed(void **state)
{
    struct watching *watching = *state;
    make_directories("real/data");
    make_directories("in/a");
    shell("ln -s ../real in/linked; ln -s .. in/a/up; ln -s a in/z; ln -s nowhere in/dangling.mrc");
    write_file("real/data/x.mrc");
    write_file("in/a/y.mrc");
    watch_scans(watching, "in");
    await(watching, "in/linked/data/x.mrc");
    await(watching, "in/a/y.mrc");
    write_file("real/data/new.mrc");
    await(watching, "in/linked/data/new.mrc");
    assert_string_equal(hit_of(watching, "in/linked/data/new.mrc").name, "linked/data/new.mrc");
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 3);
}

static void a_new_link_is_followed(void **state)
{
    struct watching *watching = *state;
    make_directories("real/data");
    make_directories("in");
    watch_events(watching, "in");
    assert_int_equal(symlink("../real", "in/linked"), 0);
    for (int i = 0; times_found(watching, "in/linked/data/x.mrc") == 0; i++) {
        write_file("real/data/x.mrc");
        flush_events(watching, "in");
        assert_true(i < 1000);
    }
}

static void a_configured_link(void **state)
{
    struct watching *watching = *state;
    make_directories("real/a");
    assert_int_equal(symlink("real", "in"), 0);
    watch_events(watching, "in");
    write_file("real/a/x.mrc");
    await(watching, "in/a/x.mrc");
}

/* ---- without events ----------------------------------------------------------------------------
 */

static void polling_finds_everything(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a/b");
    write_file("in/a/before.mrc");
    set(watching, "input.poll", "always");
    watch_scans(watching, "in");
    await_mode(watching, 0, "poll", -1);
    write_file("in/a/b/x.mrc");
    make_directories("in/new/deep");
    write_file("in/new/deep/y.mrc");
    write_file("in/.z.mrc.tmp");
    assert_int_equal(rename("in/.z.mrc.tmp", "in/z.mrc"), 0);
    await_count(watching, 4);
    write_file("in/z.mrc");
    await_times(watching, "in/z.mrc", 2);
    assert_int_equal(rename("in", "away"), 0);
    await_mode(watching, 0, "missing", -1);
    assert_int_equal(rename("away", "in"), 0);
    await_mode(watching, 0, "poll", 0);
    rescan(watching);
    await_mode(watching, 0, "poll", 0);
    assert_int_equal(count_of(watching, &watching->count), 5);
    assert_int_equal(ps_metrics_gauge(watching->metrics, PS_GAUGE_WATCHES), 0);
    assert_false(hit_of(watching, "in/z.mrc").announced);
}

/* P1: file systems that other machines change. The tests can only use local ones. */
static void local_file_systems_are_not_polled(void **state)
{
    struct watching *watching = *state;
    assert_null(ps_remote_file_system("/proc"));
    make_directories("in");
    watch_scans(watching, "in");
    await_mode(watching, 0, ps_remote_file_system("in") ? "poll" : "inotify", -1);
}

static char *status_reason(struct watching *watching)
{
    struct ps_root_status *items = NULL;
    assert_int_equal(ps_watcher_status(watching->watcher, &items), 1);
    char *copy = strdup(items[0].reason);
    free(items);
    return copy;
}

/* P4, in a user namespace that allows three watches. */
static void watches_run_out(void **state)
{
    struct watching *watching = *state;
    for (int i = 0; i < 6; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d", i);
        make_directories(path);
    }
    watch_scans(watching, "in");
    await_mode(watching, 0, "poll", -1);
    rescan(watching);
    char *reason = status_reason(watching);
    assert_string_equal(reason, "4 of 7 directories without a watch: No space left on device "
                                "(fs.inotify.max_user_watches)");
    free(reason);
    assert_int_equal(ps_metrics_gauge(watching->metrics, PS_GAUGE_WATCHES), 3);
    for (int i = 0; i < 6; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d/x.mrc", i);
        write_file(path);
    }
    await_count(watching, 6);
    write_file("in/x.mrc"); /* watched directories still report events */
    await(watching, "in/x.mrc");
    shell("rm -r in/0 in/1 in/2 in/3");
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 7);
}

/* P4, in a user namespace without instances. */
static void instances_run_out(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a");
    watch_scans(watching, "in");
    await_mode(watching, 0, "poll", -1);
    char *reason = status_reason(watching);
    assert_string_equal(reason, "no inotify instance: Too many open files "
                                "(fs.inotify.max_user_instances)");
    free(reason);
    write_file("in/a/x.mrc");
    await(watching, "in/a/x.mrc");
}

static void run_limited(const char *limit, const char *group)
{
    char command[500];
    (void)snprintf(command, sizeof command,
                   "unshare --user --map-root-user true || exit 77; "
                   "unshare --user --map-root-user sh -c "
                   "'echo %s || exit 77; exec %s %s'",
                   limit, program, group);
    const int status = system(command);
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127)) {
        print_message("no user namespaces here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

static void watches_run_out_elsewhere(void **state)
{
    (void)state;
    run_limited("3 > /proc/sys/user/max_inotify_watches", "limited");
}

static void instances_run_out_elsewhere(void **state)
{
    (void)state;
    run_limited("0 > /proc/sys/user/max_inotify_instances", "starved");
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, watching_setup, watching_teardown)
    const struct CMUnitTest tests[] = {
        TEST(new_directories_with_files_in_them),
        TEST(new_directories_are_watched),
        TEST(equal_names_are_two_micrographs),
        TEST(a_moved_directory_has_its_new_name),
        TEST(a_moved_parent),
        TEST(directories_below_are_a_setting),
        TEST(a_directory_that_comes_later),
        TEST(a_directory_that_vanishes_and_comes_back),
        TEST(a_replaced_directory_is_taken_up_at_once),
        TEST(the_status_says_how_it_is),
        TEST(the_nearest_configured_directory_names_a_file),
        TEST(a_nearer_configured_directory_takes_over),
        TEST(links_are_followed),
        TEST(a_new_link_is_followed),
        TEST(a_configured_link),
        TEST(polling_finds_everything),
        TEST(local_file_systems_are_not_polled),
        cmocka_unit_test(watches_run_out_elsewhere),
        cmocka_unit_test(instances_run_out_elsewhere),
    };
    const struct CMUnitTest limited[] = {TEST(watches_run_out)};
    const struct CMUnitTest starved[] = {TEST(instances_run_out)};
    char *self = realpath("/proc/self/exe", NULL);
    program = self;
    int failed = 0;
    if (argc == 2 && strcmp(argv[1], "limited") == 0)
        failed = cmocka_run_group_tests(limited, NULL, NULL);
    else if (argc == 2 && strcmp(argv[1], "starved") == 0)
        failed = cmocka_run_group_tests(starved, NULL, NULL);
    else
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(self);
    return failed;
}
