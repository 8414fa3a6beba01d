/* The journal: the micrographs seen, their outcomes, and the bytes of the published messages.
 *
 * An SQLite database (sql.h) in the state directory. One service at a time can use it: it holds a
 * lock file (lock.h) while the journal is open.
 *
 * Invariants:
 *   1. A micrograph (path, revision) is in one of two states: seen, or done with an outcome.
 *   2. An outcome has a seq, 1, 2, 3 ... without a gap over the life of the journal, and its
 *      message as it was or will be published. Neither changes.
 *   3. A message is published only after ps_journal_commit() returned 0: it is on the disk then.
 *   4. A commit of several outcomes is atomic.
 *
 * A file with another identity or content under a known path is a new revision if the previous one
 * has an outcome. Otherwise it replaces the previous one: a file that is rewritten while it waits
 * is one micrograph with one outcome. If the commit finds that the file was rewritten while it was
 * picked, the picked contents keep the revision and the present ones become the next revision.
 *
 * A file that gives way to another version of its exposure (layout/versions.h) is recorded as
 * skipped, without an outcome.
 *
 * A micrograph during whose pick the process died (in_flight.h) keeps count of that until it has an
 * outcome: see PS_SUSPECT_DEATHS in watch/job.h.
 *
 * Outcomes stay. A retry makes a failed micrograph seen again, as another attempt at the same
 * revision, which gets another outcome with another seq. A repick makes a new revision of the same
 * content seen, which is to be picked with the settings that are in force then. Of the outcomes of
 * a path the last one counts; each message says which seq it replaces.
 *
 * Threads: one writer thread (the publisher) commits; any thread can call the other functions.
 * Looking up, replaying and counting do not wait for a commit; recording a micrograph waits for the
 * current one. Callbacks can call the journal.
 */
#ifndef PS_JOURNAL_JOURNAL_H
#define PS_JOURNAL_JOURNAL_H

#include "pickstream.h"
#include "watch/job.h"
#include "wire/message.h"

struct ps_journal;

enum ps_journal_state {
    PS_JOURNAL_NEW,  /* recorded by this call, as a new path or revision: to be picked */
    PS_JOURNAL_OPEN, /* recorded before, without an outcome: to be picked */
    PS_JOURNAL_DONE, /* has its outcome */
};

/* Opens or creates DIRECTORY/journal.sqlite. PS_E_SYSTEM: no such directory, not writable, another
 * service holds it (the message has its process number), not a journal, damaged, or disk full. */
int ps_journal_open(const char *directory, struct ps_journal **ret_journal, struct ps_error *error);

/* Opens a journal read-only, even while a service holds it. Only ps_journal_stream(),
 * ps_journal_last_seq() (as of opening), ps_journal_replay(), ps_journal_find(),
 * ps_journal_latest() and ps_journal_totals() can be called then. ps_journal_replay() opens the
 * file again if it could not be read or was replaced by a copy; one thread at a time. PS_E_SYSTEM:
 * no such file, not readable, not a journal, or damaged. */
int ps_journal_open_reading(const char *directory, struct ps_journal **ret_journal,
                            struct ps_error *error);
void ps_journal_close(struct ps_journal *journal);

/* To be called every few seconds: makes the lock of the directory again if its file was deleted,
 * and opens the journal again if it could not be written and its file was mended or restored since.
 * PS_E_SYSTEM: the reason why that is not possible. */
int ps_journal_tend(struct ps_journal *journal, struct ps_error *error);

/* UUID of this journal, 36 characters; constant. */
const char *ps_journal_stream(const struct ps_journal *journal);

/* Largest committed seq; 0: none. */
uint64_t ps_journal_last_seq(struct ps_journal *journal);

/* Looks `job` up by path, identity and, if its inode changed, content; records it as seen if it is
 * new, and sets its row, revision and attempt. Seen rows survive a crash of this process, but not
 * necessarily a power cut. */
int ps_journal_see(struct ps_journal *journal, struct ps_job *job, enum ps_journal_state *ret_state,
                   struct ps_error *error);

/* True if the file with this path and identity has its outcome. Reads the file if only its inode
 * changed, and records the change if the content is the same. False if the journal cannot be read.
 */
bool ps_journal_done(struct ps_journal *journal, const char *path,
                     const struct ps_identity *identity);

/* The state of the latest revision of a path. */
enum ps_journal_file {
    PS_JOURNAL_FILE_NONE, /* not a micrograph of this journal, or it cannot be read */
    PS_JOURNAL_FILE_OPEN, /* seen, without an outcome */
    PS_JOURNAL_FILE_DONE, /* picked or rejected */
    PS_JOURNAL_FILE_FAILED,
    PS_JOURNAL_FILE_UNREADABLE, /* failed because there was no permission to read it */
};
enum ps_journal_file ps_journal_file(struct ps_journal *journal, const char *path);

/* Records that `job` is skipped because the file at `version` is of the same exposure. Removes the
 * micrograph if it was seen; its outcomes, if there are any, stay. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_journal_skip(struct ps_journal *journal, const struct ps_job *job, const char *version,
                    struct ps_error *error);

/* True if the file with this path and identity is skipped; copies the path of the other version.
 * False if the journal cannot be read. */
bool ps_journal_skipped(struct ps_journal *journal, const char *path,
                        const struct ps_identity *identity, char *ret_version, size_t size);

/* Passes every micrograph without an outcome to `take` as a job, which `take` owns: after a start,
 * those that an earlier run left. A non-zero return of `take` ends the iteration without an error.
 */
int ps_journal_each_open(struct ps_journal *journal, int (*take)(void *context, struct ps_job *job),
                         void *context, struct ps_error *error);

/* A worker begins and ends picking the micrograph of a job. If the process dies in between, the
 * next ps_journal_open() counts a death for the micrograph; its outcome, of any kind, ends the
 * count. Workers are numbered from 0. */
void ps_journal_begin_pick(struct ps_journal *journal, size_t worker, const struct ps_job *job);
void ps_journal_end_pick(struct ps_journal *journal, size_t worker);

/* The process is about to exit while micrographs are being picked: not a death. */
void ps_journal_end_picks(struct ps_journal *journal);

/* An outcome to commit; borrows everything. */
struct ps_journal_row {
    const struct ps_job *job;
    uint64_t seq;                   /* ps_journal_last_seq() + 1, + 2, ... */
    const char *status;             /* "picked", "rejected", "failed" */
    const char *reason;             /* or NULL */
    uint64_t count;                 /* picks */
    const struct ps_frames *frames; /* the message */
    const char *parameters;         /* hash of the settings that made it; NULL: unknown */
};

/* Commits outcomes in order. On failure nothing was recorded.
 * PS_E_SYSTEM: disk full, read-only, damaged, or locked by another program: the same call can be
 * made again later. PS_E_NOMEM. PS_E_BUG: a seq that is not the next one, or a micrograph that
 * already has its outcome: do not retry. */
int ps_journal_commit(struct ps_journal *journal, const struct ps_journal_row *records,
                      size_t count, struct ps_error *error);

/* Passes up to `limit` messages with seq > after to `take` in order; frames are borrowed for the
 * call and aligned to 8 bytes. A non-zero return of `take` ends the iteration without an error.
 * Reads the messages in pages. */
int ps_journal_replay(struct ps_journal *journal, uint64_t after, size_t limit,
                      int (*take)(void *context, uint64_t seq, const struct ps_frames *frames),
                      void *context, struct ps_error *error);

/* Files of picks that are not as the latest outcome of their micrograph says: it was committed with
 * job->files_missing. The first such seq > after; 0: none. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_journal_next_unwritten(struct ps_journal *journal, uint64_t after, uint64_t *ret_seq,
                              struct ps_error *error);
int ps_journal_count_unwritten(struct ps_journal *journal, uint64_t *ret_count,
                               struct ps_error *error);

/* Records that the files of an outcome are written now. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_journal_written(struct ps_journal *journal, uint64_t seq, struct ps_error *error);

/* Seq of the latest outcome of a micrograph by its name or path, of any revision; 0: none. */
int ps_journal_find(struct ps_journal *journal, const char *name, uint64_t *ret_seq,
                    struct ps_error *error);

/* Seq of the latest outcome of a path, of any revision; 0: none. */
int ps_journal_latest(struct ps_journal *journal, const char *path, uint64_t *ret_seq,
                      struct ps_error *error);

/* Makes failed micrographs seen again: those with the given paths or names, or all if count is 0,
 * and stores their number in `*ret_count`. Ignores paths that have not failed, and failed revisions
 * of files that were rewritten since. */
int ps_journal_retry(struct ps_journal *journal, char *const *paths, size_t count,
                     size_t *ret_count, struct ps_error *error);

/* Micrographs with an outcome: those with the given paths or names if count is not 0; else those
 * whose latest outcome follows `since` and was not made with the parameters `other_than` (NULL:
 * with any). Outcomes of versions that did not record their parameters are taken for others. */
struct ps_repick_selection {
    char *const *paths;
    size_t count;
    uint64_t since;
    const char *other_than;
};

/* Makes a new revision of each selected micrograph seen, and stores their number in `*ret_count`.
 * Micrographs that wait to be picked anyway, and files that are skipped, do not count. */
int ps_journal_repick(struct ps_journal *journal, const struct ps_repick_selection *selection,
                      size_t *ret_count, struct ps_error *error);

/* Forgets the new revision of a repick that cannot be made: the outcome that it has stays the last.
 * Does nothing if the file was rewritten since. */
int ps_journal_withdraw(struct ps_journal *journal, const struct ps_job *job,
                        struct ps_error *error);

/* How many micrographs have a latest outcome that was made with other parameters. */
int ps_journal_count_outdated(struct ps_journal *journal, const char *parameters,
                              uint64_t *ret_count, struct ps_error *error);

/* Median of the picks of the last 100 micrographs that were picked with these parameters; 0 if
 * there are fewer than 20. */
int ps_journal_usual_picks(struct ps_journal *journal, const char *parameters, double *ret_median,
                           struct ps_error *error);

/* Numbers of micrographs and picks. A micrograph counts once, with its latest outcome; the earlier
 * ones are counted apart. */
struct ps_journal_totals {
    uint64_t picked;
    uint64_t rejected;
    uint64_t failed;
    uint64_t open;         /* seen, without an outcome of their content */
    uint64_t picks;        /* in the latest outcomes */
    uint64_t skipped;      /* files of an exposure that another one stands for */
    uint64_t retries;      /* outcomes that were replaced by that of a retry */
    uint64_t revisions;    /* outcomes that were replaced by that of a later revision */
    uint64_t repicks_left; /* seen, with an outcome of their content that is to be replaced */
};
int ps_journal_totals(struct ps_journal *journal, struct ps_journal_totals *ret_totals,
                      struct ps_error *error);

/* The number of the process that holds the journal of this directory; 0: none; -1: one that has not
 * written its number yet. Does not take the lock. */
int ps_journal_holder(const char *directory);

#endif
