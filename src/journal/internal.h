/* Two connections to one database. SQLite lets one of them write at a time, and a commit of
 * outcomes holds that right while it waits for the disk; two locks of our own order this, so that
 * SQLite never finds its database busy (it would sleep and try again):
 *
 *     turn     the right to write, given in the order of asking: a publisher that commits without
 *              pause does not shut out the watcher. It also guards the connection `durable`.
 *     reading  guards the connection `quick`. Never held over a callback, nor over a wait for the
 *              disk, but for one: where thousands of micrographs are seen and nothing is committed,
 *              `quick` has to bring the log into the database itself now and then.
 *
 * Who needs both takes turn first. Looking up, replaying and counting need only `reading`, so no
 * commit delays them. What is new is recorded by `quick`, without waiting for the disk: micrographs
 * precede their outcomes in the same log, so the wait for an outcome brings them to the disk too,
 * and after a power cut no outcome is there without its micrograph.
 */
#ifndef PS_JOURNAL_INTERNAL_H
#define PS_JOURNAL_INTERNAL_H

#include "journal/journal.h"
#include "journal/sql.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PS_JOURNAL_PAGE = 256 }; /* rows read at once, before callbacks get them */

/* A lock that is given in the order of asking. */
struct ps_turn {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t next;    /* number of the next who asks */
    uint64_t serving; /* number of who has it */
};

struct ps_journal {
    int lock; /* of the state directory */
    char stream[PS_STREAM_TEXT];
    struct ps_turn turn;
    struct ps_sql durable;
    pthread_mutex_t reading;
    struct ps_sql quick;
    _Atomic uint64_t last_seq;
};

/* Takes and gives back the right to write, and with it `durable`. */
void ps_journal_begin_write(struct ps_journal *journal);
void ps_journal_end_write(struct ps_journal *journal);

/* Records a micrograph as a row of its own, in a transaction of the caller's. */
int ps_journal_insert(struct ps_sql *sql, const struct ps_job *job, int revision, int attempt,
                      const char *state, int64_t *ret_id, struct ps_error *error);

#endif
