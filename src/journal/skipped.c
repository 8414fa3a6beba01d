/* Files that another version of their exposure stands for, and what became of other files. */
#include "journal/internal.h"

#include "image/micrograph.h"

#include <stdio.h>
#include <string.h>

enum ps_journal_file ps_journal_file(struct ps_journal *journal, const char *path)
{
    struct ps_sql *sql = &journal->quick;
    enum ps_journal_file file = PS_JOURNAL_FILE_NONE;
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(sql, PS_SQL_FILE);
    ps_sql_bind_text(sql, path);
    if (ps_sql_row(sql, NULL) > 0) {
        const char *state = ps_sql_get_text(sql, 0);
        if (strcmp(state, "seen") == 0)
            file = PS_JOURNAL_FILE_OPEN;
        else if (strcmp(state, "failed") != 0)
            file = PS_JOURNAL_FILE_DONE;
        else if (strcmp(ps_sql_get_text(sql, 1), PS_REASON_NO_PERMISSION) == 0)
            file = PS_JOURNAL_FILE_UNREADABLE;
        else
            file = PS_JOURNAL_FILE_FAILED;
        ps_sql_end(sql);
    }
    pthread_mutex_unlock(&journal->read_lock);
    return file;
}

int ps_journal_unskip(struct ps_sql *sql, const char *path, struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_UNSKIP);
    ps_sql_bind_text(sql, path);
    return ps_sql_run(sql, error);
}

/* Removes the row of a micrograph that was only seen. */
static int forget_seen(struct ps_sql *sql, const char *path, struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_LATEST);
    ps_sql_bind_text(sql, path);
    const int found = ps_sql_row(sql, error);
    if (found <= 0)
        return found;
    const int64_t id = ps_sql_get_int(sql, 0);
    const bool first_attempt = ps_sql_get_int(sql, 2) == 1;
    const bool open = ps_sql_get_int(sql, 3) != 0;
    ps_sql_end(sql);
    if (!open)
        return 0;
    ps_sql_use(sql, first_attempt ? PS_SQL_FORGET : PS_SQL_ABANDON);
    ps_sql_bind_int(sql, id);
    return ps_sql_run(sql, error);
}

int ps_journal_skip(struct ps_journal *journal, const struct ps_job *job, const char *version,
                    struct ps_error *error)
{
    struct ps_sql *sql = &journal->durable;
    ps_journal_begin_write(journal);
    int result = ps_sql_begin(sql, error);
    if (result == 0) {
        result = forget_seen(sql, job->path, error);
        if (result == 0) {
            ps_sql_use(sql, PS_SQL_SKIP);
            ps_sql_bind_text(sql, job->path);
            ps_sql_bind_text(sql, job->name);
            ps_sql_bind_text(sql, version);
            ps_sql_bind_int(sql, (int64_t)job->identity.size);
            ps_sql_bind_int(sql, job->identity.mtime_ns);
            ps_sql_bind_int(sql, job->detected_ns);
            result = ps_sql_run(sql, error);
        }
        result = ps_sql_finish(sql, result, error);
    }
    ps_journal_end_write(journal);
    return result;
}

bool ps_journal_skipped(struct ps_journal *journal, const char *path,
                        const struct ps_identity *identity, char *ret_version, size_t size)
{
    struct ps_sql *sql = &journal->quick;
    pthread_mutex_lock(&journal->read_lock);
    ps_sql_use(sql, PS_SQL_SKIPPED);
    ps_sql_bind_text(sql, path);
    ps_sql_bind_int(sql, (int64_t)identity->size);
    ps_sql_bind_int(sql, identity->mtime_ns);
    const bool found = ps_sql_row(sql, NULL) > 0;
    if (found) {
        (void)snprintf(ret_version, size, "%s", ps_sql_get_text(sql, 0));
        ps_sql_end(sql);
    }
    pthread_mutex_unlock(&journal->read_lock);
    return found;
}
