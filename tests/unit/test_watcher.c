/* Writers that behave as microscopes and copy programs do, and the moment at which their files are
 * handed on. With watch_events() files settle after an hour: a file that is handed on comes because
 * an event reported its end. */
#include "base/clock.h"
#include "watching.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void assert_not_found(struct watching *watching, const char *path)
{
    if (times_found(watching, path) != 0)
        fail_msg("%s was handed on too early", path);
}

static void a_closed_file_is_found_at_once(void **state)
{
    struct watching *watching = *state;
    make_directories("in/deep");
    watch_events(watching, "in");
    const int64_t before_ns = ps_clock_wall_ns();
    write_file("in/deep/x.mrc");
    await(watching, "in/deep/x.mrc");
    struct hit hit = hit_of(watching, "in/deep/x.mrc");
    struct stat info;
    assert_int_equal(stat("in/deep/x.mrc", &info), 0);
    const struct ps_identity identity = ps_identity_of(&info);
    assert_string_equal(hit.name, "deep/x.mrc");
    assert_true(ps_identity_equal(&hit.identity, &identity));
    assert_true(hit.announced);
    assert_true(hit.closed_ns >= before_ns && hit.detected_ns >= hit.closed_ns);
    assert_true(hit.detected_ns <= ps_clock_wall_ns());
}

static void a_slow_writer_is_waited_for(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    int fd = open_file("in/x.mrc", O_WRONLY | O_CREAT);
    for (size_t at = 0; at < WHOLE; at += WHOLE / 3) {
        write_part(fd, at, at + WHOLE / 3 < WHOLE ? at + WHOLE / 3 : WHOLE);
        flush_events(watching, "in");
        assert_not_found(watching, "in/x.mrc");
    }
    close_file(fd);
    await(watching, "in/x.mrc");
}

/* P7: the file has its full length before any of its pixels. */
static void a_preallocated_file_is_waited_for(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    int fd = open_file("in/x.mrc", O_WRONLY | O_CREAT);
    assert_int_equal(ftruncate(fd, WHOLE), 0);
    write_part(fd, 0, HEADER);
    flush_events(watching, "in");
    assert_not_found(watching, "in/x.mrc");
    close_file(fd); /* reserved by one process, to be filled by the next */
    flush_events(watching, "in");
    assert_not_found(watching, "in/x.mrc");
    fd = open_file("in/x.mrc", O_WRONLY);
    write_part(fd, HEADER, WHOLE);
    flush_events(watching, "in");
    assert_not_found(watching, "in/x.mrc");
    close_file(fd);
    await(watching, "in/x.mrc");
    flush_events(watching, "in");
    assert_int_equal(times_found(watching, "in/x.mrc"), 1);
}

/* P10: rsync writes .name.XXXXXX and renames it. */
static void a_file_renamed_into_place(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    write_file("in/.x.mrc.Ab3dEf");
    flush_events(watching, "in");
    assert_int_equal(rename("in/.x.mrc.Ab3dEf", "in/x.mrc"), 0);
    await(watching, "in/x.mrc");
    assert_not_found(watching, "in/.x.mrc.Ab3dEf");
    assert_true(hit_of(watching, "in/x.mrc").announced);
}

static void a_file_moved_in_from_elsewhere(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    make_directories("out");
    watch_events(watching, "in");
    write_file("out/x.mrc");
    assert_int_equal(rename("out/x.mrc", "in/x.mrc"), 0);
    await(watching, "in/x.mrc");
}

static void a_file_renamed_between_directories(void **state)
{
    struct watching *watching = *state;
    make_directories("in/a");
    make_directories("in/b");
    watch_events(watching, "in");
    write_file("in/a/x.mrc");
    await(watching, "in/a/x.mrc");
    assert_int_equal(rename("in/a/x.mrc", "in/b/y.mrc"), 0);
    await(watching, "in/b/y.mrc");
    assert_int_equal(times_found(watching, "in/a/x.mrc"), 1);
}

/* Copy programs that close after each portion. */
static void a_file_closed_before_its_end(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    for (size_t at = 0; at < WHOLE - 1; at += 3000) {
        int fd = open_file("in/x.mrc", O_WRONLY | O_CREAT);
        write_part(fd, at, at + 3000 < WHOLE - 1 ? at + 3000 : WHOLE - 1);
        close_file(fd);
        flush_events(watching, "in");
        assert_not_found(watching, "in/x.mrc");
    }
    int fd = open_file("in/x.mrc", O_WRONLY | O_CREAT);
    write_part(fd, WHOLE - 1, WHOLE);
    close_file(fd);
    await(watching, "in/x.mrc");
    assert_int_equal(hit_of(watching, "in/x.mrc").identity.size, WHOLE);
}

/* P9 */
static void a_rewritten_file_is_found_again(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    write_file("in/x.mrc");
    await(watching, "in/x.mrc");
    const struct ps_identity first = hit_of(watching, "in/x.mrc").identity;
    int fd = open_file("in/x.mrc", O_WRONLY);
    write_part(fd, 0, WHOLE);
    const struct timespec times[2] = {{.tv_sec = 7},
                                      {.tv_sec = 7}}; /* different from the present one */
    assert_int_equal(futimens(fd, times), 0);
    close_file(fd);
    await_times(watching, "in/x.mrc", 2);
    const struct ps_identity second = hit_of(watching, "in/x.mrc").identity;
    assert_int_equal(first.inode, second.inode);
    assert_false(ps_identity_equal(&first, &second));
    close_file(open_file("in/x.mrc", O_RDWR)); /* nothing written */
    flush_events(watching, "in");
    assert_int_equal(times_found(watching, "in/x.mrc"), 2);
}

static void a_file_that_goes_before_it_is_complete(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_scans(watching, "in");
    int fd = open_file("in/x.mrc", O_WRONLY | O_CREAT);
    write_part(fd, 0, 2000);
    close_file(fd);
    await_mode(watching, 0, "inotify", 1);
    assert_int_equal(unlink("in/x.mrc"), 0);
    /* Its timeout is a minute; it is created again under the same name. */
    write_file("in/x.mrc");
    await(watching, "in/x.mrc");
    await_mode(watching, 0, "inotify", 0);
}

/* Files that are linked into place cause only IN_CREATE. */
static void a_linked_file_settles(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    make_directories("out");
    set(watching, "input.poll", "never");
    watch_scans(watching, "in");
    write_file("out/x.mrc");
    assert_int_equal(link("out/x.mrc", "in/x.mrc"), 0);
    assert_int_equal(symlink("../out/x.mrc", "in/y.mrc"), 0);
    await(watching, "in/x.mrc");
    await(watching, "in/y.mrc");
    assert_false(hit_of(watching, "in/y.mrc").announced);
}

/* P6, P7: a file of full length whose pixels change for longer than it would take to settle. */
static void growth_outlasts_settling(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    set(watching, "input.poll", "always");
    int64_t longest_ns = 0;
    int fd = open_file("in/x.mrc", O_WRONLY | O_CREAT);
    const int64_t begin = ps_clock_mono_ns();
    write_part(fd, 0, WHOLE);
    watch_scans(watching, "in"); /* settles in 0.1 s */
    for (int64_t last = begin, now = begin; now < begin + 1000000000; last = now) {
        write_part(fd, HEADER, WHOLE);
        const struct timespec pace = {.tv_nsec = 10000000};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pace, NULL);
        now = ps_clock_mono_ns();
        longest_ns = now - last > longest_ns ? now - last : longest_ns;
        if (longest_ns < 40000000) /* else the machine made the writer pause */
            assert_not_found(watching, "in/x.mrc");
    }
    close_file(fd);
    await(watching, "in/x.mrc");
}

/* P5: clocks of other machines. */
static void odd_times_of_files_do_not_matter(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    const time_t seconds[] = {-1000, 0, 1, 4000000000};
    for (int i = 0; i < 4; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d.mrc", i);
        write_file(path);
        const struct timespec times[2] = {{.tv_sec = seconds[i]}, {.tv_sec = seconds[i]}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    set(watching, "input.poll", "always");
    watch_scans(watching, "in");
    await_count(watching, 4);
    assert_int_equal(hit_of(watching, "in/3.mrc").closed_ns, 4000000000 * (int64_t)1000000000);
}

/* P10 */
static void what_is_no_micrograph_is_left_out(void **state)
{
    struct watching *watching = *state;
    const char *const others[] = {"in/.x.mrc",
                                  "in/x.mrc.tmp",
                                  "in/x.jpg",
                                  "in/x.xml",
                                  "in/gain.mrc",
                                  "in/x_gain.mrc",
                                  "in/x_fractions.tiff",
                                  "in/.hidden/x.mrc",
                                  "in/some.tmp/x.mrc",
                                  "in/x.mrc.downloading"};
    make_directories("in/.hidden");
    make_directories("in/some.tmp");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        write_file(others[i]);
    make_directories("in/pipes");
    assert_int_equal(mkfifo("in/pipes/x.mrc", 0644), 0);
    make_directories("in/directory.mrc");
    watching->layout = "auto";
    watch_scans(watching, "in");
    write_file("in/before.mrc");
    await(watching, "in/before.mrc");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        write_file(others[i]);
    flush_events(watching, "in");
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), 2);
    struct ps_root_status *items = NULL;
    assert_int_equal(ps_watcher_status(watching->watcher, &items), 1);
    char text[200];
    (void)ps_rule_counts_text(&items[0].left_out, text, sizeof text);
    assert_string_equal(text, "1 matching input.exclude, 1 movies, 2 gain and defect references");
    free(items);
}

static void settled_files_are_not_asked_about_again(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    for (int i = 0; i < 20; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d.mrc", i);
        write_file(path);
    }
    watch_scans(watching, "in");
    await_count(watching, 20);
    rescan(watching); /* a requested rescan asks about every file */
    await_scans(watching, ps_metrics_counter(watching->metrics, PS_COUNTER_RESCANS) + 1);
    const size_t known = count_of(watching, &watching->known);
    assert_true(known >= 20);
    await_scans(watching, ps_metrics_counter(watching->metrics, PS_COUNTER_RESCANS) + 5);
    assert_int_equal(count_of(watching, &watching->known), known);
    rescan(watching);
    assert_true(count_of(watching, &watching->known) >= known + 20);
    tell(watching, &watching->ignorant, true); /* the journal was lost */
    rescan(watching);
    await_times(watching, "in/7.mrc", 2);
}

/* A file that was handed on and gets no outcome is handed on again without a request. */
static void what_is_lost_on_its_way_is_found_again(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    tell(watching, &watching->ignorant, true); /* it never has an outcome */
    watch_scans(watching, "in");
    write_file("in/x.mrc");
    await_times(watching, "in/x.mrc", 3);
}

static void what_is_refused_is_offered_again(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    tell(watching, &watching->refusing, true);
    watch_scans(watching, "in");
    write_file("in/x.mrc");
    write_file("in/y.mrc");
    await_mode(watching, 0, "inotify", 2);
    while (count_of(watching, &watching->refused) < 4)
        rescan(watching);
    assert_int_equal(unlink("in/y.mrc"), 0);
    tell(watching, &watching->refusing, false);
    await(watching, "in/x.mrc");
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(times_found(watching, "in/y.mrc"), 0);
    assert_int_equal(times_found(watching, "in/x.mrc"), 1);
}

/* "in/0.mrc" and so on, `count` of them, were each handed on once, also after another scan. */
static void assert_each_once(struct watching *watching, int count)
{
    await_count(watching, (size_t)count);
    rescan(watching);
    await_mode(watching, 0, "inotify", 0);
    assert_int_equal(count_of(watching, &watching->count), count);
    for (int i = 0; i < count; i += 97) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d.mrc", i);
        assert_int_equal(times_found(watching, path), 1);
    }
}

/* All of a backlog settle at the same time. */
static void a_backlog_waits_once(void **state)
{
    enum { COUNT = 2000 };
    struct watching *watching = *state;
    make_directories("in");
    for (int i = 0; i < COUNT; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d.mrc", i);
        write_file(path);
    }
    watch_scans(watching, "in");
    assert_each_once(watching, COUNT);
}

/* P2: more events than the kernel queues while the sink blocks the watcher. */
static void overflow_loses_nothing(void **state)
{
    struct watching *watching = *state;
    int most = 0;
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (limit && fscanf(limit, "%d", &most) != 1)
        most = 0;
    if (limit)
        (void)fclose(limit);
    if (most == 0 || most > 20000) {
        print_message("the queue of events is too long to overflow: %d\n", most);
        skip();
    }
    make_directories("in");
    watch_with(watching, "in", "0.1", "86400"); /* no scan except the one after the overflow */
    tell(watching, &watching->blocked, true);
    const int count = most * 5 / 8; /* two events each */
    for (int i = 0; i < count; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "in/%d.mrc", i);
        write_file(path);
    }
    tell(watching, &watching->blocked, false);
    assert_each_once(watching, count);
    assert_true(ps_metrics_counter(watching->metrics, PS_COUNTER_OVERFLOWS) >= 1);
}

static void asking_for_ticks_proves_life(void **state)
{
    struct watching *watching = *state;
    make_directories("in");
    watch_events(watching, "in");
    const uint64_t before = ps_watcher_ticks(watching->watcher);
    flush_events(watching, "in");
    assert_true(ps_watcher_ticks(watching->watcher) > before);
    tell(watching, &watching->blocked, true);
    write_file("in/x.mrc");
    /* The sink blocks the watcher: its ticks stop, even if they are read repeatedly. */
    uint64_t last, now = ps_watcher_ticks(watching->watcher);
    int same = 0;
    do {
        last = now;
        (void)sched_yield();
        now = ps_watcher_ticks(watching->watcher);
        same = now == last ? same + 1 : 0;
    } while (same < 10000);
    tell(watching, &watching->blocked, false);
    await(watching, "in/x.mrc");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, watching_setup, watching_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_closed_file_is_found_at_once),
        TEST(a_slow_writer_is_waited_for),
        TEST(a_preallocated_file_is_waited_for),
        TEST(a_file_renamed_into_place),
        TEST(a_file_moved_in_from_elsewhere),
        TEST(a_file_renamed_between_directories),
        TEST(a_file_closed_before_its_end),
        TEST(a_rewritten_file_is_found_again),
        TEST(a_file_that_goes_before_it_is_complete),
        TEST(a_linked_file_settles),
        TEST(growth_outlasts_settling),
        TEST(odd_times_of_files_do_not_matter),
        TEST(what_is_no_micrograph_is_left_out),
        TEST(settled_files_are_not_asked_about_again),
        TEST(what_is_lost_on_its_way_is_found_again),
        TEST(what_is_refused_is_offered_again),
        TEST(a_backlog_waits_once),
        TEST(overflow_loses_nothing),
        TEST(asking_for_ticks_proves_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
