#include "journal/sql.h"

#include "base/error.h"
#include "journal/explain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    APPLICATION_ID = 0x70736a6c, /* "psjl" */
    FORMAT = 1,                  /* user_version: raise it when the tables change */

    /* The write-ahead log is checkpointed when it has this number of 4 KB pages. Normally the
     * durable connection does it, which waits for the disk anyway; the other one does it only if
     * thousands of micrographs are seen and nothing is committed. */
    CHECKPOINT_PAGES = 1000,
    LATE_CHECKPOINT_PAGES = 4000,
    MAX_LOG_BYTES = 16 << 20, /* size of the log file after a checkpoint */

    /* Page cache of a connection; the default is 2 MB. A write by one connection invalidates the
     * cache of the other, and the system caches the file anyway, so a larger cache gains nothing.
     */
    MAX_CACHE_KB = 256,
};

/* The CHECKs compare with each value instead of IN (...): for a list of three, SQLite creates a
 * temporary table with a cache of 87 KB whenever a row is written. */
static const char *const schema =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE micrographs ("
    " id INTEGER PRIMARY KEY,"
    " path TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " revision INTEGER NOT NULL,"
    " attempt INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK (state = 'seen' OR state = 'picked' OR state = 'rejected'"
    "  OR state = 'failed'),"
    " device INTEGER NOT NULL,"
    " inode INTEGER NOT NULL,"
    " size INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL,"
    " closed_ns INTEGER NOT NULL,"
    " detected_ns INTEGER NOT NULL,"
    " UNIQUE (path, revision)) STRICT;"
    "CREATE INDEX micrographs_name ON micrographs (name);"
    "CREATE UNIQUE INDEX micrographs_seen ON micrographs (path) WHERE state = 'seen';"
    "CREATE TABLE outcomes ("
    " seq INTEGER PRIMARY KEY,"
    " micrograph INTEGER NOT NULL REFERENCES micrographs (id),"
    " attempt INTEGER NOT NULL,"
    " status TEXT NOT NULL CHECK (status = 'picked' OR status = 'rejected'"
    "  OR status = 'failed'),"
    " reason TEXT,"
    " picks INTEGER NOT NULL,"
    " frames BLOB NOT NULL,"
    " UNIQUE (micrograph, attempt)) STRICT;"
    "CREATE TABLE totals (status TEXT PRIMARY KEY, outcomes INTEGER NOT NULL,"
    " picks INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "INSERT INTO totals VALUES ('picked', 0, 0), ('rejected', 0, 0), ('failed', 0, 0);"
    "CREATE TRIGGER outcomes_count AFTER INSERT ON outcomes BEGIN"
    " UPDATE totals SET outcomes = outcomes + 1, picks = picks + new.picks"
    "  WHERE status = new.status; END;";

/* Tables that are added when a journal without them is opened: earlier versions of pickstream
 * ignore them, so the format is the same. A reader that cannot write gets empty ones of its own. */
static const struct {
    const char *name;
    const char *columns;
} added[] = {
    {"skipped", "path TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL,"
                " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, detected_ns INTEGER NOT NULL"},
    {"unwritten", "seq INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE"},
    {"contents", "micrograph INTEGER PRIMARY KEY REFERENCES micrographs (id) ON DELETE CASCADE,"
                 " ctime_ns INTEGER NOT NULL, checksum INTEGER NOT NULL"},
    {"deaths", "micrograph INTEGER PRIMARY KEY REFERENCES micrographs (id) ON DELETE CASCADE,"
               " deaths INTEGER NOT NULL"},
};

/* Drops rows that an earlier version has left behind when it recorded a later outcome. */
static const char *const forget_replaced =
    "DELETE FROM unwritten WHERE EXISTS (SELECT 1 FROM micrographs JOIN outcomes ON"
    " outcomes.micrograph = micrographs.id WHERE micrographs.path = unwritten.path"
    " AND outcomes.seq > unwritten.seq)";

/* Sets the error of a call that returned `code`; `what` is its purpose. */
static int fail(struct ps_sql *sql, int code, const char *what, struct ps_error *error)
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

static int execute(struct ps_sql *sql, const char *text, const char *what, struct ps_error *error)
{
    errno = 0;
    int code = sqlite3_exec(sql->db, text, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : fail(sql, code, what, error);
}

/* 1: a journal; 0: an empty database; negative: refused. */
static int identify(struct ps_sql *sql, struct ps_error *error)
{
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int code = sqlite3_prepare_v2(sql->db,
                                  "SELECT application_id, user_version,"
                                  " (SELECT count(*) FROM sqlite_schema)"
                                  " FROM pragma_application_id, pragma_user_version",
                                  -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code != SQLITE_ROW) {
        (void)sqlite3_finalize(statement);
        return fail(sql, code, "open the journal", error);
    }
    int application = sqlite3_column_int(statement, 0);
    int format = sqlite3_column_int(statement, 1);
    bool empty = sqlite3_column_int(statement, 2) == 0;
    (void)sqlite3_finalize(statement);
    if (application == 0 && format == 0 && empty)
        return 0;
    if (application != APPLICATION_ID)
        return ps_fail(error, PS_E_SYSTEM, "%s: a database, but no journal of pickstream",
                       sql->path);
    if (format != FORMAT)
        return ps_fail(error, PS_E_SYSTEM,
                       "%s: written by %s version of pickstream (format %d, this one is %d)",
                       sql->path, format > FORMAT ? "a later" : "another", format, FORMAT);
    return 1;
}

/* A random UUID (RFC 9562, version 4), 36 characters. */
static int make_uuid(char ret_text[37], struct ps_error *error)
{
    unsigned char b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return ps_fail(error, PS_E_SYSTEM, "no random numbers for the name of the journal");
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    size_t at = 0;
    for (int i = 0; i < 16; i++)
        at += (size_t)snprintf(ret_text + at, 37 - at, "%s%02x",
                               i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    return 0;
}

static bool has_table(const struct ps_sql *sql, const char *name)
{
    return sqlite3_table_column_metadata(sql->db, "main", name, NULL, NULL, NULL, NULL, NULL,
                                         NULL) == SQLITE_OK;
}

static int add_tables(struct ps_sql *sql, bool reading, struct ps_error *error)
{
    const char *const what = "open the journal";
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof added / sizeof *added; i++) {
        if (reading && has_table(sql, added[i].name))
            continue;
        char text[400];
        (void)snprintf(text, sizeof text, "CREATE %sTABLE IF NOT EXISTS %s (%s) STRICT",
                       reading ? "TEMP " : "", added[i].name, added[i].columns);
        result = execute(sql, text, what, error);
    }
    if (result == 0 && !reading)
        result = execute(sql, forget_replaced, what, error);
    return result;
}

/* Atomic: application_id is set in the same transaction. */
static int create(struct ps_sql *sql, struct ps_error *error)
{
    char uuid[37];
    if (make_uuid(uuid, error))
        return PS_E_SYSTEM;
    char *text = sqlite3_mprintf("BEGIN IMMEDIATE; %s INSERT INTO meta VALUES ('stream', '%s');"
                                 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
                                 schema, uuid, APPLICATION_ID, FORMAT);
    if (!text)
        return ps_fail(error, PS_E_NOMEM, "no memory for the journal");
    int result = execute(sql, text, "create the journal", error);
    sqlite3_free(text);
    return result;
}

static int set_up(struct ps_sql *sql, enum ps_sql_sync sync, struct ps_error *error)
{
    /* On a file system without shared memory SQLite keeps the old mode and reports no error. */
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int code = sqlite3_prepare_v2(sql->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    bool logged =
        code == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "wal") == 0;
    (void)sqlite3_finalize(statement);
    if (code != SQLITE_ROW)
        return fail(sql, code, "open the journal", error);
    if (!logged)
        return ps_fail(error, PS_E_SYSTEM,
                       "%s: this file system does not support a write-ahead log", sql->path);
    char text[200];
    (void)snprintf(text, sizeof text,
                   "PRAGMA synchronous = %s; PRAGMA wal_autocheckpoint = %d;"
                   "PRAGMA journal_size_limit = %d; PRAGMA cache_size = -%d;"
                   "PRAGMA foreign_keys = ON",
                   sync == PS_SQL_DURABLE ? "FULL" : "NORMAL",
                   sync == PS_SQL_DURABLE ? CHECKPOINT_PAGES : LATE_CHECKPOINT_PAGES, MAX_LOG_BYTES,
                   MAX_CACHE_KB);
    return execute(sql, text, "open the journal", error);
}

static int prepare(struct ps_sql *sql, struct ps_error *error)
{
    static const char *const texts[PS_SQL_COUNT] = {
#define X(NAME, what, text) [PS_SQL_##NAME] = (text),
        PS_SQL_MAP(X)
#undef X
    };
    for (int i = 0; i < PS_SQL_COUNT; i++) {
        errno = 0;
        int code = sqlite3_prepare_v3(sql->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &sql->statements[i], NULL);
        if (code != SQLITE_OK)
            return fail(sql, code, "open the journal", error);
    }
    return 0;
}

static int open_database(struct ps_sql *sql, enum ps_sql_sync sync, struct ps_error *error)
{
    bool reading = sync == PS_SQL_READING;
    int mode = reading ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    errno = 0;
    int code = sqlite3_open_v2(sql->path, &sql->db,
                               mode | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    if (code != SQLITE_OK)
        return fail(sql, code, "open the journal", error);
    (void)sqlite3_busy_timeout(sql->db, PS_SQL_BUSY_MS);
    int ours = identify(sql, error);
    if (ours < 0)
        return ours;
    if (!reading && sqlite3_db_readonly(sql->db, "main") == 1)
        return ps_fail(error, PS_E_SYSTEM,
                       "%s: could only be opened for reading: descriptors or memory are short",
                       sql->path);
    if (reading && !ours)
        return ps_fail(error, PS_E_SYSTEM, "%s: no journal in it yet", sql->path);
    int result = reading ? 0 : set_up(sql, sync, error);
    if (result == 0 && !ours)
        result = create(sql, error);
    if (result == 0)
        result = add_tables(sql, reading, error);
    return result ? result : prepare(sql, error);
}

int ps_sql_open(struct ps_sql *sql, const char *path, enum ps_sql_sync sync, struct ps_error *error)
{
    sql->path = strdup(path);
    if (!sql->path)
        return ps_fail_memory(error, strlen(path), "a path");
    int result = open_database(sql, sync, error);
    if (result == PS_E_SYSTEM && sync != PS_SQL_READING)
        ps_sql_explain(path, error);
    return result;
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
    int result = code == SQLITE_DONE ? 0 : fail(sql, code, purposes[sql->current], error);
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
    return code == SQLITE_OK ? 0 : fail(sql, code, "empty its write-ahead log", error);
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
