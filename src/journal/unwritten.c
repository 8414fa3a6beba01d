/* Outcomes whose files of picks could not be written. */
#include "journal/internal.h"

int ps_journal_note_files(struct ps_sql *sql, const struct ps_job *job, uint64_t seq,
                          struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_REPLACED);
    ps_sql_bind_text(sql, job->path);
    int result = ps_sql_run(sql, error);
    if (result || !job->files_missing)
        return result;
    ps_sql_use(sql, PS_SQL_UNWRITTEN);
    ps_sql_bind_int(sql, (int64_t)seq);
    ps_sql_bind_text(sql, job->path);
    return ps_sql_run(sql, error);
}

/* Reads the number that the statement in use gives; 0 without a row. Releases `read_lock`. */
static int read_number(struct ps_journal *journal, uint64_t *ret_number, struct ps_error *error)
{
    struct ps_sql *sql = &journal->quick;
    uint64_t number = 0;
    int found = ps_sql_row(sql, error);
    if (found > 0) {
        number = (uint64_t)ps_sql_get_int(sql, 0);
        ps_sql_end(sql);
    }
    pthread_mutex_unlock(&journal->read_lock);
    if (found >= 0)
        *ret_number = number;
    return found < 0 ? found : 0;
}

int ps_journal_next_unwritten(struct ps_journal *journal, uint64_t after, uint64_t *ret_seq,
                              struct ps_error *error)
{
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(&journal->quick, PS_SQL_NEXT_UNWRITTEN);
    ps_sql_bind_int(&journal->quick, (int64_t)after);
    return read_number(journal, ret_seq, error);
}

int ps_journal_count_unwritten(struct ps_journal *journal, uint64_t *ret_count,
                               struct ps_error *error)
{
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(&journal->quick, PS_SQL_COUNT_UNWRITTEN);
    return read_number(journal, ret_count, error);
}

int ps_journal_written(struct ps_journal *journal, uint64_t seq, struct ps_error *error)
{
    struct ps_sql *sql = &journal->durable;
    ps_journal_begin_write(journal);
    int result = ps_sql_begin(sql, error);
    if (result == 0) {
        ps_sql_use(sql, PS_SQL_WRITTEN);
        ps_sql_bind_int(sql, (int64_t)seq);
        result = ps_sql_run(sql, error);
        result = ps_sql_finish(sql, result, error);
    }
    ps_journal_end_write(journal);
    return result;
}
