/* The journal uses two connections to one database. SQLite lets one of them write at a time, and a
 * commit of outcomes is the writer until the disk has it. Two locks order the connections, so that
 * SQLite does not find its database busy (it would sleep and try again):
 *
 *     write_lock  the right to write, granted in the order of requests: a publisher that commits
 *                 without pause does not shut out the watcher. Also guards the connection
 * `durable`. read_lock   guards the connection `quick`. Not held during a callback, nor while
 * waiting for the disk, with one exception: if thousands of micrographs are seen and nothing is
 *                 committed, `quick` has to checkpoint the write-ahead log itself now and then.
 *
 * Lock order: `write_lock` before `read_lock`. Looking up, replaying and counting need `read_lock`
 * alone, so no commit delays them. New micrographs are recorded by `quick` without waiting for the
 * disk: they precede their outcomes in the same log, so the commit of an outcome brings them to the
 * disk too, and after a power cut no outcome lacks its micrograph.
 */
#ifndef PS_JOURNAL_INTERNAL_H
#define PS_JOURNAL_INTERNAL_H

#include "journal/in_flight.h"
#include "journal/journal.h"
#include "journal/sql.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PS_MAX_PAGE_ROWS = 256 }; /* rows read before their callbacks are called */

/* A lock that is granted in the order of requests. */
struct ps_fifo_lock {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t next;    /* ticket of the next request */
    uint64_t serving; /* ticket of the holder */
};

struct ps_journal {
    int lock; /* of the state directory */
    struct ps_in_flight in_flight;
    char stream[PS_STREAM_TEXT];
    struct ps_fifo_lock write_lock;
    struct ps_sql durable;
    pthread_mutex_t read_lock;
    struct ps_sql quick;
    _Atomic uint64_t last_seq;
    int64_t mend_ns;            /* monotonic: the files were last opened again; write lock, or */
                                /* the only thread of one for reading */
    struct ps_error mend_error; /* why that failed; code 0: it did not; write lock */
};

/* Take and release the right to write, and with it `durable`. If a connection is broken (sql.h),
 * its files are opened again first, at most once a second: they can have been mended. */
void ps_journal_begin_write(struct ps_journal *journal);
void ps_journal_end_write(struct ps_journal *journal);

/* Of a journal that was opened for reading: opens its file again if it could not be read, or was
 * moved or replaced, at most once a second. What is there now must be of the same stream, and not
 * shorter than when this one was opened. */
void ps_journal_mend_reading(struct ps_journal *journal);

/* Reads the number that a statement of the reading connection with one parameter gives: 0 for NULL,
 * untouched if there is no row. */
int ps_journal_read_number(struct ps_journal *journal, enum ps_sql_statement statement,
                           const char *text, uint64_t *ret_number, struct ps_error *error);

/* Runs a statement with one parameter, the row of a micrograph. */
int ps_journal_run(struct ps_sql *sql, enum ps_sql_statement statement, int64_t id,
                   struct ps_error *error);

/* Reads the stream and the last seq, and checks that no outcome is missing. */
int ps_journal_head(struct ps_sql *sql, char ret_stream[PS_STREAM_TEXT], uint64_t *ret_last,
                    struct ps_error *error);

/* Inserts the row of a micrograph, within the caller's transaction. */
int ps_journal_insert(struct ps_sql *sql, const struct ps_job *job, int revision, int attempt,
                      const char *state, int64_t *ret_id, struct ps_error *error);

/* Records whether the files of picks of an outcome are missing, in place of what the path's earlier
 * one had, within the caller's transaction. */
int ps_journal_note_files(struct ps_sql *sql, const struct ps_job *job, uint64_t seq,
                          struct ps_error *error);

/* Forgets that a file is skipped, within the caller's transaction. */
int ps_journal_unskip(struct ps_sql *sql, const char *path, struct ps_error *error);

#endif
