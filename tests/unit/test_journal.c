/* The journal without faults: micrographs seen, seen again, rewritten and retried, their
 * outcomes in order, and the messages read back. */
#include "journal_fixture.h"

#include <sqlite3.h>

static void test_a_new_journal_is_empty_and_keeps_its_name(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    char stream[64];
    (void)snprintf(stream, sizeof stream, "%s", ps_journal_stream(journal));
    assert_int_equal(strlen(stream), 36);
    assert_true(stream[14] == '4' && strchr("89ab", stream[19]));
    assert_int_equal(ps_journal_last_seq(journal), 0);
    struct ps_journal_totals totals = totals_of(journal);
    assert_true(totals.picked + totals.rejected + totals.failed + totals.open + totals.picks == 0);
    ps_journal_close(journal);

    journal = open_journal(*state);
    assert_string_equal(ps_journal_stream(journal), stream);
    ps_journal_close(journal);

    char other[] = "/tmp/pickstream-journal-XXXXXX";
    assert_non_null(mkdtemp(other));
    journal = open_journal(other);
    assert_string_not_equal(ps_journal_stream(journal), stream);
    ps_journal_close(journal);
    char *name = other;
    void *copy = strdup(name);
    assert_int_equal(remove_directory(&copy), 0);
}

static void test_a_micrograph_is_new_then_open_then_done(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/a.mrc", 1);
    assert_false(ps_journal_done(journal, job->path, &job->identity));
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    assert_int_equal(job->revision, 1);
    assert_int_equal(job->attempt, 1);
    assert_int_equal(see(journal, job), PS_JOURNAL_OPEN);
    assert_false(ps_journal_done(journal, job->path, &job->identity));
    finish(journal, job, "picked");
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    assert_true(ps_journal_done(journal, job->path, &job->identity));
    assert_int_equal(ps_journal_last_seq(journal), 1);
    ps_journal_close(journal);

    journal = open_journal(*state);
    assert_int_equal(ps_journal_last_seq(journal), 1);
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    assert_int_equal(totals_of(journal).open, 0);
    ps_job_free(job);
    ps_journal_close(journal);
}

/* P8 */
static void test_the_same_name_in_two_folders_is_two_micrographs(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *a = make_job("/data/GridSquare_1/x.mrc", 1);
    struct ps_job *b = make_job("/data/GridSquare_2/x.mrc", 1);
    assert_int_equal(see(journal, a), PS_JOURNAL_NEW);
    assert_int_equal(see(journal, b), PS_JOURNAL_NEW);
    finish(journal, a, "picked");
    assert_int_equal(see(journal, b), PS_JOURNAL_OPEN);
    ps_job_free(a);
    ps_job_free(b);
    ps_journal_close(journal);
}

/* P9 */
static void test_a_file_rewritten_after_its_outcome_is_a_new_revision(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    for (int version = 1; version <= 3; version++) {
        struct ps_job *job = make_job("/data/a.mrc", version);
        assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
        assert_int_equal(job->revision, version);
        finish(journal, job, version == 2 ? "failed" : "picked");
        assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
        ps_job_free(job);
    }
    /* Only the size differs, then only the time. */
    struct ps_job *job = make_job("/data/a.mrc", 3);
    job->identity.size++;
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    finish(journal, job, "picked");
    job->identity.mtime_ns++;
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    assert_int_equal(job->revision, 5);
    ps_job_free(job);
    ps_journal_close(journal);
}

static void test_a_file_rewritten_while_it_waits_has_one_outcome(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *first = make_job("/data/a.mrc", 1);
    struct ps_job *second = make_job("/data/a.mrc", 2);
    assert_int_equal(see(journal, first), PS_JOURNAL_NEW);
    assert_int_equal(see(journal, second), PS_JOURNAL_OPEN);
    assert_int_equal(second->revision, 1);
    assert_true(second->row == first->row);
    finish(journal, second, "picked");
    assert_int_equal(see(journal, second), PS_JOURNAL_DONE);
    assert_int_equal(totals_of(journal).open, 0);
    assert_int_equal(totals_of(journal).picked, 1);
    ps_job_free(first);
    ps_job_free(second);
    ps_journal_close(journal);
}

static void test_a_file_rewritten_while_it_is_picked_has_two_outcomes(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *first = make_job("/data/a.mrc", 1);
    struct ps_job *second = make_job("/data/a.mrc", 2);
    (void)see(journal, first);
    (void)see(journal, second);
    finish(journal, first, "picked");
    assert_int_equal(see(journal, second), PS_JOURNAL_OPEN);
    assert_int_equal(second->revision, 2);
    assert_int_equal(second->attempt, 1);
    finish(journal, second, "picked");
    assert_int_equal(see(journal, second), PS_JOURNAL_DONE);
    struct texts *texts = replay(journal, 0, SIZE_MAX);
    assert_int_equal(texts->count, 2);
    assert_string_equal(texts->text[0], "/data/a.mrc 1.1");
    assert_string_equal(texts->text[1], "/data/a.mrc 2.1");
    assert_int_equal(totals_of(journal).open, 0);
    free(texts);
    ps_job_free(first);
    ps_job_free(second);
    ps_journal_close(journal);
}

/* P47: a share that is mounted again, a session that is copied back, also while a job waits. */
static void test_another_device_or_inode_is_no_rewriting(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/a.mrc", 1);
    (void)see(journal, job);
    finish(journal, job, "picked");
    job->identity.device = 0x2f;
    job->identity.inode++;
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    assert_true(ps_journal_done(journal, job->path, &job->identity));
    ps_job_free(job);
    job = make_job("/data/b.mrc", 1);
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    job->identity.inode++;
    finish(journal, job, "picked");
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    assert_int_equal(job->revision, 1);
    assert_int_equal(totals_of(journal).open, 0);
    ps_job_free(job);
    ps_journal_close(journal);
}

/* A version of an exposure that another one stands for: not open any more, and still known to the
 * next process. */
static void test_a_skipped_file_has_no_outcome(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/x.mrc", 1);
    struct ps_error error;
    char version[64];
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    assert_int_equal(ps_journal_file(journal, job->path), PS_JOURNAL_FILE_OPEN);
    assert_int_equal(ps_journal_skip(journal, job, "/data/x_DW.mrc", &error), 0);
    assert_int_equal(ps_journal_file(journal, job->path), PS_JOURNAL_FILE_NONE);
    ps_journal_close(journal);
    journal = open_journal(*state);
    assert_int_equal(totals_of(journal).open, 0);
    assert_int_equal(totals_of(journal).skipped, 1);
    assert_false(ps_journal_done(journal, job->path, &job->identity));
    assert_true(ps_journal_skipped(journal, job->path, &job->identity, version, sizeof version));
    assert_string_equal(version, "/data/x_DW.mrc");
    job->identity.size++;
    assert_false(ps_journal_skipped(journal, job->path, &job->identity, version, sizeof version));
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW); /* it is needed after all */
    assert_int_equal(totals_of(journal).skipped, 0);
    finish(journal, job, "rejected");
    assert_int_equal(ps_journal_file(journal, job->path), PS_JOURNAL_FILE_DONE);
    ps_job_free(job);
    ps_journal_close(journal);
}

/* Changes the tables behind the journal's back. */
static void execute(const char *directory, const char *text)
{
    char path[300];
    sqlite3 *db;
    (void)snprintf(path, sizeof path, "%s/journal.sqlite", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static uint64_t next_unwritten(struct ps_journal *journal, uint64_t after)
{
    uint64_t seq = 99, count = 99;
    struct ps_error error;
    assert_int_equal(ps_journal_next_unwritten(journal, after, &seq, &error), 0);
    assert_int_equal(ps_journal_count_unwritten(journal, &count, &error), 0);
    assert_true(seq == 0 || count > 0);
    return seq;
}

/* Outcomes whose files are missing are known to the next process, until they are written or their
 * micrograph has another outcome. */
static void test_missing_files_are_remembered(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *jobs[] = {make_job("/data/a.mrc", 1), make_job("/data/b.mrc", 1),
                             make_job("/data/c.mrc", 1), make_job("/data/a.mrc", 2)};
    struct ps_error error;
    uint64_t count = 0;
    assert_int_equal(next_unwritten(journal, 0), 0);
    for (int i = 0; i < 3; i++) {
        jobs[i]->files_missing = i != 1;
        (void)see(journal, jobs[i]);
        finish(journal, jobs[i], "picked");
    }
    ps_journal_close(journal);
    journal = open_journal(*state);
    assert_int_equal(next_unwritten(journal, 0), 1);
    assert_int_equal(next_unwritten(journal, 1), 3);
    assert_int_equal(next_unwritten(journal, 3), 0);
    (void)see(journal, jobs[3]);
    finish(journal, jobs[3], "picked"); /* another revision of a, with its files */
    assert_int_equal(next_unwritten(journal, 0), 3);
    assert_int_equal(ps_journal_written(journal, 3, &error), 0);
    assert_int_equal(ps_journal_count_unwritten(journal, &count, &error), 0);
    assert_int_equal(count, 0);
    for (int i = 0; i < 4; i++)
        ps_job_free(jobs[i]);
    ps_journal_close(journal);
    /* An earlier version does not know the table, and leaves the row when it records seq 4. */
    execute(*state, "INSERT INTO unwritten VALUES (1, '/data/a.mrc'), (2, '/data/b.mrc')");
    journal = open_journal(*state);
    assert_int_equal(next_unwritten(journal, 0), 2);
    assert_int_equal(next_unwritten(journal, 2), 0);
    ps_journal_close(journal);
}

/* Of an earlier version of pickstream: readable as it is, and completed by a service. */
static void test_a_journal_without_later_tables(void **state)
{
    ps_journal_close(open_journal(*state));
    execute(*state, "DROP TABLE skipped; DROP TABLE unwritten");
    struct ps_journal *journal;
    struct ps_error error;
    if (ps_journal_open_reading(*state, &journal, &error))
        fail_msg("%s", error.message);
    assert_int_equal(totals_of(journal).skipped, 0);
    ps_journal_close(journal);
    journal = open_journal(*state);
    assert_int_equal(totals_of(journal).skipped, 0);
    ps_journal_close(journal);
}

struct jobs {
    size_t count;
    size_t enough; /* stop after these; 0: never */
    struct ps_job *job[1000];
};

static int keep_job(void *context, struct ps_job *job)
{
    struct jobs *jobs = context;
    assert_true(jobs->count < 1000);
    jobs->job[jobs->count++] = job;
    return jobs->count == jobs->enough;
}

static void free_jobs(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++)
        ps_job_free(jobs->job[i]);
    free(jobs);
}

static struct jobs *open_jobs(struct ps_journal *journal, size_t enough)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    assert_non_null(jobs);
    jobs->enough = enough;
    struct ps_error error;
    assert_int_equal(ps_journal_each_open(journal, keep_job, jobs, &error), 0);
    return jobs;
}

static void test_what_was_left_over_comes_back_whole(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    const char *path = "/data/Gitter \xe4/a.mrc"; /* not UTF-8 */
    struct ps_job *job = make_job(path, 1);
    job->identity = (struct ps_identity){.device = UINT64_MAX,
                                         .inode = (uint64_t)INT64_MAX + 1,
                                         .size = UINT64_MAX - 1,
                                         .mtime_ns = -5};
    job->closed_ns = 123;
    job->detected_ns = 456;
    (void)see(journal, job);
    ps_journal_close(journal);

    journal = open_journal(*state);
    struct jobs *jobs = open_jobs(journal, 0);
    assert_int_equal(jobs->count, 1);
    const struct ps_job *back = jobs->job[0];
    assert_string_equal(back->path, path);
    assert_string_equal(back->name, job->name);
    assert_true(ps_identity_equal(&back->identity, &job->identity));
    assert_true(back->closed_ns == 123 && back->detected_ns == 456 && back->closed_mono_ns == 0);
    assert_true(back->row == job->row && back->revision == 1 && back->attempt == 1);
    assert_int_equal(see(journal, job), PS_JOURNAL_OPEN);
    finish(journal, back, "picked");
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    free_jobs(jobs);
    ps_job_free(job);
    ps_journal_close(journal);
}

static void test_many_left_over_come_back_once_each(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    for (int i = 0; i < 600; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%03d.mrc", i * 7 % 600);
        struct ps_job *job = make_job(path, 1);
        assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
        if (i % 10 == 0)
            finish(journal, job, "picked");
        ps_job_free(job);
    }
    assert_int_equal(totals_of(journal).open, 540);
    struct jobs *jobs = open_jobs(journal, 0);
    assert_int_equal(jobs->count, 540);
    for (size_t i = 1; i < jobs->count; i++)
        assert_true(strcmp(jobs->job[i - 1]->path, jobs->job[i]->path) < 0);
    free_jobs(jobs);
    jobs = open_jobs(journal, 300);
    assert_int_equal(jobs->count, 300);
    free_jobs(jobs);
    ps_journal_close(journal);
}

static void test_replay_gives_what_was_asked_for(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    for (int i = 1; i <= 600; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d", i);
        struct ps_job *job = make_job(path, 1);
        (void)see(journal, job);
        struct ps_error error;
        /* No numbers, a few, and more than a page of messages holds. */
        size_t size = i % 3 == 0 ? 0 : i == 100 ? (5u << 20) + 3 : (size_t)i;
        assert_int_equal(try_finish(journal, job, "picked", size, &error), 0);
        ps_job_free(job);
    }
    struct texts *texts = replay(journal, 0, SIZE_MAX);
    assert_int_equal(texts->count, 600);
    assert_string_equal(texts->text[599], "/data/600 1.1");
    free(texts);
    texts = replay(journal, 90, 300);
    assert_int_equal(texts->count, 300);
    assert_string_equal(texts->text[0], "/data/91 1.1");
    free(texts);
    texts = replay(journal, 599, 10);
    assert_int_equal(texts->count, 1);
    free(texts);
    const uint64_t beyond[] = {600, 601, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        texts = replay(journal, beyond[i], 10);
        assert_int_equal(texts->count, 0);
        free(texts);
    }
    texts = replay(journal, 0, 0);
    assert_int_equal(texts->count, 0);
    free(texts);
    ps_journal_close(journal);
}

static int stop_at_3(void *context, uint64_t seq, const struct ps_frames *frames)
{
    (void)frames;
    *(uint64_t *)context = seq;
    return seq == 3;
}

/* Frames are used in place, as numbers too. */
static int use_journal(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct ps_journal *journal = context;
    for (size_t i = 0; i < frames->count; i++)
        assert_int_equal((uintptr_t)frames->frame[i].data % 8, 0);
    char path[40];
    (void)snprintf(path, sizeof path, "/data/again/%d", (int)seq);
    struct ps_job *job = make_job(path, 1);
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    finish(journal, job, "picked");
    ps_job_free(job);
    return seq == 20;
}

static void test_a_callback_can_stop_and_use_the_journal(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    for (int i = 1; i <= 10; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d", i);
        struct ps_job *job = make_job(path, 1);
        (void)see(journal, job);
        finish(journal, job, "rejected");
        ps_job_free(job);
    }
    uint64_t last = 0;
    struct ps_error error;
    assert_int_equal(ps_journal_replay(journal, 0, 100, stop_at_3, &last, &error), 0);
    assert_int_equal(last, 3);
    assert_int_equal(ps_journal_replay(journal, 0, SIZE_MAX, use_journal, journal, &error), 0);
    assert_int_equal(ps_journal_last_seq(journal), 30);
    ps_journal_close(journal);
}

static void test_a_commit_is_whole_or_not_at_all(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *jobs[3];
    struct ps_journal_row records[3];
    struct message *messages[3];
    for (int i = 0; i < 3; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d", i);
        jobs[i] = make_job(path, 1);
        (void)see(journal, jobs[i]);
        messages[i] = make_message(path, 50);
        records[i] = (struct ps_journal_row){.job = jobs[i],
                                             .seq = (uint64_t)i + 1,
                                             .status = "picked",
                                             .count = 7,
                                             .frames = &messages[i]->frames};
    }
    struct ps_error error;
    /* An outcome twice, a seq skipped, a seq repeated, an invalid status, an unknown row. */
    const struct ps_journal_row good = records[2];
    records[2].job = jobs[1];
    assert_int_equal(ps_journal_commit(journal, records, 3, &error), PS_E_BUG);
    assert_non_null(strstr(error.message, "/data/1"));
    records[2] = good;
    records[2].seq = 4;
    assert_int_equal(ps_journal_commit(journal, records, 3, &error), PS_E_BUG);
    records[2].seq = 2;
    assert_int_equal(ps_journal_commit(journal, records, 3, &error), PS_E_BUG);
    records[2] = good;
    records[2].status = "eaten";
    assert_int_equal(ps_journal_commit(journal, records, 3, &error), PS_E_BUG);
    records[2] = good;
    jobs[2]->row += 1000;
    assert_int_equal(ps_journal_commit(journal, records, 3, &error), PS_E_BUG);
    jobs[2]->row -= 1000;
    assert_int_equal(ps_journal_last_seq(journal), 0);
    assert_int_equal(totals_of(journal).open, 3);
    assert_int_equal(totals_of(journal).picked, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(see(journal, jobs[i]), PS_JOURNAL_OPEN);
    assert_int_equal(ps_journal_commit(journal, records, 0, &error), 0);

    assert_int_equal(ps_journal_commit(journal, records, 3, &error), 0);
    assert_int_equal(ps_journal_last_seq(journal), 3);
    assert_int_equal(totals_of(journal).picked, 3);
    assert_int_equal(totals_of(journal).picks, 21);
    /* The first one has its outcome; it cannot get a second one. */
    assert_int_equal(try_finish(journal, jobs[0], "failed", 1, &error), PS_E_BUG);
    assert_int_equal(totals_of(journal).failed, 0);
    for (int i = 0; i < 3; i++) {
        ps_job_free(jobs[i]);
        free_message(messages[i]);
    }
    ps_journal_close(journal);
}

static uint64_t find(struct ps_journal *journal, const char *name)
{
    uint64_t seq = 99;
    struct ps_error error;
    assert_int_equal(ps_journal_find(journal, name, &seq, &error), 0);
    return seq;
}

static void test_the_latest_outcome_is_found_by_name_and_by_path(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *a = make_job("/data/Square/a.mrc", 1);
    struct ps_job *b = make_job("/data/Square/b.mrc", 1);
    (void)see(journal, a);
    (void)see(journal, b);
    finish(journal, a, "picked");
    assert_int_equal(find(journal, "/data/Square/a.mrc"), 1);
    assert_int_equal(find(journal, "Square/a.mrc"), 1);
    assert_int_equal(find(journal, "Square/b.mrc"), 0);
    assert_int_equal(find(journal, "a.mrc"), 0);
    assert_int_equal(find(journal, ""), 0);
    finish(journal, b, "picked");
    ps_job_free(a);
    a = make_job("/data/Square/a.mrc", 2);
    (void)see(journal, a);
    finish(journal, a, "failed");
    assert_int_equal(find(journal, "Square/a.mrc"), 3);
    assert_int_equal(find(journal, "Square/b.mrc"), 2);
    ps_job_free(a);
    ps_job_free(b);
    ps_journal_close(journal);
}

static size_t retry(struct ps_journal *journal, const char *first, const char *second)
{
    char *paths[] = {(char *)(uintptr_t)first, (char *)(uintptr_t)second};
    size_t count = 99;
    struct ps_error error;
    assert_int_equal(
        ps_journal_retry(journal, paths, (first ? 1u : 0u) + (second ? 1u : 0u), &count, &error),
        0);
    return count;
}

static void test_failures_can_be_tried_again(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    const char *const status[] = {"failed", "failed", "picked", "rejected", "failed"};
    struct ps_job *jobs[5];
    for (int i = 0; i < 5; i++) {
        char path[40];
        (void)snprintf(path, sizeof path, "/data/%d.mrc", i);
        jobs[i] = make_job(path, 1);
        (void)see(journal, jobs[i]);
        finish(journal, jobs[i], status[i]);
    }
    assert_int_equal(retry(journal, "/data/2.mrc", "3.mrc"), 0);
    assert_int_equal(retry(journal, "/data/0.mrc", "0.mrc"), 1);
    assert_int_equal(see(journal, jobs[0]), PS_JOURNAL_OPEN);
    assert_int_equal(jobs[0]->attempt, 2);
    assert_int_equal(jobs[0]->revision, 1);
    assert_int_equal(totals_of(journal).open, 1);
    assert_int_equal(totals_of(journal).failed, 3); /* the outcome stays */
    finish(journal, jobs[0], "picked");
    assert_int_equal(see(journal, jobs[0]), PS_JOURNAL_DONE);

    assert_int_equal(retry(journal, NULL, NULL), 2);
    assert_int_equal(retry(journal, NULL, NULL), 0);
    struct jobs *open = open_jobs(journal, 0);
    assert_int_equal(open->count, 2);
    assert_string_equal(open->job[0]->path, "/data/1.mrc");
    assert_int_equal(open->job[0]->attempt, 2);
    assert_string_equal(open->job[1]->path, "/data/4.mrc");
    finish(journal, open->job[0], "failed");
    assert_int_equal(retry(journal, "1.mrc", NULL), 1);
    assert_int_equal(see(journal, jobs[1]), PS_JOURNAL_OPEN);
    assert_int_equal(jobs[1]->attempt, 3);
    free_jobs(open);
    for (int i = 0; i < 5; i++)
        ps_job_free(jobs[i]);
    ps_journal_close(journal);
}

static void test_a_failure_that_was_rewritten_is_not_tried_again(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *first = make_job("/data/a.mrc", 1);
    struct ps_job *second = make_job("/data/a.mrc", 2);
    struct ps_job *third = make_job("/data/a.mrc", 3);
    (void)see(journal, first);
    finish(journal, first, "failed");
    (void)see(journal, second);
    finish(journal, second, "failed");
    assert_int_equal(retry(journal, NULL, NULL), 1);
    assert_int_equal(see(journal, second), PS_JOURNAL_OPEN);

    /* Rewritten after the retry, before it was picked again: the retry is void. */
    assert_int_equal(see(journal, third), PS_JOURNAL_NEW);
    assert_int_equal(third->revision, 3);
    assert_int_equal(third->attempt, 1);
    assert_int_equal(totals_of(journal).open, 1);
    /* If it was being picked nevertheless, that is its second outcome. */
    finish(journal, second, "picked");
    finish(journal, third, "picked");
    struct texts *texts = replay(journal, 2, 10);
    assert_int_equal(texts->count, 2);
    assert_string_equal(texts->text[0], "/data/a.mrc 2.2");
    assert_string_equal(texts->text[1], "/data/a.mrc 3.1");
    assert_int_equal(totals_of(journal).open, 0);
    free(texts);
    ps_job_free(first);
    ps_job_free(second);
    ps_job_free(third);
    ps_journal_close(journal);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)
    const struct CMUnitTest tests[] = {
        TEST(test_a_new_journal_is_empty_and_keeps_its_name),
        TEST(test_a_micrograph_is_new_then_open_then_done),
        TEST(test_the_same_name_in_two_folders_is_two_micrographs),
        TEST(test_a_file_rewritten_after_its_outcome_is_a_new_revision),
        TEST(test_a_file_rewritten_while_it_waits_has_one_outcome),
        TEST(test_a_file_rewritten_while_it_is_picked_has_two_outcomes),
        TEST(test_another_device_or_inode_is_no_rewriting),
        TEST(test_a_skipped_file_has_no_outcome),
        TEST(test_missing_files_are_remembered),
        TEST(test_a_journal_without_later_tables),
        TEST(test_what_was_left_over_comes_back_whole),
        TEST(test_many_left_over_come_back_once_each),
        TEST(test_replay_gives_what_was_asked_for),
        TEST(test_a_callback_can_stop_and_use_the_journal),
        TEST(test_a_commit_is_whole_or_not_at_all),
        TEST(test_the_latest_outcome_is_found_by_name_and_by_path),
        TEST(test_failures_can_be_tried_again),
        TEST(test_a_failure_that_was_rewritten_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
