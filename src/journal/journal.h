/* The journal: what was seen, what came of it, and the exact bytes that were published.
 *
 * An SQLite database (sql.h) in the state directory, which one service at a time may use:
 * it holds the lock beside it (lock.h) while the journal is open.
 *
 * Invariants:
 *   1. A micrograph (path, revision) is in one of two states: seen, or done with an outcome.
 *   2. An outcome has a seq, 1, 2, 3 ... without a gap over the life of the journal, and its
 *      message as it was or will be published. Neither ever changes.
 *   3. A message is published only after ps_journal_commit() returned 0: it is on the disk then.
 *   4. A commit of several outcomes happens completely or not at all.
 *
 * A file with another identity under a known path is a new revision, once there is an outcome for
 * the former one. Before that it takes its place: a file that is rewritten while it waits is one
 * micrograph with one outcome. If it turns out at the commit that it was rewritten while it was
 * picked, what was picked keeps the revision, and what is there now becomes the next one. Files
 * that differ in nothing but the number of their device are the same: that of a network share
 * changes when it is mounted again.
 *
 * Outcomes of failed micrographs stay; a retry makes them seen again, as another attempt at the
 * same revision, and what comes of it is another outcome with its own seq.
 *
 * Threads: one writer thread (the publisher) commits; any thread may call the others. Looking up,
 * replaying and counting never wait for a commit; recording something new waits for the one that is
 * being written. Callbacks may call the journal.
 */
#ifndef PS_JOURNAL_JOURNAL_H
#define PS_JOURNAL_JOURNAL_H

#include "pickstream.h"
#include "watch/job.h"
#include "wire/message.h"

struct ps_journal;

enum ps_journal_state {
    PS_JOURNAL_NEW,  /* seen now, for the first time or as a new revision: to be picked */
    PS_JOURNAL_OPEN, /* seen before, without an outcome: to be picked */
    PS_JOURNAL_DONE, /* has its outcome */
};

/* Opens or creates DIRECTORY/journal.sqlite. PS_E_SYSTEM: no such directory, not writable, another
 * service holds it (the message says its process number), not a journal, or damaged; disk full. */
int ps_journal_open(const char *directory, struct ps_journal **ret_journal, struct ps_error *error);

/* Opens a journal to read its outcomes, while a service holds it or not: ps_journal_stream(),
 * ps_journal_last_seq() (of now), ps_journal_replay(), ps_journal_find() and ps_journal_totals()
 * may be called. PS_E_SYSTEM: none there, not readable, not a journal, or damaged. */
int ps_journal_open_reading(const char *directory, struct ps_journal **ret_journal,
                            struct ps_error *error);
void ps_journal_close(struct ps_journal *journal);

/* UUID of this journal, 36 characters; constant. */
const char *ps_journal_stream(const struct ps_journal *journal);

/* Largest seq committed, 0 without any. */
uint64_t ps_journal_last_seq(struct ps_journal *journal);

/* Looks `job` up by path and identity, records it as seen where it is new, and fills its row,
 * revision and attempt. Seen rows need not survive a power cut, only a crash of this process. */
int ps_journal_see(struct ps_journal *journal, struct ps_job *job, enum ps_journal_state *ret_state,
                   struct ps_error *error);

/* Whether the file of this identity has its outcome under this path. Only looks; false where the
 * journal cannot be read. */
bool ps_journal_done(struct ps_journal *journal, const char *path,
                     const struct ps_identity *identity);

/* Every micrograph that is seen without an outcome, as jobs handed to `take`, which owns them: what
 * a crash left over. `take` returning non-zero ends it, which is no failure. */
int ps_journal_each_open(struct ps_journal *journal, int (*take)(void *context, struct ps_job *job),
                         void *context, struct ps_error *error);

/* An outcome on its way into the journal. */
struct ps_record {
    const struct ps_job *job;
    uint64_t seq;                   /* ps_journal_last_seq() + 1, + 2, ... */
    const char *status;             /* "picked", "rejected", "failed" */
    const char *reason;             /* or NULL */
    uint64_t count;                 /* picks */
    const struct ps_frames *frames; /* of the message */
};

/* Commits outcomes in their order. Whatever fails, nothing was recorded.
 * PS_E_SYSTEM: disk full, read-only, damaged, locked by another program: the same call may be made
 * again later. PS_E_NOMEM. PS_E_BUG: a seq that is not the next one, or a micrograph that has its
 * outcome already; making the call again is of no use. */
int ps_journal_commit(struct ps_journal *journal, const struct ps_record *records, size_t count,
                      struct ps_error *error);

/* Hands the frames of up to `limit` messages with seq > after to `take` (borrowed for the call), in
 * order; non-zero from it ends it, which is no failure. Messages come from the disk in pages. Each
 * frame is aligned to 8 bytes. */
int ps_journal_replay(struct ps_journal *journal, uint64_t after, size_t limit,
                      int (*take)(void *context, uint64_t seq, const struct ps_frames *frames),
                      void *context, struct ps_error *error);

/* Seq of the latest outcome of a micrograph by its name or path, of any revision; 0: none. */
int ps_journal_find(struct ps_journal *journal, const char *name, uint64_t *ret_seq,
                    struct ps_error *error);

/* Makes failed micrographs seen again: those of the given paths or names, or all where count is 0.
 * `*ret_count` says how many were. A path that has not failed is no error; nor is one that was
 * rewritten since, which is a micrograph of its own. */
int ps_journal_retry(struct ps_journal *journal, char *const *paths, size_t count,
                     size_t *ret_count, struct ps_error *error);

/* How many outcomes there are of each kind. */
struct ps_journal_totals {
    uint64_t picked;
    uint64_t rejected;
    uint64_t failed;
    uint64_t open;  /* seen, without an outcome */
    uint64_t picks; /* of all micrographs together */
};
int ps_journal_totals(struct ps_journal *journal, struct ps_journal_totals *ret_totals,
                      struct ps_error *error);

/* Whether a process holds the journal of this directory, without touching it; its number or 0
 * (-1: one that has not written its number yet). */
int ps_journal_holder(const char *directory);

#endif
