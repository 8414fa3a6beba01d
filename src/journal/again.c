/* Micrographs that have an outcome and are to be picked again: failed ones, as another attempt at
 * the same revision, and any others as a new revision (repick). */
#include "journal/internal.h"

int ps_journal_retry(struct ps_journal *journal, char *const *paths, size_t count,
                     size_t *ret_count, struct ps_error *error)
{
    struct ps_sql *sql = &journal->durable;
    size_t retried = 0;
    ps_journal_begin_write(journal);
    int result = ps_sql_begin(sql, error);
    if (result == 0) {
        for (size_t i = 0; i < (count ? count : 1) && result == 0; i++) {
            ps_sql_use(sql, PS_SQL_RETRY);
            ps_sql_bind_text(sql, count ? paths[i] : NULL);
            result = ps_sql_run(sql, error);
            if (result == 0)
                retried += (size_t)sqlite3_changes(sql->db);
        }
        result = ps_sql_finish(sql, result, error);
    }
    ps_journal_end_write(journal);
    if (result == 0)
        *ret_count = retried;
    return result;
}

/* Inserts the rows of the named micrograph, or of all that are selected. */
static int insert_repicks(struct ps_sql *sql, const struct ps_repick_selection *selection,
                          const char *name, struct ps_error *error)
{
    ps_sql_use(sql, name ? PS_SQL_REPICK_NAMED : PS_SQL_REPICK);
    if (name) {
        ps_sql_bind_text(sql, name);
    } else {
        ps_sql_bind_int(sql, (int64_t)selection->since);
        ps_sql_bind_text(sql, selection->other_than);
    }
    return ps_sql_run(sql, error);
}

/* The largest id of a micrograph: a new row gets a larger one. */
static int read_last_id(struct ps_sql *sql, int64_t *ret_id, struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_LAST_ID);
    int found = ps_sql_row(sql, error);
    if (found <= 0)
        return found;
    *ret_id = ps_sql_get_int(sql, 0);
    ps_sql_end(sql);
    return 0;
}

static int add_repicks(struct ps_sql *sql, const struct ps_repick_selection *selection,
                       size_t *ret_count, struct ps_error *error)
{
    int64_t last = 0;
    int result = read_last_id(sql, &last, error);
    for (size_t i = 0; i < selection->count && result == 0; i++)
        result = insert_repicks(sql, selection, selection->paths[i], error);
    if (result == 0 && selection->count == 0)
        result = insert_repicks(sql, selection, NULL, error);
    if (result)
        return result;
    result = ps_journal_run(sql, PS_SQL_NOTE_REPICKS, last, error);
    *ret_count = (size_t)sqlite3_changes(sql->db);
    return result;
}

int ps_journal_repick(struct ps_journal *journal, const struct ps_repick_selection *selection,
                      size_t *ret_count, struct ps_error *error)
{
    struct ps_sql *sql = &journal->durable;
    size_t count = 0;
    ps_journal_begin_write(journal);
    int result = ps_sql_begin(sql, error);
    if (result == 0) {
        result = add_repicks(sql, selection, &count, error);
        result = ps_sql_finish(sql, result, error);
    }
    ps_journal_end_write(journal);
    if (result == 0)
        *ret_count = count;
    return result;
}

int ps_journal_withdraw(struct ps_journal *journal, const struct ps_job *job,
                        struct ps_error *error)
{
    struct ps_sql *sql = &journal->durable;
    ps_journal_begin_write(journal);
    int result = ps_sql_begin(sql, error);
    if (result == 0) {
        result = ps_journal_run(sql, PS_SQL_WITHDRAW, job->row, error);
        result = ps_sql_finish(sql, result, error);
    }
    ps_journal_end_write(journal);
    return result;
}

int ps_journal_count_outdated(struct ps_journal *journal, const char *parameters,
                              uint64_t *ret_count, struct ps_error *error)
{
    return ps_journal_read_number(journal, PS_SQL_OUTDATED, parameters, ret_count, error);
}
