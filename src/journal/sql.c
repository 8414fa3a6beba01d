#include "journal/sql.h"

#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ps_sql_fail(struct ps_sql *sql, int code, const char *what, struct ps_error *error)
{
    int primary = code & 0xff;
    sql->broken |= primary == SQLITE_READONLY || primary == SQLITE_IOERR ||
                   primary == SQLITE_CANTOPEN || primary == SQLITE_CORRUPT ||
                   primary == SQLITE_NOTADB;
    enum ps_code ours = PS_E_SYSTEM;
    const char *reason = sqlite3_errstr(code);
    /* SQLite does not keep the system's error code of steps. */
    int system_code = errno ? errno : sqlite3_system_errno(sql->db);
    if (primary == SQLITE_NOMEM) {
        ours = PS_E_NOMEM;
    } else if (primary == SQLITE_FULL) {
        reason = "no space left on the disk";
    } else if (primary == SQLITE_CORRUPT) {
        reason = "the file is damaged; move it away to start a new journal";
    } else if (primary == SQLITE_NOTADB) {
        reason = "not a database; move it away to start a new journal";
    } else if (primary == SQLITE_READONLY) {
        reason = "read-only";
    } else if (primary == SQLITE_BUSY) {
        reason = "another program has it locked";
    } else if ((primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) && system_code) {
        reason = strerror(system_code);
    } else if (primary == SQLITE_CONSTRAINT || primary == SQLITE_MISUSE ||
               primary == SQLITE_RANGE) {
        ours = PS_E_BUG;
        reason = sqlite3_errmsg(sql->db);
    } else if (primary == SQLITE_ERROR) {
        reason = sqlite3_errmsg(sql->db);
    }
    return ps_fail(error, ours, "%s: cannot %s: %s", sql->path, what, reason);
}

int ps_sql_execute(struct ps_sql *sql, const char *text, const char *what, struct ps_error *error)
{
    errno = 0;
    int code = sqlite3_exec(sql->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : ps_sql_fail(sql, code, what, error);
}

void ps_sql_done(struct ps_sql *sql)
{
    for (int i = 0; i < PS_SQL_COUNT; i++)
        (void)sqlite3_finalize(sql->statements[i]);
    (void)sqlite3_close(sql->db);
    free(sql->path);
    *sql = (struct ps_sql){0};
}

void ps_sql_use(struct ps_sql *sql, enum ps_sql_statement statement)
{
    sql->current = statement;
    sql->parameter = 1;
    sql->bound = SQLITE_OK;
}

static void note_bind(struct ps_sql *sql, int code)
{
    if (sql->bound == SQLITE_OK)
        sql->bound = code;
    sql->parameter++;
}

void ps_sql_bind_text(struct ps_sql *sql, const char *text)
{
    note_bind(sql, sqlite3_bind_text(sql->statements[sql->current], sql->parameter, text, -1,
                                     SQLITE_STATIC));
}

void ps_sql_bind_int(struct ps_sql *sql, int64_t value)
{
    note_bind(sql, sqlite3_bind_int64(sql->statements[sql->current], sql->parameter, value));
}

void ps_sql_bind_bytes(struct ps_sql *sql, const void *bytes, size_t size)
{
    note_bind(sql, sqlite3_bind_blob64(sql->statements[sql->current], sql->parameter, bytes, size,
                                       SQLITE_STATIC));
}

void ps_sql_end(struct ps_sql *sql)
{
    (void)sqlite3_reset(sql->statements[sql->current]);
    (void)sqlite3_clear_bindings(sql->statements[sql->current]);
}

int ps_sql_row(struct ps_sql *sql, struct ps_error *error)
{
    static const char *const purposes[PS_SQL_COUNT] = {
#define X(NAME, what, text) [PS_SQL_##NAME] = (what),
        PS_SQL_MAP(X)
#undef X
    };
    int code = sql->bound;
    errno = 0;
    if (code == SQLITE_OK)
        code = sqlite3_step(sql->statements[sql->current]);
    if (code == SQLITE_ROW)
        return 1;
    int result = code == SQLITE_DONE ? 0 : ps_sql_fail(sql, code, purposes[sql->current], error);
    ps_sql_end(sql);
    return result;
}

int ps_sql_run(struct ps_sql *sql, struct ps_error *error)
{
    int result;
    while ((result = ps_sql_row(sql, error)) > 0)
        ;
    return result;
}

int64_t ps_sql_get_int(struct ps_sql *sql, int column)
{
    return sqlite3_column_int64(sql->statements[sql->current], column);
}

const char *ps_sql_get_text(struct ps_sql *sql, int column)
{
    const unsigned char *text = sqlite3_column_text(sql->statements[sql->current], column);
    return text ? (const char *)text : "";
}

const void *ps_sql_get_bytes(struct ps_sql *sql, int column, size_t *ret_size)
{
    const void *bytes = sqlite3_column_blob(sql->statements[sql->current], column);
    *ret_size = (size_t)sqlite3_column_bytes(sql->statements[sql->current], column);
    return bytes;
}

bool ps_sql_is_moved(const struct ps_sql *sql)
{
    int moved = 0;
    (void)sqlite3_file_control(sql->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    return moved != 0;
}

int ps_sql_leave(struct ps_sql *sql, struct ps_error *error)
{
    if (!ps_sql_is_moved(sql))
        return 0;
    errno = 0;
    int code = sqlite3_wal_checkpoint_v2(sql->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    return code == SQLITE_OK ? 0 : ps_sql_fail(sql, code, "empty its write-ahead log", error);
}

int ps_sql_begin(struct ps_sql *sql, struct ps_error *error)
{
    /* Writes to a file that was deleted are lost when the process ends. */
    const bool moved = ps_sql_is_moved(sql);
    sql->broken |= moved;
    if (moved)
        return ps_fail(error, PS_E_SYSTEM, "%s: moved or deleted while in use", sql->path);
    ps_sql_use(sql, PS_SQL_BEGIN);
    return ps_sql_run(sql, error);
}

int ps_sql_try_begin(struct ps_sql *sql, bool *ret_busy, struct ps_error *error)
{
    (void)sqlite3_busy_timeout(sql->db, 0);
    int result = ps_sql_begin(sql, error);
    *ret_busy = result && (sqlite3_errcode(sql->db) & 0xff) == SQLITE_BUSY;
    (void)sqlite3_busy_timeout(sql->db, PS_SQL_BUSY_MS);
    return result;
}

int ps_sql_finish(struct ps_sql *sql, int failed, struct ps_error *error)
{
    if (!failed) {
        ps_sql_use(sql, PS_SQL_COMMIT);
        failed = ps_sql_run(sql, error);
    }
    /* SQLite rolls back by itself after some failures. */
    if (failed && !sqlite3_get_autocommit(sql->db))
        (void)sqlite3_exec(sql->db, "ROLLBACK", NULL, NULL, NULL);
    return failed;
}
