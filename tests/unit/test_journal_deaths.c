/* The journal after processes that died while they picked. */
#include "journal_fixture.h"

/* The process dies: without a word to the journal. */
static void die(struct ps_journal *journal, const struct ps_job *job)
{
    const struct ps_job other = {.row = 12345, .attempt = 1};
    ps_journal_begin_pick(journal, 0, &other);
    ps_journal_begin_pick(journal, 7, job);
    ps_journal_begin_pick(journal, 2, job);
    ps_journal_end_pick(journal, 2);
    ps_journal_close(journal);
}

static int take_deaths(void *context, struct ps_job *job)
{
    int *deaths = context;
    *deaths = job->deaths;
    ps_job_free(job);
    return 0;
}

static int deaths_listed(struct ps_journal *journal)
{
    int deaths = -1;
    assert_int_equal(ps_journal_each_open(journal, take_deaths, &deaths, NULL), 0);
    return deaths;
}

static void test_deaths_are_counted_until_there_is_an_outcome(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/a.mrc", 1);
    (void)see(journal, job);
    for (int deaths = 1; deaths <= 3; deaths++) {
        die(journal, job);
        journal = open_journal(*state);
        assert_int_equal(see(journal, job), PS_JOURNAL_OPEN);
        assert_int_equal(job->deaths, deaths);
        assert_int_equal(deaths_listed(journal), deaths);
    }
    ps_journal_begin_pick(journal, 0, job);
    finish(journal, job, "failed");
    ps_journal_close(journal); /* with the mark of what has its outcome */
    journal = open_journal(*state);
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    size_t count;
    assert_int_equal(ps_journal_retry(journal, NULL, 0, &count, NULL), 0);
    assert_int_equal(see(journal, job), PS_JOURNAL_OPEN);
    assert_int_equal(job->deaths, 0);
    ps_job_free(job);
    ps_journal_close(journal);
}

static void test_an_end_on_purpose_is_no_death(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/a.mrc", 1);
    (void)see(journal, job);
    ps_journal_begin_pick(journal, 0, job);
    ps_journal_end_picks(journal);
    ps_journal_begin_pick(journal, 1, job);
    ps_journal_close(journal);
    journal = open_journal(*state);
    (void)see(journal, job);
    assert_int_equal(job->deaths, 0);
    ps_job_free(job);
    ps_journal_close(journal);
}

static void test_other_contents_begin_without_deaths(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/a.mrc", 1);
    (void)see(journal, job);
    die(journal, job);
    journal = open_journal(*state);
    struct ps_job *rewritten = make_job("/data/a.mrc", 2);
    assert_int_equal(see(journal, rewritten), PS_JOURNAL_OPEN);
    assert_int_equal(rewritten->deaths, 0);
    die(journal, rewritten);
    journal = open_journal(*state);
    assert_int_equal(deaths_listed(journal), 1);
    ps_job_free(job);
    ps_job_free(rewritten);
    ps_journal_close(journal);
}

/* The row of a micrograph that is skipped can be used again for another one. */
static void test_a_skipped_file_leaves_no_deaths(void **state)
{
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job("/data/a.mrc", 1);
    (void)see(journal, job);
    die(journal, job);
    journal = open_journal(*state);
    assert_int_equal(ps_journal_skip(journal, job, "/data/a_DW.mrc", NULL), 0);
    struct ps_job *other = make_job("/data/b.mrc", 1);
    assert_int_equal(see(journal, other), PS_JOURNAL_NEW);
    assert_true(other->row == job->row);
    assert_int_equal(see(journal, other), PS_JOURNAL_OPEN);
    assert_int_equal(other->deaths, 0);
    ps_job_free(job);
    ps_job_free(other);
    ps_journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_deaths_are_counted_until_there_is_an_outcome),
        TEST(test_an_end_on_purpose_is_no_death),
        TEST(test_other_contents_begin_without_deaths),
        TEST(test_a_skipped_file_leaves_no_deaths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
