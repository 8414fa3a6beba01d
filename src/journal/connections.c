/* The two connections of a journal that is open: the right to write, and opening the files again
 * after an operator has repaired them. */
#include "journal/internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "journal/lock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const int64_t mend_interval_ns = 1000000000;

int ps_journal_head(struct ps_sql *sql, char ret_stream[PS_STREAM_TEXT], uint64_t *ret_last,
                    struct ps_error *error)
{
    ps_sql_use(sql, PS_SQL_STREAM);
    int found = ps_sql_row(sql, error);
    if (found > 0) {
        (void)snprintf(ret_stream, PS_STREAM_TEXT, "%s", ps_sql_get_text(sql, 0));
        ps_sql_end(sql);
    }
    if (found < 0)
        return found;
    ps_sql_use(sql, PS_SQL_LAST_SEQ);
    int result = ps_sql_row(sql, error);
    if (result < 0)
        return result;
    int64_t last = ps_sql_get_int(sql, 0);
    int64_t outcomes = ps_sql_get_int(sql, 1);
    ps_sql_end(sql);
    if (strlen(ret_stream) != PS_STREAM_TEXT - 1 || last != outcomes)
        return ps_fail(error, PS_E_SYSTEM,
                       "%s: outcomes are missing (%" PRId64 " of %" PRId64
                       "); move the file away to start a new journal",
                       sql->path, last - outcomes, last);
    *ret_last = (uint64_t)last;
    return 0;
}

static bool is_broken(struct ps_journal *journal)
{
    pthread_mutex_lock(&journal->read_lock);
    const bool broken = journal->quick.broken || journal->durable.broken;
    pthread_mutex_unlock(&journal->read_lock);
    return broken;
}

/* Looks at the file before it is opened for writing, which would begin a new journal in an empty
 * one. */
static int check(const struct ps_journal *journal, struct ps_error *error)
{
    struct ps_sql sql = {0};
    char stream[PS_STREAM_TEXT] = "";
    uint64_t last = 0;
    int result = ps_sql_open(&sql, journal->durable.path, PS_SQL_READING, error);
    if (result == 0)
        result = ps_journal_head(&sql, stream, &last, error);
    ps_sql_done(&sql);
    if (result)
        return result;
    const uint64_t expected = atomic_load(&journal->last_seq);
    if (strcmp(stream, journal->stream) != 0)
        return ps_fail(error, PS_E_SYSTEM, "%s: another journal is in its place",
                       journal->durable.path);
    if (last != expected)
        return ps_fail(error, PS_E_SYSTEM,
                       "%s: a copy with %" PRIu64 " outcomes is in its place, %" PRIu64
                       " were published",
                       journal->durable.path, last, expected);
    return 0;
}

/* Exchanges two connections, except for the path, which error messages use without a lock. */
static void exchange(struct ps_sql *a, struct ps_sql *b)
{
    const struct ps_sql old = *a;
    char *path = b->path;
    *a = *b;
    a->path = old.path;
    *b = old;
    b->path = path;
}

static int open_again(struct ps_journal *journal, struct ps_error *error)
{
    struct ps_sql durable = {0}, quick = {0};
    int result = ps_sql_leave(&journal->durable, error);
    if (result == 0)
        result = check(journal, error);
    if (result == 0)
        result = ps_sql_open(&durable, journal->durable.path, PS_SQL_DURABLE, error);
    if (result == 0)
        result = ps_sql_open(&quick, journal->durable.path, PS_SQL_ORDERED, error);
    if (result == 0) {
        pthread_mutex_lock(&journal->read_lock);
        exchange(&journal->durable, &durable);
        exchange(&journal->quick, &quick);
        pthread_mutex_unlock(&journal->read_lock);
    }
    ps_sql_done(&quick);
    ps_sql_done(&durable);
    return result;
}

/* If a connection has found its files damaged, read-only or moved, closes both and opens what is at
 * the journal's path. It must be of the same stream and have the same last seq; otherwise the
 * connections stay as they are. */
static void mend(struct ps_journal *journal)
{
    const int64_t now = ps_clock_mono_ns();
    if (!is_broken(journal) || (journal->mend_ns && now - journal->mend_ns < mend_interval_ns))
        return;
    journal->mend_ns = now;
    struct ps_error error = {0};
    if (open_again(journal, &error) != 0)
        journal->mend_error = error;
    else
        journal->mend_error = (struct ps_error){0};
}

void ps_journal_mend_reading(struct ps_journal *journal)
{
    const int64_t now = ps_clock_mono_ns();
    if (journal->durable.db || (journal->mend_ns && now - journal->mend_ns < mend_interval_ns))
        return;
    pthread_mutex_lock(&journal->read_lock);
    struct ps_sql quick = {0};
    char stream[PS_STREAM_TEXT] = "";
    uint64_t last = 0;
    if (journal->quick.broken || ps_sql_is_moved(&journal->quick)) {
        journal->mend_ns = now;
        if (ps_sql_open(&quick, journal->quick.path, PS_SQL_READING, NULL) == 0 &&
            ps_journal_head(&quick, stream, &last, NULL) == 0 &&
            strcmp(stream, journal->stream) == 0 && last >= atomic_load(&journal->last_seq))
            exchange(&journal->quick, &quick);
    }
    ps_sql_done(&quick);
    pthread_mutex_unlock(&journal->read_lock);
}

/* ---- the right to write ---------------------------------------------------------------------- */

void ps_journal_begin_write(struct ps_journal *journal)
{
    struct ps_fifo_lock *lock = &journal->write_lock;
    pthread_mutex_lock(&lock->mutex);
    uint64_t mine = lock->next++;
    while (lock->serving != mine)
        pthread_cond_wait(&lock->changed, &lock->mutex);
    pthread_mutex_unlock(&lock->mutex);
    mend(journal);
}

void ps_journal_end_write(struct ps_journal *journal)
{
    struct ps_fifo_lock *lock = &journal->write_lock;
    pthread_mutex_lock(&lock->mutex);
    lock->serving++;
    pthread_cond_broadcast(&lock->changed);
    pthread_mutex_unlock(&lock->mutex);
}

static int keep_lock(struct ps_journal *journal, struct ps_error *error)
{
    const char *path = journal->durable.path;
    char *directory = strndup(path, (size_t)(strrchr(path, '/') - path));
    if (!directory)
        return ps_fail_memory(error, strlen(path), "a path");
    int result = ps_lock_keep(directory, &journal->lock, error);
    free(directory);
    return result;
}

int ps_journal_tend(struct ps_journal *journal, struct ps_error *error)
{
    ps_journal_begin_write(journal);
    int result = keep_lock(journal, error);
    if (result == 0 && journal->mend_error.code) {
        *error = journal->mend_error;
        result = error->code;
    }
    ps_journal_end_write(journal);
    return result;
}
