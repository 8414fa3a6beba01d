/* Puts what a subscriber hears in order: every outcome of a stream once, none missing.
 *
 * A state machine without sockets and clocks: it is told what was heard and what time it is, and
 * says what is news and what to ask the replay socket for. So its tests need neither.
 *
 * Invariants:
 *   1. Outcomes come out in the order of their seq, each once. `last` is the last that came out, or
 *      was given up; a seq not above it is a duplicate.
 *   2. A gap is asked for at once: "since last". An outcome behind a gap is held back, at most
 *      PS_SEQUENCE_WINDOW of them and PS_SEQUENCE_BYTES; what does not fit is dropped, for the
 *      answer has it too, and if not, is asked for.
 *   3. A seq is given up only after the replay has brought nothing that was missing for the
 *      timeout, or when the stream is no more. What is given up is said, seq by seq.
 *   4. Only the live socket decides which stream it is: a late answer about another one is ignored.
 *
 * A heartbeat that knows more than we heard need not mean a loss, for it may have overtaken what is
 * being sent; it does if that is still missing a heartbeat later.
 *
 * Times are monotonic nanoseconds. After telling it anything, take news until there are none.
 */
#ifndef PS_SUBSCRIBE_REORDER_H
#define PS_SUBSCRIBE_REORDER_H

#include "wire/message_read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_SEQUENCE_WINDOW = 8192,
    PS_SEQUENCE_BYTES = 256 << 20,
};

struct ps_sequence_options {
    bool replay;          /* begin after seq `since`, and a new stream from its beginning; */
    uint64_t since;       /* if not, with what is published from now on */
    int64_t heartbeat_ns; /* between two status messages */
    int64_t timeout_ns;   /* after which a gap that does not close is given up */
};

enum ps_news_kind {
    PS_NEWS_NONE,
    PS_NEWS_OUTCOME, /* the next one in order */
    PS_NEWS_GAP,     /* seqs first to last were missed and are asked for */
    PS_NEWS_LOST,    /* seqs first to last are given up */
    PS_NEWS_STREAM,  /* another stream than before; first is the seq that it begins with here */
    PS_NEWS_SHORT,   /* the stream ends at seq last, before `since`: it begins anew, from 1 */
    PS_NEWS_NOTE, /* text: something odd that loses nothing by itself (of ps_subscriber_next()) */
};

struct ps_news {
    enum ps_news_kind kind;
    struct ps_heard *heard; /* OUTCOME: the caller's now */
    uint64_t first;
    uint64_t last;
    char text[640];              /* NOTE; LOST: why */
    char stream[PS_STREAM_TEXT]; /* whose news it is, of ps_subscriber_next(); NOTE: "" */
};

struct ps_sequence;

/* NULL without memory. */
struct ps_sequence *ps_sequence_new(const struct ps_sequence_options *options, int64_t now_ns);
void ps_sequence_free(struct ps_sequence *sequence);

/* What was heard on the live socket. An outcome is owned from here on. `unreadable` is one of which
 * only stream and seq could be read: it is asked for. */
void ps_sequence_live(struct ps_sequence *sequence, struct ps_heard *heard, int64_t now_ns);
void ps_sequence_unreadable(struct ps_sequence *sequence, const char *stream, uint64_t seq,
                            int64_t now_ns);
void ps_sequence_status(struct ps_sequence *sequence, const char *stream, uint64_t last_seq,
                        int64_t now_ns);

/* What the replay socket answered: outcomes, and the end of an answer. An unreadable one (NULL,
 * with its stream and seq) will not get better: it is given up when its turn comes. */
void ps_sequence_replayed(struct ps_sequence *sequence, struct ps_heard *heard, const char *stream,
                          uint64_t seq, int64_t now_ns);
void ps_sequence_end(struct ps_sequence *sequence, uint64_t last_seq, int64_t now_ns);

/* Lets time pass: to be called when both sockets are empty, for what waits in them is heard. */
void ps_sequence_tick(struct ps_sequence *sequence, int64_t now_ns);

/* When ps_sequence_tick() will have something to do; INT64_MAX: never. */
int64_t ps_sequence_deadline(const struct ps_sequence *sequence);

/* Whether to ask the replay socket now, and since which seq. True once for each request. With
 * `ret_fresh` the answer to an earlier request may still be on its way and is not wanted: ask
 * through a new socket. */
bool ps_sequence_wants(struct ps_sequence *sequence, uint64_t *ret_since, bool *ret_fresh,
                       int64_t now_ns);

/* The next piece of news; PS_NEWS_NONE if there is none. */
void ps_sequence_next(struct ps_sequence *sequence, struct ps_news *ret_news);

/* The stream that it is about; "" before any was heard. */
const char *ps_sequence_stream(const struct ps_sequence *sequence);

/* The last seq that came out in order: what a later --since may begin with. */
uint64_t ps_sequence_last(const struct ps_sequence *sequence);

#endif
