/* For the tests of the journal: a state directory for each, micrographs without files, and distinct
 * messages. */
#ifndef JOURNAL_FIXTURE_H
#define JOURNAL_FIXTURE_H

#include "journal/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int make_directory(void **state)
{
    char *directory = strdup("/tmp/pickstream-journal-XXXXXX");
    *state = directory;
    return directory && mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char command[100];
    (void)snprintf(command, sizeof command, "rm -rf %s", (char *)*state);
    free(*state);
    return system(command);
}

static struct ps_journal *open_journal(const char *directory)
{
    struct ps_journal *journal = NULL;
    struct ps_error error;
    if (ps_journal_open(directory, &journal, &error))
        fail_msg("%s", error.message);
    return journal;
}

/* A micrograph as the watcher finds it; `version` tells its contents apart. */
static inline struct ps_job *make_job(const char *path, int version)
{
    const char *slash = strchr(path + 1, '/');
    struct ps_job *job = ps_job_new(path, slash ? slash + 1 : path);
    assert_non_null(job);
    uint64_t inode = 14695981039346656037u;
    for (const char *c = path; *c; c++)
        inode = (inode ^ (unsigned char)*c) * 1099511628211u;
    job->identity = (struct ps_identity){
        .device = 0x801, .inode = inode, .size = 1000, .mtime_ns = 1777639000000000000 + version};
    job->closed_ns = job->identity.mtime_ns;
    job->detected_ns = job->identity.mtime_ns + 5;
    return job;
}

static inline enum ps_journal_state see(struct ps_journal *journal, struct ps_job *job)
{
    enum ps_journal_state state = PS_JOURNAL_DONE;
    struct ps_error error;
    if (ps_journal_see(journal, job, &state, &error))
        fail_msg("%s", error.message);
    return state;
}

/* A message: the topic, a text, and numbers, `size` bytes of them. */
struct message {
    struct ps_frames frames;
    char text[200];
};

static struct message *make_message(const char *text, size_t size)
{
    struct message *message = calloc(1, sizeof *message);
    assert_non_null(message);
    (void)snprintf(message->text, sizeof message->text, "%s", text);
    unsigned char *numbers = malloc(size + 1);
    assert_non_null(numbers);
    for (size_t i = 0; i < size; i++)
        numbers[i] = (unsigned char)(i * 7 + strlen(text) + (unsigned char)text[i % strlen(text)]);
    message->frames = (struct ps_frames){
        .count = 3,
        .frame = {{"picks", 5}, {message->text, strlen(message->text)}, {numbers, size}}};
    return message;
}

static void free_message(struct message *message)
{
    free(message->frames.frame[2].data);
    free(message);
}

/* Commits one outcome as the next seq. The message says the path, revision and attempt. */
static int try_finish(struct ps_journal *journal, const struct ps_job *job, const char *status,
                      size_t size, struct ps_error *error)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%s %d.%d", job->path, job->revision, job->attempt);
    struct message *message = make_message(text, size);
    struct ps_journal_row record = {.job = job,
                                    .seq = ps_journal_last_seq(journal) + 1,
                                    .status = status,
                                    .reason = strcmp(status, "picked") == 0 ? NULL : "because",
                                    .count = strcmp(status, "picked") == 0 ? 10 : 0,
                                    .frames = &message->frames};
    int result = ps_journal_commit(journal, &record, 1, error);
    free_message(message);
    return result;
}

static inline void finish(struct ps_journal *journal, const struct ps_job *job, const char *status)
{
    struct ps_error error;
    if (try_finish(journal, job, status, 100, &error))
        fail_msg("%s", error.message);
}

/* Texts of the messages in the journal. Their order and bytes are checked on the way. */
enum { MAX_TEXTS = 4096 };
struct texts {
    uint64_t next;
    size_t count;
    char text[MAX_TEXTS][100];
};

static inline int collect(void *context, uint64_t seq, const struct ps_frames *frames)
{
    struct texts *texts = context;
    assert_true(seq == texts->next);
    texts->next++;
    assert_int_equal(frames->count, 3);
    size_t length = frames->frame[1].size;
    assert_true(texts->count < MAX_TEXTS && length < sizeof texts->text[0]);
    char *text = texts->text[texts->count++];
    memcpy(text, frames->frame[1].data, length);
    text[length] = '\0';
    struct message *expected = make_message(text, frames->frame[2].size);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(frames->frame[i].size, expected->frames.frame[i].size);
        assert_memory_equal(frames->frame[i].data, expected->frames.frame[i].data,
                            frames->frame[i].size);
    }
    free_message(expected);
    return 0;
}

/* To be freed. */
static inline struct texts *replay(struct ps_journal *journal, uint64_t after, size_t limit)
{
    struct texts *texts = calloc(1, sizeof *texts);
    assert_non_null(texts);
    texts->next = after + 1;
    struct ps_error error;
    if (ps_journal_replay(journal, after, limit, collect, texts, &error))
        fail_msg("%s", error.message);
    return texts;
}

static inline struct ps_journal_totals totals_of(struct ps_journal *journal)
{
    struct ps_journal_totals totals;
    struct ps_error error;
    if (ps_journal_totals(journal, &totals, &error))
        fail_msg("%s", error.message);
    return totals;
}

#endif
