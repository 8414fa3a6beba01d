/* The journal under faults: two services, a file that is not a journal, a full disk, a process
 * killed at any moment, and many threads at once. */
#include "base/clock.h"
#include "journal_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void must_not_open(const char *directory, const char *reason)
{
    struct ps_journal *journal = NULL;
    struct ps_error error;
    int result = ps_journal_open(directory, &journal, &error);
    if (result == 0)
        ps_journal_close(journal);
    assert_int_equal(result, PS_E_SYSTEM);
    assert_null(journal);
    if (!strstr(error.message, reason) || !strstr(error.message, directory) ||
        strchr(error.message, '\n'))
        fail_msg("not \"%s\": %s", reason, error.message);
}

/* DIRECTORY/name; one at a time. */
static const char *file_in(const char *directory, const char *name)
{
    static char path[200];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void execute(const char *directory, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file_in(directory, "journal.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void add(struct ps_journal *journal, int from, int to, size_t size)
{
    for (int i = from; i <= to; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d", i);
        struct ps_job *job = make_job(path, 1);
        (void)see(journal, job);
        struct ps_error error;
        if (try_finish(journal, job, "picked", size, &error))
            fail_msg("%s", error.message);
        ps_job_free(job);
    }
}

static void must_hold(struct ps_journal *journal, size_t outcomes)
{
    assert_int_equal(ps_journal_last_seq(journal), outcomes);
    struct texts *texts = replay(journal, 0, SIZE_MAX);
    assert_int_equal(texts->count, outcomes);
    struct ps_journal_totals totals = totals_of(journal);
    assert_int_equal(totals.picked + totals.rejected + totals.failed, outcomes);
    free(texts);
}

/* ---- one service for each directory ---- */

static void test_a_second_service_is_told_who_has_it(void **state)
{
    const char *directory = *state;
    assert_int_equal(ps_journal_holder(directory), 0);
    int ready[2];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        struct ps_journal *journal;
        char ok = ps_journal_open(directory, &journal, NULL) == 0;
        (void)!write(ready[1], &ok, 1);
        for (;;)
            (void)pause();
    }
    char ok = 0;
    assert_int_equal(read(ready[0], &ok, 1), 1);
    assert_true(ok);
    assert_int_equal(ps_journal_holder(directory), child);
    char number[40];
    (void)snprintf(number, sizeof number, "process %d", (int)child);
    must_not_open(directory, number);
    assert_int_equal(ps_journal_holder(directory), child); /* a query does not take the lock */

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(ps_journal_holder(directory), 0);
    struct ps_journal *journal = open_journal(directory);
    assert_int_equal(ps_journal_holder(directory), getpid());
    must_not_open(directory, "in use by another pickstream");
    ps_journal_close(journal);
    assert_int_equal(ps_journal_holder(directory), 0);
    assert_int_equal(ps_journal_holder("/nowhere"), 0);
    assert_int_equal(close(ready[0]) | close(ready[1]), 0);
}

/* ---- files that are not journals ---- */

static void test_a_directory_that_is_none(void **state)
{
    (void)state;
    must_not_open("/nowhere/at/all", "No such file or directory");
    must_not_open("/dev/null", "Not a directory");
}

static void test_a_directory_of_another_user(void **state)
{
    const char *directory = *state;
    assert_int_equal(chmod(directory, 0555), 0);
    pid_t child = fork();
    if (child == 0) {
        struct ps_journal *journal;
        struct ps_error error;
        if (geteuid() == 0 && setuid(65534))
            _exit(2);
        if (ps_journal_open(directory, &journal, &error) != PS_E_SYSTEM)
            _exit(3);
        _exit(strstr(error.message, "Permission denied") ? 0 : 4);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(directory, 0755), 0);
}

static void test_databases_of_others_are_refused_and_left_alone(void **state)
{
    const char *directory = *state;
    execute(directory, "CREATE TABLE recipes (name); INSERT INTO recipes VALUES ('soup')");
    must_not_open(directory, "no journal of pickstream");
    execute(directory, "PRAGMA application_id = 7");
    must_not_open(directory, "no journal of pickstream");
    execute(directory, "UPDATE recipes SET name = 'stew'");
    assert_int_equal(access(file_in(directory, "journal.sqlite-wal"), F_OK), -1);
}

static void test_a_journal_of_a_later_version_is_refused(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    add(journal, 1, 3, 10);
    ps_journal_close(journal);
    execute(*state, "PRAGMA user_version = 2");
    must_not_open(*state, "later version");
    execute(*state, "PRAGMA user_version = 1");
    journal = open_journal(*state);
    must_hold(journal, 3);
    ps_journal_close(journal);
}

static void test_outcomes_taken_away_are_missed(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    add(journal, 1, 9, 10);
    ps_journal_close(journal);
    execute(*state, "DELETE FROM outcomes WHERE seq = 5; UPDATE totals SET outcomes = outcomes - 1"
                    " WHERE status = 'picked'");
    must_not_open(*state, "outcomes are missing");
}

static void overwrite(const char *directory, off_t offset, size_t length)
{
    int fd = open(file_in(directory, "journal.sqlite"), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    char garbage[4096];
    memset(garbage, 'x', sizeof garbage);
    assert_true(length <= sizeof garbage);
    assert_int_equal(pwrite(fd, garbage, length, offset), length);
    assert_int_equal(close(fd), 0);
}

static int count_messages(void *context, uint64_t seq, const struct ps_frames *frames)
{
    (void)seq;
    (void)frames;
    ++*(int *)context;
    return 0;
}

static void test_a_damaged_journal_is_said_to_be_damaged(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    add(journal, 1, 50, 6000);
    ps_journal_close(journal);
    struct stat info;
    assert_int_equal(stat(file_in(*state, "journal.sqlite"), &info), 0);
    assert_true(info.st_size > 40 * 4096);

    /* Bytes of a message: SQLite has no checksums, but the rest of the journal works. A page of a
     * tree: reported by whatever needs it. */
    int damaged = 0;
    for (off_t page = 12; page < 40; page++)
        overwrite(*state, page * 4096, 4096);
    struct ps_error error;
    journal = NULL;
    int count = 0;
    int result = ps_journal_open(*state, &journal, &error);
    if (result == 0)
        result = ps_journal_replay(journal, 0, SIZE_MAX, count_messages, &count, &error);
    ps_journal_close(journal);
    damaged = result == PS_E_SYSTEM && strstr(error.message, "damaged") &&
              strstr(error.message, "journal.sqlite");
    if (!damaged)
        fail_msg("%d: %s", result, result ? error.message : "");
    assert_true(count < 50);

    assert_int_equal(truncate(file_in(*state, "journal.sqlite"), 3 * 4096), 0);
    must_not_open(*state, "damaged");
    overwrite(*state, 0, 100);
    must_not_open(*state, "not a database");
    must_not_open(*state, "journal.sqlite"); /* the message names the file, and says it again */
    assert_int_equal(unlink(file_in(*state, "journal.sqlite")), 0);
    ps_journal_close(open_journal(*state));
}

static void test_a_journal_deleted_while_in_use_is_noticed(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    add(journal, 1, 3, 10);
    struct ps_job *job = make_job("/data/4", 1);
    (void)see(journal, job);
    assert_int_equal(unlink(file_in(*state, "journal.sqlite")), 0);
    struct ps_error error;
    assert_int_equal(try_finish(journal, job, "picked", 10, &error), PS_E_SYSTEM);
    assert_non_null(strstr(error.message, "deleted"));
    must_hold(journal, 3);
    ps_job_free(job);
    ps_journal_close(journal);
}

/* ---- full disk (P48) ---- */

/* Outcomes from `next` on, until one is refused. Returns its number. */
static int fill(struct ps_journal *journal, int next, const char *reason)
{
    for (int i = next; i < next + 2000; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d", i);
        struct ps_job *job = make_job(path, 1);
        enum ps_journal_state seen;
        struct ps_error error;
        int result = ps_journal_see(journal, job, &seen, &error);
        if (result == 0)
            result = try_finish(journal, job, "picked", 20000, &error);
        ps_job_free(job);
        if (result == 0)
            continue;
        assert_int_equal(result, PS_E_SYSTEM);
        if (!strstr(error.message, reason) || !strstr(error.message, "journal.sqlite"))
            fail_msg("not \"%s\": %s", reason, error.message);
        return i;
    }
    fail_msg("there was room all the time");
    return 0;
}

/* Nothing is recorded in part, and lookups still work. */
static void must_go_on(struct ps_journal *journal, int refused)
{
    must_hold(journal, (size_t)refused - 1);
    struct ps_job *job = make_job("/data/1", 1);
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    ps_job_free(job);
}

static void test_a_full_disk_stops_commits_until_there_is_room(void **state)
{
    const char *directory = *state;
    if (mount("tmpfs", directory, "tmpfs", 0, "size=2m")) {
        print_message("no disk to fill: mounting: %s\n", strerror(errno));
        skip();
    }
    /* Space that is freed later. */
    int fd = open(file_in(directory, "reserve"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, 1 << 20), 0);
    assert_int_equal(close(fd), 0);

    struct ps_journal *journal = open_journal(directory);
    int refused = fill(journal, 1, "o space left on");
    must_go_on(journal, refused);
    assert_int_equal(fill(journal, refused, "o space left on"), refused);
    must_go_on(journal, refused);

    assert_int_equal(unlink(file_in(directory, "reserve")), 0);
    add(journal, refused, refused + 3, 20000);
    must_hold(journal, (size_t)refused + 3);
    int again = fill(journal, refused + 4, "o space left on");
    must_go_on(journal, again);
    ps_journal_close(journal);

    /* Full, and started again: what is there can be had. A directory without room for the log's
     * index is refused with the reason. */
    struct ps_error error;
    journal = NULL;
    if (ps_journal_open(directory, &journal, &error) == 0)
        must_go_on(journal, again);
    else if (!strstr(error.message, "o space left on"))
        fail_msg("%s", error.message);
    ps_journal_close(journal);
    assert_int_equal(umount(directory), 0);
}

static void test_a_full_disk_at_the_start_is_said(void **state)
{
    const char *directory = *state;
    if (mount("tmpfs", directory, "tmpfs", 0, "size=16k")) {
        print_message("no disk to fill: mounting: %s\n", strerror(errno));
        skip();
    }
    must_not_open(directory, "o space left on");
    assert_int_equal(ps_journal_holder(directory), 0);
    assert_int_equal(mount("tmpfs", directory, "tmpfs", MS_REMOUNT, "size=2m"), 0);
    struct ps_journal *journal = open_journal(directory);
    add(journal, 1, 3, 10);
    must_hold(journal, 3);
    ps_journal_close(journal);
    assert_int_equal(mount("tmpfs", directory, "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
    must_not_open(directory, "Read-only file system");
    assert_int_equal(umount(directory), 0);
}

/* The same without permission to mount: a file size limit refuses the writes. */
static void test_a_file_that_may_not_grow_stops_commits(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit less = {.rlim_cur = 500000, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    int refused = fill(journal, 1, "File too large");
    must_go_on(journal, refused);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    (void)signal(SIGXFSZ, before);
    assert_true(refused > 2);
    add(journal, refused, refused + 10, 20000);
    must_hold(journal, (size_t)refused + 10);
    ps_journal_close(journal);
    journal = open_journal(*state);
    must_hold(journal, (size_t)refused + 10);
    ps_journal_close(journal);
}

static void test_the_log_does_not_grow_without_bound(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct stat info;
    off_t largest = 0;
    for (int i = 0; i < 120; i++) {
        add(journal, 3 * i + 1, 3 * i + 3, 100000);
        free(replay(journal, 0, 5)); /* a reader */
        assert_int_equal(stat(file_in(*state, "journal.sqlite-wal"), &info), 0);
        largest = info.st_size > largest ? info.st_size : largest;
    }
    assert_int_equal(stat(file_in(*state, "journal.sqlite"), &info), 0);
    assert_true(info.st_size > 30000000);
    assert_true(largest < 8000000);

    /* Micrographs are seen and nothing is committed. */
    for (int i = 0; i < 8000; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/seen/%d", i);
        struct ps_job *job = make_job(path, 1);
        (void)see(journal, job);
        ps_job_free(job);
    }
    assert_int_equal(stat(file_in(*state, "journal.sqlite-wal"), &info), 0);
    assert_true(info.st_size < 32000000);
    ps_journal_close(journal);
}

static void test_a_known_file_is_not_written_again(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    add(journal, 1, 50, 10);
    struct ps_job *open = make_job("/data/open", 1);
    (void)see(journal, open);
    struct stat before;
    struct stat after;
    assert_int_equal(stat(file_in(*state, "journal.sqlite-wal"), &before), 0);
    for (int i = 0; i < 1000; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d", i % 50 + 1);
        struct ps_job *job = make_job(path, 1);
        assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
        assert_int_equal(see(journal, open), PS_JOURNAL_OPEN);
        ps_job_free(job);
    }
    assert_int_equal(stat(file_in(*state, "journal.sqlite-wal"), &after), 0);
    assert_true(before.st_size == after.st_size);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    ps_job_free(open);
    ps_journal_close(journal);
}

/* ---- killed at any moment ---- */

/* A report of the child, after each step that succeeded. */
struct report {
    char what;  /* 's': file `number` was seen; 'c': outcome `seq` was committed */
    int number; /* of the file */
    uint64_t seq;
    uint64_t sum; /* of all bytes of the message */
};

static uint64_t sum_of(const struct ps_frames *frames)
{
    uint64_t sum = 14695981039346656037u;
    for (size_t i = 0; i < frames->count; i++) {
        const unsigned char *bytes = frames->frame[i].data;
        for (size_t k = 0; k < frames->frame[i].size; k++)
            sum = (sum ^ bytes[k]) * 1099511628211u;
        sum = (sum ^ frames->frame[i].size) * 1099511628211u;
    }
    return sum;
}

enum { BATCH = 3 };

struct batch {
    struct ps_job *job[BATCH];
    size_t count;
};

static int take_open(void *context, struct ps_job *job)
{
    struct batch *batch = context;
    batch->job[batch->count++] = job;
    return batch->count == BATCH;
}

static void tell(int fd, const struct report *report)
{
    if (write(fd, report, sizeof *report) != (ssize_t)sizeof *report)
        _exit(1);
}

/* Commits up to BATCH of what is open. The messages differ from run to run. */
static size_t commit_open(struct ps_journal *journal, int fd)
{
    struct batch batch = {.count = 0};
    if (ps_journal_each_open(journal, take_open, &batch, NULL))
        _exit(1);
    struct ps_journal_row records[BATCH];
    struct message *messages[BATCH];
    struct report reports[BATCH];
    for (size_t i = 0; i < batch.count; i++) {
        char text[80];
        (void)snprintf(text, sizeof text, "%s by %d", batch.job[i]->path, (int)getpid());
        messages[i] = make_message(text, 3000 + 100 * i);
        records[i] = (struct ps_journal_row){.job = batch.job[i],
                                             .seq = ps_journal_last_seq(journal) + 1 + i,
                                             .status = i ? "picked" : "failed",
                                             .frames = &messages[i]->frames};
        reports[i] = (struct report){'c', atoi(batch.job[i]->path + strlen("/data/")),
                                     records[i].seq, sum_of(&messages[i]->frames)};
    }
    if (ps_journal_commit(journal, records, batch.count, NULL))
        _exit(1);
    for (size_t i = 0; i < batch.count; i++) {
        if (fd >= 0)
            tell(fd, &reports[i]);
        free_message(messages[i]);
        ps_job_free(batch.job[i]);
    }
    return batch.count;
}

static void see_and_commit(const char *directory, int next, int fd)
{
    struct ps_journal *journal;
    if (ps_journal_open(directory, &journal, NULL))
        _exit(1);
    for (;;) {
        for (int i = 0; i < BATCH; i++, next++) {
            char path[40];
            (void)snprintf(path, sizeof path, "/data/%d", next);
            struct ps_job *job = make_job(path, 1);
            enum ps_journal_state seen;
            if (ps_journal_see(journal, job, &seen, NULL))
                _exit(1);
            ps_job_free(job);
            tell(fd, &(struct report){'s', next, 0, 0});
        }
        (void)commit_open(journal, fd);
    }
}

enum { MAX_SEQ = 20000 };
struct history {
    int seen;               /* files 1 to this were seen, by the reports */
    uint64_t committed;     /* seq of the last report */
    uint64_t sums[MAX_SEQ]; /* by seq, what was reported */
    uint64_t replayed;      /* the last seq in the journal */
    bool done[MAX_SEQ];     /* by number of the file */
};

static int check_message(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct history *history = context;
    assert_true(seq == history->replayed + 1 && seq < MAX_SEQ);
    history->replayed = seq;
    uint64_t sum = sum_of(frames);
    if (history->sums[seq]) /* 0: killed before it could be reported; then it stays as it is */
        assert_true(sum == history->sums[seq]);
    history->sums[seq] = sum;
    int number = atoi((const char *)frames->frame[1].data + strlen("/data/"));
    assert_true(number > 0 && number < MAX_SEQ);
    assert_false(history->done[number]);
    history->done[number] = true;
    return 0;
}

/* Reads reports until `enough` (0: to the end). Returns how many. */
static int read_reports(int fd, struct history *history, int enough)
{
    struct report report;
    int count = 0;
    while ((!enough || count < enough) &&
           read(fd, &report, sizeof report) == (ssize_t)sizeof report) {
        count++;
        if (report.what == 's') {
            history->seen = report.number > history->seen ? report.number : history->seen;
        } else {
            assert_true(report.seq == history->committed + 1 && report.seq < MAX_SEQ);
            history->committed = report.seq;
            history->sums[report.seq] = report.sum;
        }
    }
    return count;
}

static void spin(long microseconds)
{
    int64_t end = ps_clock_mono_ns() + microseconds * 1000;
    while (ps_clock_mono_ns() < end)
        ;
}

static void test_killed_at_any_moment_it_loses_nothing(void **state)
{
    struct history *history = calloc(1, sizeof *history);
    assert_non_null(history);
    unsigned seed = (unsigned)getpid();
    print_message("seed %u\n", seed);
    int next = 1;
    for (int round = 0; round < 10; round++) {
        int reports[2];
        assert_int_equal(pipe2(reports, O_CLOEXEC), 0);
        pid_t child = fork();
        if (child == 0)
            see_and_commit(*state, next, reports[1]);
        assert_int_equal(close(reports[1]), 0);
        int enough = 1 + rand_r(&seed) % 150;
        assert_int_equal(read_reports(reports[0], history, enough), enough);
        spin(rand_r(&seed) % 2000);
        assert_int_equal(kill(child, SIGKILL), 0);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        (void)read_reports(reports[0], history, 0);
        assert_int_equal(close(reports[0]), 0);

        struct ps_journal *journal = open_journal(*state);
        memset(history->done, 0, sizeof history->done);
        history->replayed = 0;
        struct ps_error error;
        assert_int_equal(ps_journal_replay(journal, 0, SIZE_MAX, check_message, history, &error),
                         0);
        assert_true(history->replayed >= history->committed);
        assert_true(history->replayed <= history->committed + BATCH);
        assert_true(ps_journal_last_seq(journal) == history->replayed);
        struct ps_journal_totals totals = totals_of(journal);
        assert_true(totals.picked + totals.failed == history->replayed);
        /* Seen files are open or done; one more can have been seen than was reported. */
        assert_true(totals.open + history->replayed >= (uint64_t)history->seen);
        assert_true(totals.open + history->replayed <= (uint64_t)history->seen + 1);
        for (int i = 1; i <= history->seen; i++) {
            char path[40];
            (void)snprintf(path, sizeof path, "/data/%d", i);
            struct ps_job *job = make_job(path, 1);
            assert_int_equal(see(journal, job),
                             history->done[i] ? PS_JOURNAL_DONE : PS_JOURNAL_OPEN);
            ps_job_free(job);
        }
        history->committed = history->replayed;
        next = history->seen + 1;
        ps_journal_close(journal);
    }
    struct ps_journal *journal = open_journal(*state);
    while (commit_open(journal, -1))
        ;
    assert_true(totals_of(journal).open == 0);
    assert_true(ps_journal_last_seq(journal) >= (uint64_t)history->seen);
    ps_journal_close(journal);
    free(history);
}

/* ---- many threads ---- */

enum { THREAD_OUTCOMES = 300, THREAD_FILES = 600 };

struct crowd {
    struct ps_journal *journal;
    atomic_int failures;
    atomic_bool over;
};

static bool step(struct crowd *crowd, const char *path, enum ps_journal_state expected,
                 struct ps_job **ret_job)
{
    struct ps_job *job = make_job(path, 1);
    enum ps_journal_state seen = PS_JOURNAL_DONE;
    if (ps_journal_see(crowd->journal, job, &seen, NULL) || seen != expected)
        atomic_fetch_add(&crowd->failures, 1);
    if (ret_job)
        *ret_job = job;
    else
        ps_job_free(job);
    return seen == expected;
}

static void *commits(void *context)
{
    struct crowd *crowd = context;
    for (int i = 1; i <= THREAD_OUTCOMES; i++) {
        char path[40];
        struct ps_job *job;
        (void)snprintf(path, sizeof path, "/data/%d", i);
        (void)step(crowd, path, PS_JOURNAL_NEW, &job);
        if (try_finish(crowd->journal, job, "picked", 1000, NULL))
            atomic_fetch_add(&crowd->failures, 1);
        ps_job_free(job);
        (void)step(crowd, path, PS_JOURNAL_DONE, NULL);
    }
    atomic_store(&crowd->over, true);
    return NULL;
}

static void *sees(void *context)
{
    struct crowd *crowd = context;
    for (int i = 1; i <= THREAD_FILES; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/seen/%d", i);
        (void)step(crowd, path, PS_JOURNAL_NEW, NULL);
        (void)step(crowd, path, PS_JOURNAL_OPEN, NULL);
        uint64_t seq;
        struct ps_journal_totals totals;
        if (ps_journal_find(crowd->journal, path, &seq, NULL) || seq != 0 ||
            ps_journal_totals(crowd->journal, &totals, NULL) || totals.open < (uint64_t)i)
            atomic_fetch_add(&crowd->failures, 1);
    }
    return NULL;
}

static int in_order(void *context, uint64_t seq, const struct ps_frames *frames)
{
    uint64_t *last = context;
    char expected[40];
    int length = snprintf(expected, sizeof expected, "/data/%d 1.1", (int)seq);
    if (seq != *last + 1 || frames->count != 3 || frames->frame[1].size != (size_t)length ||
        memcmp(frames->frame[1].data, expected, (size_t)length) != 0)
        return 1;
    *last = seq;
    return 0;
}

static void *replays(void *context)
{
    struct crowd *crowd = context;
    bool over;
    do {
        over = atomic_load(&crowd->over);
        uint64_t known = ps_journal_last_seq(crowd->journal);
        uint64_t last = 0;
        size_t retried;
        if (ps_journal_replay(crowd->journal, 0, SIZE_MAX, in_order, &last, NULL) || last < known ||
            ps_journal_retry(crowd->journal, NULL, 0, &retried, NULL) || retried)
            atomic_fetch_add(&crowd->failures, 1);
    } while (!over);
    return NULL;
}

static void test_threads_do_not_disturb_each_other(void **state)
{
    struct crowd crowd = {.journal = open_journal(*state)};
    pthread_t threads[3];
    assert_int_equal(pthread_create(&threads[0], NULL, commits, &crowd), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, sees, &crowd), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, replays, &crowd), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd.failures), 0);
    must_hold(crowd.journal, THREAD_OUTCOMES);
    assert_int_equal(totals_of(crowd.journal).open, THREAD_FILES);
    ps_journal_close(crowd.journal);
}

/* Undoes a mount or a limit that a failed test left. */
static int clean_up(void **state)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
    (void)umount2(*state, MNT_DETACH);
    return remove_directory(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, clean_up)
    const struct CMUnitTest tests[] = {
        TEST(test_a_second_service_is_told_who_has_it),
        TEST(test_a_directory_that_is_none),
        TEST(test_a_directory_of_another_user),
        TEST(test_databases_of_others_are_refused_and_left_alone),
        TEST(test_a_journal_of_a_later_version_is_refused),
        TEST(test_outcomes_taken_away_are_missed),
        TEST(test_a_damaged_journal_is_said_to_be_damaged),
        TEST(test_a_journal_deleted_while_in_use_is_noticed),
        TEST(test_a_full_disk_stops_commits_until_there_is_room),
        TEST(test_a_full_disk_at_the_start_is_said),
        TEST(test_a_file_that_may_not_grow_stops_commits),
        TEST(test_the_log_does_not_grow_without_bound),
        TEST(test_a_known_file_is_not_written_again),
        TEST(test_killed_at_any_moment_it_loses_nothing),
        TEST(test_threads_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
