/* The journal when only the inode of a file changes: its content decides. */
#include "journal_fixture.h"

#include "image/checksum.h"

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_a_changed_inode_is_a_rewriting_if_the_content_changed(void **state)
{
    char path[300];
    (void)snprintf(path, sizeof path, "%s/a.mrc", (const char *)*state);
    write_file(path, "one");
    struct ps_journal *journal = open_journal(*state);
    struct ps_job *job = make_job(path, 1);
    job->identity.ctime_ns = 10;
    (void)see(journal, job);
    job->identity.ctime_ns = 11; /* while it waits: the content was not read yet */
    assert_int_equal(see(journal, job), PS_JOURNAL_OPEN);
    job->checksum = ps_file_checksum(path);
    finish(journal, job, "picked");
    job->identity.ctime_ns = 12;
    assert_true(ps_journal_done(journal, path, &job->identity));
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    write_file(path, "two");
    assert_true(ps_journal_done(journal, path, &job->identity)); /* 12 is recorded */
    job->identity.ctime_ns = 0;                                  /* a file system without it */
    assert_true(ps_journal_done(journal, path, &job->identity));
    job->identity.ctime_ns = 13;
    assert_false(ps_journal_done(journal, path, &job->identity));
    assert_int_equal(see(journal, job), PS_JOURNAL_NEW);
    assert_int_equal(job->revision, 2);
    job->checksum = 0; /* it could not be read: no statement */
    finish(journal, job, "failed");
    job->identity.ctime_ns = 14;
    assert_int_equal(see(journal, job), PS_JOURNAL_DONE);
    ps_job_free(job);
    ps_journal_close(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_changed_inode_is_a_rewriting_if_the_content_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
