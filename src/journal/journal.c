/* Opening and closing the journal. */
#include "journal/internal.h"

#include "base/error.h"
#include "journal/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening --------------------------------------------------------------------------------- */

static int read_head(struct ps_journal *journal, struct ps_sql *sql, struct ps_error *error)
{
    uint64_t last = 0;
    int result = ps_journal_head(sql, journal->stream, &last, error);
    if (result == 0)
        atomic_store(&journal->last_seq, last);
    return result;
}

/* ---- deaths -----------------------------------------------------------------------------------
 */

static int count_death(void *context, int64_t row, int attempt)
{
    struct ps_sql *sql = context;
    ps_sql_use(sql, PS_SQL_DIED);
    ps_sql_bind_int(sql, row);
    ps_sql_bind_int(sql, attempt);
    return ps_sql_run(sql, NULL);
}

/* Counts the marks of a process that died, then erases them. */
static int count_deaths(struct ps_journal *journal, const char *directory, struct ps_error *error)
{
    struct ps_sql *sql = &journal->durable;
    int result = ps_in_flight_open(&journal->in_flight, directory, error);
    if (result == 0)
        result = ps_sql_begin(sql, error);
    if (result)
        return result;
    result = ps_in_flight_each(&journal->in_flight, journal->stream, count_death, sql);
    if (result)
        (void)ps_fail(error, result, "%s: cannot count a death", sql->path);
    result = ps_sql_finish(sql, result, error);
    return result ? result : ps_in_flight_clear(&journal->in_flight, journal->stream, error);
}

void ps_journal_begin_pick(struct ps_journal *journal, size_t worker, const struct ps_job *job)
{
    ps_in_flight_set(&journal->in_flight, worker, job->row, job->attempt);
}

void ps_journal_end_pick(struct ps_journal *journal, size_t worker)
{
    ps_in_flight_erase(&journal->in_flight, worker);
}

void ps_journal_end_picks(struct ps_journal *journal)
{
    atomic_store(&journal->in_flight.ended, true);
    (void)ps_in_flight_clear(&journal->in_flight, journal->stream, NULL);
}

/* ---- files -------------------------------------------------------------------------------------
 */

static int open_files(struct ps_journal *journal, const char *directory, bool reading,
                      struct ps_error *error)
{
    int result = reading ? 0 : ps_lock_take(directory, &journal->lock, error);
    if (result)
        return result;
    char *path;
    if (asprintf(&path, "%s/journal.sqlite", directory) < 0)
        return ps_fail_memory(error, strlen(directory), "a path");
    if (!reading)
        result = ps_sql_open(&journal->durable, path, PS_SQL_DURABLE, error);
    if (result == 0)
        result =
            ps_sql_open(&journal->quick, path, reading ? PS_SQL_READING : PS_SQL_ORDERED, error);
    free(path);
    if (result == 0)
        result = read_head(journal, reading ? &journal->quick : &journal->durable, error);
    return result || reading ? result : count_deaths(journal, directory, error);
}

static int open_journal(const char *directory, bool reading, struct ps_journal **ret_journal,
                        struct ps_error *error)
{
    struct ps_journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return ps_fail_memory(error, sizeof *journal, "the journal");
    journal->lock = -1;
    journal->in_flight.fd = -1;
    (void)pthread_mutex_init(&journal->write_lock.mutex, NULL);
    (void)pthread_cond_init(&journal->write_lock.changed, NULL);
    (void)pthread_mutex_init(&journal->read_lock, NULL);
    int result = open_files(journal, directory, reading, error);
    if (result) {
        ps_journal_close(journal);
        return result;
    }
    *ret_journal = journal;
    return 0;
}

int ps_journal_open(const char *directory, struct ps_journal **ret_journal, struct ps_error *error)
{
    return open_journal(directory, false, ret_journal, error);
}

int ps_journal_open_reading(const char *directory, struct ps_journal **ret_journal,
                            struct ps_error *error)
{
    return open_journal(directory, true, ret_journal, error);
}

void ps_journal_close(struct ps_journal *journal)
{
    if (!journal)
        return;
    ps_sql_done(&journal->quick);
    ps_sql_done(&journal->durable);
    ps_in_flight_close(&journal->in_flight);
    ps_lock_release(journal->lock);
    (void)pthread_mutex_destroy(&journal->read_lock);
    (void)pthread_cond_destroy(&journal->write_lock.changed);
    (void)pthread_mutex_destroy(&journal->write_lock.mutex);
    free(journal);
}

const char *ps_journal_stream(const struct ps_journal *journal)
{
    return journal->stream;
}

uint64_t ps_journal_last_seq(struct ps_journal *journal)
{
    return atomic_load(&journal->last_seq);
}

int ps_journal_holder(const char *directory)
{
    return ps_lock_holder(directory);
}
