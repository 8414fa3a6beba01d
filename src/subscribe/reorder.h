/* The reorder buffer of a subscriber: delivers every outcome of a stream once and in order.
 *
 * A state machine without sockets and clocks, so that tests need neither: the caller passes in
 * messages and the time, takes events, and sends the replay requests that it asks for.
 *
 * Invariants:
 *   1. Outcomes are delivered in the order of their seq, each once. `last` is the last seq that was
 *      delivered or given up; a seq up to `last` is a duplicate.
 *   2. A gap is requested at once ("since last"). Outcomes behind a gap are held, up to
 *      PS_REORDER_WINDOW outcomes and PS_REORDER_BYTES bytes. Those beyond are dropped: the replay
 *      brings them too, or they are requested later.
 *   3. A seq is given up only if the replay has brought none of the missing outcomes for the
 *      timeout, or if the stream has ended. Every seq that is given up is reported.
 *   4. Only the live socket decides which stream is current: a late replay answer of another stream
 *      is ignored.
 *
 * A heartbeat with a seq that was not received yet is not a loss: it can overtake outcomes that are
 * being sent. It is a loss if the outcome is still missing one heartbeat later.
 *
 * Times are monotonic nanoseconds. After each call, take events until there are none.
 */
#ifndef PS_SUBSCRIBE_REORDER_H
#define PS_SUBSCRIBE_REORDER_H

#include "wire/message_read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_REORDER_WINDOW = 8192,
    PS_REORDER_BYTES = 256 << 20,
};

struct ps_reorder_options {
    bool replay;          /* true: begin after seq `since`, and read a new stream from its start; */
    uint64_t since;       /* false: begin with the next outcome that is published */
    int64_t heartbeat_ns; /* between two status messages */
    int64_t timeout_ns;   /* a gap that makes no progress for this long is given up */
    size_t *held_bytes; /* of all buffers that share it, up to PS_REORDER_BYTES; NULL: only this */
};

enum ps_subscriber_event_kind {
    PS_EVENT_NONE,
    PS_EVENT_OUTCOME, /* the next one in order */
    PS_EVENT_GAP,     /* seqs first to last are missing and are requested */
    PS_EVENT_LOST,    /* seqs first to last are given up */
    PS_EVENT_STREAM,  /* a new stream; first is the first seq delivered of it */
    PS_EVENT_SHORT,   /* the stream ends at seq last, before `since`: it is read from 1 */
    PS_EVENT_NOTE,    /* text: a problem that loses no outcome (only ps_subscriber_next()) */
};

struct ps_subscriber_event {
    enum ps_subscriber_event_kind kind;
    struct ps_outcome_record *record; /* OUTCOME; owned by the caller */
    uint64_t first;
    uint64_t last;
    char text[640];              /* NOTE; LOST: why */
    char stream[PS_STREAM_TEXT]; /* set by ps_subscriber_next(); NOTE: "" */
};

struct ps_reorder;

/* NULL without memory. */
struct ps_reorder *ps_reorder_new(const struct ps_reorder_options *options, int64_t now_ns);
void ps_reorder_free(struct ps_reorder *reorder);

/* Messages of the live socket. ps_reorder_live() takes ownership of the outcome. For an unreadable
 * outcome only stream and seq are known; it is requested again. */
void ps_reorder_live(struct ps_reorder *reorder, struct ps_outcome_record *record, int64_t now_ns);
void ps_reorder_unreadable(struct ps_reorder *reorder, const char *stream, uint64_t seq,
                           int64_t now_ns);
void ps_reorder_status(struct ps_reorder *reorder, const char *stream, uint64_t last_seq,
                       int64_t now_ns);

/* Answers of the replay socket: an outcome, and the end of an answer. An unreadable outcome (NULL,
 * with its stream and seq) is not requested again: it is reported as lost in its turn. */
void ps_reorder_replayed(struct ps_reorder *reorder, struct ps_outcome_record *record,
                         const char *stream, uint64_t seq, int64_t now_ns);
void ps_reorder_end(struct ps_reorder *reorder, uint64_t last_seq, int64_t now_ns);

/* Advances the time. Call it only when both sockets are empty: a message that waits in one of them
 * has arrived in time. */
void ps_reorder_tick(struct ps_reorder *reorder, int64_t now_ns);

/* The time of the next ps_reorder_tick() that has an effect; INT64_MAX: never. */
int64_t ps_reorder_deadline(const struct ps_reorder *reorder);

/* Returns true, once for each request, if a replay request is to be sent now, with its seq. If
 * `*ret_fresh` is true, send it through a new socket: an answer to an earlier request can still be
 * on its way and must be discarded. */
bool ps_reorder_wants(struct ps_reorder *reorder, uint64_t *ret_since, bool *ret_fresh,
                      int64_t now_ns);

/* Takes the next event; PS_EVENT_NONE if there is none. */
void ps_reorder_next(struct ps_reorder *reorder, struct ps_subscriber_event *ret_event);

/* The current stream; "" before the first message. */
const char *ps_reorder_stream(const struct ps_reorder *reorder);

/* The last seq that was delivered in order: the value for a later --since. */
uint64_t ps_reorder_last(const struct ps_reorder *reorder);

#endif
