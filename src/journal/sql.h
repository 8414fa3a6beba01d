/* A connection to SQLite with the prepared statements of the journal, and its errors as ps_error.
 *
 * A statement is used in three steps:
 *
 *     ps_sql_use(sql, PS_SQL_LATEST);
 *     ps_sql_bind_text(sql, path);                    parameters in order
 *     while ((found = ps_sql_row(sql, error)) > 0)    or ps_sql_run() if there are no rows
 *         ps_sql_get_int(sql, 0);
 *
 * A failed bind is reported by the step that follows, so a bind needs no check. A caller that does
 * not read all rows must call ps_sql_end(): an unfinished statement is an open read transaction,
 * which keeps the write-ahead log from restarting. One thread at a time can use a connection.
 *
 * The tables:
 *
 *     meta         key, value: "stream" is the UUID of the journal
 *     micrographs  one row for each (path, revision). `state` is "seen", or the status of its
 *                  latest outcome. Only the latest revision of a path can be "seen"; a partial
 *                  index enforces one for each path.
 *     outcomes     one row for each seq; one outcome for each attempt at a micrograph. `frames` is
 *                  its message, packed by frames.h.
 *     totals       outcomes and picks by status, updated by a trigger, so that a status every few
 *                  seconds reads three rows instead of all
 *     skipped      one row for each file that another version of its exposure stands for
 *     unwritten    the seq and the path of each micrograph whose files of picks are not as its
 *                  latest outcome says
 *     contents     one row for each micrograph with an outcome: the time of the last change of its
 *                  inode, and the checksum of the content that was read
 *     deaths       one row for each micrograph during whose pick a process died, without an outcome
 *                  since: how often
 *     repicks      one row for each seen micrograph that is to be picked although its content has
 * an outcome replaced     one row for each outcome whose path has a later one, entered by a trigger
 *     made_with    one row for each outcome: the hash of the settings that made it
 *
 * Device, inode and size are unsigned; SQLite has only signed integers, so they are stored as the
 * signed number with the same 64 bits.
 *
 * application_id and user_version identify the file. A file of another program or of a later
 * version is refused before anything in it is changed.
 */
#ifndef PS_JOURNAL_SQL_H
#define PS_JOURNAL_SQL_H

#include "pickstream.h"

#include <sqlite3.h>
#include <stdint.h>

/* Of a row of micrographs that has its outcome: the seq of that. */
#define PS_SQL_LAST_OF_ROW "(SELECT max(seq) FROM outcomes WHERE micrograph = micrographs.id)"

/* A row that has its outcome, is the latest of its path, and is not skipped since. */
#define PS_SQL_CAN_REPICK                                                                          \
    " AND state <> 'seen' AND NOT EXISTS (SELECT 1 FROM micrographs AS later"                      \
    " WHERE later.path = micrographs.path AND later.revision > micrographs.revision)"              \
    " AND NOT EXISTS (SELECT 1 FROM skipped WHERE skipped.path = micrographs.path)"

#define PS_SQL_INSERT_REPICKS                                                                      \
    "INSERT INTO micrographs (path, name, revision, attempt, state, device, inode, size,"          \
    " mtime_ns, closed_ns, detected_ns) SELECT path, name, revision + 1, 1, 'seen', device,"       \
    " inode, size, mtime_ns, closed_ns, detected_ns FROM micrographs"

/* X(NAME, purpose, SQL) */
#define PS_SQL_MAP(X)                                                                              \
    X(BEGIN, "write", "BEGIN IMMEDIATE")                                                           \
    X(COMMIT, "write", "COMMIT")                                                                   \
    X(STREAM, "read its name", "SELECT value FROM meta WHERE key = 'stream'")                      \
    X(LAST_SEQ, "read the last outcome",                                                           \
      "SELECT ifnull(max(seq), 0), (SELECT sum(outcomes) FROM totals) FROM outcomes")              \
    X(LATEST, "look up a micrograph",                                                              \
      "SELECT id, revision, attempt, state = 'seen', device, inode, size, mtime_ns, ctime_ns,"     \
      " checksum, deaths, repicks.micrograph IS NOT NULL FROM micrographs"                         \
      " LEFT JOIN contents ON contents.micrograph = id"                                            \
      " LEFT JOIN deaths ON deaths.micrograph = id"                                                \
      " LEFT JOIN repicks ON repicks.micrograph = id"                                              \
      " WHERE path = ?1 ORDER BY revision DESC LIMIT 1")                                           \
    X(INSERT, "record a micrograph",                                                               \
      "INSERT INTO micrographs (path, name, revision, attempt, state, device, inode, size,"        \
      " mtime_ns, closed_ns, detected_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")               \
    X(REWRITTEN, "record a micrograph",                                                            \
      "UPDATE micrographs SET name = ?, device = ?, inode = ?, size = ?, mtime_ns = ?,"            \
      " closed_ns = ?, detected_ns = ? WHERE id = ?")                                              \
    X(ABANDON, "end a retry",                                                                      \
      "UPDATE micrographs SET state = 'failed', attempt = attempt - 1 WHERE id = ?")               \
    X(OPEN, "list what is to be picked",                                                           \
      "SELECT id, path, name, revision, attempt, device, inode, size, mtime_ns, closed_ns,"        \
      " detected_ns, deaths, repicks.micrograph IS NOT NULL FROM micrographs"                      \
      " LEFT JOIN deaths ON deaths.micrograph = id"                                                \
      " LEFT JOIN repicks ON repicks.micrograph = id"                                              \
      " WHERE state = 'seen' AND path > ?1 ORDER BY path LIMIT ?2")                                \
    X(DIED, "count a death",                                                                       \
      "INSERT INTO deaths (micrograph, deaths)"                                                    \
      " SELECT id, 1 FROM micrographs WHERE id = ?1 AND state = 'seen' AND attempt = ?2"           \
      " ON CONFLICT (micrograph) DO UPDATE SET deaths = deaths + 1")                               \
    X(ALIVE, "record an outcome", "DELETE FROM deaths WHERE micrograph = ?")                       \
    X(REPICKED, "record an outcome", "DELETE FROM repicks WHERE micrograph = ?")                   \
    X(FINISH, "record an outcome",                                                                 \
      "UPDATE micrographs SET state = ?1, attempt = max(attempt, ?2)"                              \
      " WHERE id = ?3 AND (state = 'seen' OR attempt < ?2)"                                        \
      " AND size = ?4 AND mtime_ns = ?5")                                                          \
    X(ROW, "look up a micrograph",                                                                 \
      "SELECT state = 'seen', revision, attempt FROM micrographs WHERE id = ?")                    \
    X(SUPERSEDE, "record an outcome",                                                              \
      "UPDATE micrographs SET revision = revision + 1 WHERE id = ?")                               \
    X(CONTENT, "record an outcome",                                                                \
      "INSERT OR REPLACE INTO contents (micrograph, ctime_ns, checksum) VALUES (?, ?, ?)")         \
    X(SAME_CONTENT, "record a micrograph",                                                         \
      "UPDATE contents SET ctime_ns = ?2 WHERE micrograph = ?1")                                   \
    X(OUTCOME, "record an outcome",                                                                \
      "INSERT INTO outcomes (seq, micrograph, attempt, status, reason, picks, frames)"             \
      " VALUES (?1, ?2, (SELECT attempt FROM micrographs WHERE id = ?2), ?3, ?4, ?5, ?6)")         \
    X(REPLAY, "read outcomes",                                                                     \
      "SELECT seq, frames FROM outcomes WHERE seq > ?1 ORDER BY seq LIMIT ?2")                     \
    X(FIND, "look up a micrograph",                                                                \
      "SELECT max(seq) FROM outcomes WHERE micrograph IN"                                          \
      " (SELECT id FROM micrographs WHERE path = ?1 UNION SELECT id FROM micrographs"              \
      "  WHERE name = ?1)")                                                                        \
    X(RETRY, "retry",                                                                              \
      "UPDATE micrographs SET state = 'seen', attempt = attempt + 1"                               \
      " WHERE state = 'failed' AND (?1 IS NULL OR path = ?1 OR name = ?1)"                         \
      " AND NOT EXISTS (SELECT 1 FROM micrographs AS later"                                        \
      "  WHERE later.path = micrographs.path AND later.revision > micrographs.revision)")          \
    X(LAST_ID, "repick", "SELECT ifnull(max(id), 0) FROM micrographs")                             \
    X(REPICK, "repick",                                                                            \
      PS_SQL_INSERT_REPICKS                                                                        \
      " WHERE (?1 = 0 OR " PS_SQL_LAST_OF_ROW " > ?1)"                                             \
      " AND (?2 IS NULL OR NOT EXISTS (SELECT 1 FROM made_with WHERE parameters = ?2"              \
      " AND seq = " PS_SQL_LAST_OF_ROW "))" PS_SQL_CAN_REPICK)                                     \
    X(REPICK_NAMED, "repick",                                                                      \
      PS_SQL_INSERT_REPICKS                                                                        \
      " WHERE id IN (SELECT id FROM micrographs WHERE path = ?1"                                   \
      " UNION SELECT id FROM micrographs WHERE name = ?1)" PS_SQL_CAN_REPICK)                      \
    X(NOTE_REPICKS, "repick", "INSERT INTO repicks SELECT id FROM micrographs WHERE id > ?")       \
    X(WITHDRAW, "end a repick",                                                                    \
      "DELETE FROM micrographs WHERE state = 'seen' AND id IN"                                     \
      " (SELECT micrograph FROM repicks WHERE micrograph = ?)")                                    \
    X(MADE_WITH, "record an outcome", "INSERT INTO made_with (seq, parameters) VALUES (?, ?)")     \
    X(OUTDATED, "count outcomes",                                                                  \
      "SELECT (SELECT count(*) FROM outcomes WHERE seq NOT IN (SELECT seq FROM replaced))"         \
      " - (SELECT count(*) FROM made_with WHERE parameters = ?"                                    \
      " AND seq NOT IN (SELECT seq FROM replaced))")                                               \
    X(RECENT_PICKS, "count picks",                                                                 \
      "SELECT picks FROM made_with JOIN outcomes ON outcomes.seq = made_with.seq"                  \
      " WHERE parameters = ?1 AND status = 'picked' ORDER BY made_with.seq DESC LIMIT ?2")         \
    X(REPLACES, "look up a micrograph",                                                            \
      "SELECT max(seq) FROM outcomes WHERE micrograph IN"                                          \
      " (SELECT id FROM micrographs WHERE path = ?)")                                              \
    X(TOTALS, "count outcomes",                                                                    \
      "SELECT status, outcomes, picks FROM totals UNION ALL"                                       \
      " SELECT status, -count(*), -sum(picks) FROM replaced GROUP BY status UNION ALL"             \
      " SELECT 'retry', count(*), 0 FROM replaced WHERE retried UNION ALL"                         \
      " SELECT 'revision', count(*), 0 FROM replaced WHERE NOT retried UNION ALL"                  \
      " SELECT 'repick', count(*), 0 FROM repicks UNION ALL"                                       \
      " SELECT 'seen', count(*), 0 FROM micrographs WHERE state = 'seen' UNION ALL"                \
      " SELECT 'skipped', count(*), 0 FROM skipped")                                               \
    X(FILE, "look up a micrograph",                                                                \
      "SELECT state, reason FROM micrographs LEFT JOIN outcomes ON outcomes.micrograph ="          \
      " micrographs.id AND outcomes.attempt = micrographs.attempt WHERE path = ?1"                 \
      " ORDER BY revision DESC LIMIT 1")                                                           \
    X(SKIP, "skip a file",                                                                         \
      "INSERT OR REPLACE INTO skipped (path, name, version, size, mtime_ns, detected_ns)"          \
      " VALUES (?, ?, ?, ?, ?, ?)")                                                                \
    X(FORGET, "skip a file", "DELETE FROM micrographs WHERE id = ?")                               \
    X(SKIPPED, "look up a skipped file",                                                           \
      "SELECT version FROM skipped WHERE path = ? AND size = ? AND mtime_ns = ?")                  \
    X(UNSKIP, "record a micrograph", "DELETE FROM skipped WHERE path = ?")                         \
    X(UNWRITTEN, "record an outcome", "INSERT INTO unwritten (seq, path) VALUES (?, ?)")           \
    X(REPLACED, "record an outcome", "DELETE FROM unwritten WHERE path = ?")                       \
    X(WRITTEN, "record that files are written", "DELETE FROM unwritten WHERE seq = ?")             \
    X(NEXT_UNWRITTEN, "find missing files",                                                        \
      "SELECT seq FROM unwritten WHERE seq > ? ORDER BY seq LIMIT 1")                              \
    X(COUNT_UNWRITTEN, "count missing files", "SELECT count(*) FROM unwritten")

enum ps_sql_statement {
#define X(NAME, what, text) PS_SQL_##NAME,
    PS_SQL_MAP(X)
#undef X
        PS_SQL_COUNT
};

struct ps_sql {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[PS_SQL_COUNT];
    enum ps_sql_statement current; /* the statement in use */
    int parameter;                 /* the next one to bind */
    int bound;                     /* SQLite's code of the first failed bind */
    bool broken;                   /* its files could not be read or written, or were moved */
};

/* ORDERED: a commit does not wait for the disk; it survives a crash of the process, and a power cut
 * loses only the latest commits. DURABLE: a commit waits until it and all before it are on the
 * disk. READING: read-only; the database must exist. */
enum ps_sql_sync { PS_SQL_ORDERED, PS_SQL_DURABLE, PS_SQL_READING };

/* Opens a database, creates its tables if it is new, prepares the statements. `sql` must be all
 * zeros; call ps_sql_done() on failure too. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_sql_open(struct ps_sql *sql, const char *path, enum ps_sql_sync sync,
                struct ps_error *error);
void ps_sql_done(struct ps_sql *sql);

/* True if the file at the path is not the open one, or not there. */
bool ps_sql_is_moved(const struct ps_sql *sql);

/* If the file was moved or replaced: empties the write-ahead log into it. The log stayed at the old
 * path, and SQLite would take it for that of the file that is there now. */
int ps_sql_leave(struct ps_sql *sql, struct ps_error *error);

/* Sets the error of a call that returned SQLite's `code`; `what` is its purpose. */
int ps_sql_fail(struct ps_sql *sql, int code, const char *what, struct ps_error *error);

/* Runs statements that are not in the table, without parameters or rows. */
int ps_sql_execute(struct ps_sql *sql, const char *text, const char *what, struct ps_error *error);

void ps_sql_use(struct ps_sql *sql, enum ps_sql_statement statement);

/* Bind the next parameter; text and bytes must live until the statement ends. NULL binds NULL. */
void ps_sql_bind_text(struct ps_sql *sql, const char *text);
void ps_sql_bind_int(struct ps_sql *sql, int64_t value);
void ps_sql_bind_bytes(struct ps_sql *sql, const void *bytes, size_t size);

/* 1: a row; 0: no more rows, the statement has ended; negative: it failed and has ended. */
int ps_sql_row(struct ps_sql *sql, struct ps_error *error);

/* Runs a statement to its end, ignoring its rows. */
int ps_sql_run(struct ps_sql *sql, struct ps_error *error);

/* A column of the row; text is borrowed until the next step, "" for NULL. */
int64_t ps_sql_get_int(struct ps_sql *sql, int column);
const char *ps_sql_get_text(struct ps_sql *sql, int column);

/* A column of the row as bytes, borrowed until the next step. */
const void *ps_sql_get_bytes(struct ps_sql *sql, int column, size_t *ret_size);

void ps_sql_end(struct ps_sql *sql);

/* Begins a transaction that can write. PS_E_SYSTEM also if the file was moved or deleted while it
 * is open. */
int ps_sql_begin(struct ps_sql *sql, struct ps_error *error);

/* How long to wait while another program, such as a backup, holds the database lock. */
enum { PS_SQL_BUSY_MS = 5000 };

/* The same without waiting: `ret_busy` is true if another program holds the database lock. */
int ps_sql_try_begin(struct ps_sql *sql, bool *ret_busy, struct ps_error *error);

/* Ends the transaction: commits if `failed` is 0; otherwise, or if the commit fails, rolls back.
 * Returns `failed`, or the result of the commit. */
int ps_sql_finish(struct ps_sql *sql, int failed, struct ps_error *error);

#endif
