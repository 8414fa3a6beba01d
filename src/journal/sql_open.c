/* Opening a database of the journal: its tables, and what SQLite is to do with it. */
#include "base/error.h"
#include "journal/explain.h"
#include "journal/sql.h"

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

/* Fills the table `replaced`, and keeps it: a trigger works under an earlier version too. */
static const char *const fill_replaced =
    "INSERT INTO replaced SELECT seq, status, picks, outcomes.attempt < micrographs.attempt"
    " FROM outcomes JOIN micrographs ON id = micrograph WHERE seq <> (SELECT max(+later.seq)"
    " FROM outcomes AS later WHERE later.micrograph IN (SELECT same.id FROM micrographs AS same"
    "  WHERE same.path = micrographs.path));"
    "CREATE TRIGGER outcomes_replace AFTER INSERT ON outcomes BEGIN"
    " INSERT OR IGNORE INTO replaced SELECT seq, status, picks, micrograph = new.micrograph"
    "  FROM outcomes WHERE seq = (SELECT max(+seq) FROM outcomes WHERE +seq <> new.seq"
    "   AND micrograph IN (SELECT id FROM micrographs WHERE path ="
    "    (SELECT path FROM micrographs WHERE id = new.micrograph))); END";

/* Tables that are added when a journal without them is opened: earlier versions of pickstream
 * ignore them, so the format is the same. A reader that cannot write gets empty ones of its own. */
static const struct {
    const char *name;
    const char *columns;
    const char *fill; /* statements after its creation */
} added[] = {
    {"skipped",
     "path TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL,"
     " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, detected_ns INTEGER NOT NULL",
     NULL},
    {"unwritten", "seq INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE", NULL},
    {"contents",
     "micrograph INTEGER PRIMARY KEY REFERENCES micrographs (id) ON DELETE CASCADE,"
     " ctime_ns INTEGER NOT NULL, checksum INTEGER NOT NULL",
     NULL},
    {"deaths",
     "micrograph INTEGER PRIMARY KEY REFERENCES micrographs (id) ON DELETE CASCADE,"
     " deaths INTEGER NOT NULL",
     NULL},
    {"repicks", "micrograph INTEGER PRIMARY KEY REFERENCES micrographs (id) ON DELETE CASCADE",
     NULL},
    {"replaced",
     "seq INTEGER PRIMARY KEY, status TEXT NOT NULL, picks INTEGER NOT NULL,"
     " retried INTEGER NOT NULL",
     fill_replaced},
    {"made_with", "seq INTEGER PRIMARY KEY, parameters TEXT NOT NULL", NULL},
};

/* Drops rows that an earlier version has left behind when it recorded an outcome. */
static const char *const forget_replaced =
    "DELETE FROM repicks WHERE micrograph NOT IN"
    " (SELECT id FROM micrographs WHERE state = 'seen');"
    "DELETE FROM unwritten WHERE EXISTS (SELECT 1 FROM micrographs JOIN outcomes ON"
    " outcomes.micrograph = micrographs.id WHERE micrographs.path = unwritten.path"
    " AND outcomes.seq > unwritten.seq)";

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
        return ps_sql_fail(sql, code, "open the journal", error);
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

static int add_table(struct ps_sql *sql, size_t index, bool reading, struct ps_error *error)
{
    const char *const fill = added[index].fill;
    char *text =
        sqlite3_mprintf("%s; CREATE %s TABLE IF NOT EXISTS %s (%s) STRICT; %s; COMMIT",
                        reading ? "BEGIN" : "BEGIN IMMEDIATE", reading ? "TEMP" : "",
                        added[index].name, added[index].columns, reading || !fill ? "" : fill);
    if (!text)
        return ps_fail(error, PS_E_NOMEM, "no memory for the journal");
    int result = ps_sql_execute(sql, text, "open the journal", error);
    sqlite3_free(text);
    return result;
}

static int add_tables(struct ps_sql *sql, bool reading, struct ps_error *error)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof added / sizeof *added; i++)
        if (!has_table(sql, added[i].name))
            result = add_table(sql, i, reading, error);
    if (result == 0 && !reading)
        result = ps_sql_execute(sql, forget_replaced, "open the journal", error);
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
    int result = ps_sql_execute(sql, text, "create the journal", error);
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
        return ps_sql_fail(sql, code, "open the journal", error);
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
    return ps_sql_execute(sql, text, "open the journal", error);
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
            return ps_sql_fail(sql, code, "open the journal", error);
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
        return ps_sql_fail(sql, code, "open the journal", error);
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
