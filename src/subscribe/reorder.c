/* See reorder.h. Held outcomes are in a ring of slots, indexed by seq modulo the window. Only seqs
 * in (last, last + window] are held, so no two share a slot. */
#include "subscribe/reorder.h"

#include <stdlib.h>
#include <string.h>

static const int64_t second_ns = 1000000000;

enum {
    MAX_NOTES = 4,                  /* events that one message can cause, beside outcomes */
    MAX_ANSWER_TIMEOUT_SECONDS = 5, /* without an answer: request again (answer_timeout_ns()) */
    RETRY_SECONDS = 1,              /* after an answer without a missing outcome: request again */
};

struct slot {
    bool present;
    struct ps_outcome_record *record; /* NULL: unreadable */
};

struct ps_reorder {
    struct ps_reorder_options options;
    int64_t now_ns; /* as of the last call that passed it */

    char stream[PS_STREAM_TEXT]; /* "": no message yet */
    bool based;                  /* `last` is valid */
    bool unverified;             /* `last` is the caller's; no message has confirmed it yet */
    uint64_t last;               /* the last seq that was delivered or given up */
    uint64_t top;                /* the largest seq that is known to exist, at least `last` */
    uint64_t given_up;           /* gaps up to this seq are lost */
    struct slot slots[PS_REORDER_WINDOW];
    size_t own_bytes;
    size_t *held_bytes; /* own_bytes, or what several buffers share */

    bool suspected; /* a heartbeat announced seq `suspect`; it is lost if not here at suspect_ns */
    uint64_t suspect;
    int64_t suspect_ns;

    bool repairing;
    bool ask;            /* a request is to be sent at retry_ns */
    bool outstanding;    /* a request was sent and its answer has not ended */
    uint64_t asked_last; /* `last` when the request was sent */
    int64_t retry_ns;
    int64_t answered_ns; /* time of the last request or replay message */
    int64_t progress_ns; /* when the gap was found or last became smaller */

    bool changing; /* to another stream, after the outcomes held of this one */
    char next_stream[PS_STREAM_TEXT];
    uint64_t next_last;
    uint64_t next_top;
    struct ps_outcome_record *next_record;

    struct ps_subscriber_event notes[MAX_NOTES];
    size_t note_count;
};

struct ps_reorder *ps_reorder_new(const struct ps_reorder_options *options, int64_t now_ns)
{
    struct ps_reorder *reorder = calloc(1, sizeof *reorder);
    if (!reorder)
        return NULL;
    reorder->options = *options;
    reorder->held_bytes = options->held_bytes ? options->held_bytes : &reorder->own_bytes;
    reorder->now_ns = reorder->retry_ns = reorder->progress_ns = now_ns;
    if (options->replay) {
        reorder->based = reorder->unverified = reorder->repairing = reorder->ask = true;
        reorder->last = reorder->top = options->since;
    }
    return reorder;
}

void ps_reorder_free(struct ps_reorder *reorder)
{
    if (!reorder)
        return;
    for (size_t i = 0; i < PS_REORDER_WINDOW; i++) {
        *reorder->held_bytes -= reorder->slots[i].record ? reorder->slots[i].record->bytes : 0;
        ps_outcome_record_free(reorder->slots[i].record);
    }
    ps_outcome_record_free(reorder->next_record);
    free(reorder);
}

/* ---- held and missing outcomes --------------------------------------------------------------- */

static struct slot *slot_of(struct ps_reorder *reorder, uint64_t seq)
{
    return &reorder->slots[seq % PS_REORDER_WINDOW];
}

static bool missing(struct ps_reorder *reorder)
{
    return reorder->last < reorder->top && !slot_of(reorder, reorder->last + 1)->present;
}

/* The last seq of the gap behind `last`, at most `end`. */
static uint64_t gap_end(struct ps_reorder *reorder, uint64_t end)
{
    uint64_t seq = reorder->last + 1;
    while (seq < end && seq - reorder->last < PS_REORDER_WINDOW &&
           !slot_of(reorder, seq + 1)->present)
        seq++;
    bool beyond = seq - reorder->last == PS_REORDER_WINDOW;
    return beyond ? end : seq;
}

static void raise_top(struct ps_reorder *reorder, uint64_t seq)
{
    if (seq <= reorder->top)
        return;
    if (reorder->top == reorder->last)
        reorder->progress_ns = reorder->now_ns;
    reorder->top = seq;
}

/* Holds an outcome until its turn. Drops it if it is a duplicate or exceeds the limits. */
static void insert(struct ps_reorder *reorder, uint64_t seq, struct ps_outcome_record *record)
{
    size_t bytes = record ? record->bytes : 0;
    uint64_t last = reorder->last;
    if (seq > last) {
        reorder->unverified = false;
        raise_top(reorder, seq);
    }
    struct slot *slot = slot_of(reorder, seq);
    bool full = seq > last + 1 && *reorder->held_bytes + bytes > PS_REORDER_BYTES;
    if (seq <= last || seq - last > PS_REORDER_WINDOW || full || slot->record) {
        ps_outcome_record_free(record);
        return;
    }
    *slot = (struct slot){true, record};
    *reorder->held_bytes += bytes;
    if (seq == last + 1)
        reorder->progress_ns = reorder->now_ns;
}

static void note(struct ps_reorder *reorder, struct ps_subscriber_event event)
{
    if (reorder->note_count < MAX_NOTES)
        reorder->notes[reorder->note_count++] = event;
}

static void repair_if_missing(struct ps_reorder *reorder)
{
    if (reorder->repairing || !missing(reorder))
        return;
    reorder->repairing = reorder->ask = true;
    reorder->retry_ns = reorder->progress_ns = reorder->now_ns;
    note(reorder, (struct ps_subscriber_event){.kind = PS_EVENT_GAP,
                                               .first = reorder->last + 1,
                                               .last = gap_end(reorder, reorder->top)});
}

static void give_up(struct ps_reorder *reorder)
{
    reorder->given_up = reorder->top;
    reorder->repairing = reorder->ask = false;
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Compares the stream of a live message with the current one. Returns false for another stream: its
 * state and `record` are kept until the current one is finished. */
static bool same_stream(struct ps_reorder *reorder, const char *stream, uint64_t last, uint64_t top,
                        struct ps_outcome_record *record)
{
    if (!*reorder->stream)
        memcpy(reorder->stream, stream, PS_STREAM_TEXT);
    if (strcmp(reorder->stream, stream) == 0) {
        if (!reorder->based)
            reorder->last = reorder->top = last;
        reorder->based = true;
        return true;
    }
    reorder->changing = true;
    memcpy(reorder->next_stream, stream, PS_STREAM_TEXT);
    reorder->next_last = last;
    reorder->next_top = top;
    reorder->next_record = record;
    if (reorder->suspected)
        raise_top(reorder, reorder->suspect);
    give_up(reorder); /* the service no longer replays the old stream */
    return false;
}

void ps_reorder_live(struct ps_reorder *reorder, struct ps_outcome_record *record, int64_t now_ns)
{
    reorder->now_ns = now_ns;
    uint64_t seq = record->seq;
    if (!same_stream(reorder, record->stream, seq - 1, seq, record))
        return;
    insert(reorder, seq, record);
    repair_if_missing(reorder);
}

void ps_reorder_unreadable(struct ps_reorder *reorder, const char *stream, uint64_t seq,
                           int64_t now_ns)
{
    reorder->now_ns = now_ns;
    if (!same_stream(reorder, stream, seq - 1, seq, NULL))
        return;
    raise_top(reorder, seq);
    repair_if_missing(reorder);
}

void ps_reorder_status(struct ps_reorder *reorder, const char *stream, uint64_t last_seq,
                       int64_t now_ns)
{
    reorder->now_ns = now_ns;
    if (!same_stream(reorder, stream, last_seq, last_seq, NULL) || reorder->suspected ||
        last_seq <= reorder->top)
        return;
    reorder->suspected = true;
    reorder->suspect = last_seq;
    reorder->suspect_ns = now_ns + reorder->options.heartbeat_ns;
}

void ps_reorder_replayed(struct ps_reorder *reorder, struct ps_outcome_record *record,
                         const char *stream, uint64_t seq, int64_t now_ns)
{
    reorder->now_ns = reorder->answered_ns = now_ns;
    if (!*reorder->stream)
        memcpy(reorder->stream, stream, PS_STREAM_TEXT);
    if (reorder->based && strcmp(reorder->stream, stream) == 0)
        insert(reorder, seq, record);
    else
        ps_outcome_record_free(record);
}

void ps_reorder_end(struct ps_reorder *reorder, uint64_t last_seq, int64_t now_ns)
{
    reorder->now_ns = reorder->answered_ns = now_ns;
    bool expected = reorder->outstanding && reorder->repairing;
    reorder->outstanding = false;
    if (!expected)
        return;
    if (reorder->unverified && last_seq < reorder->last) {
        note(reorder, (struct ps_subscriber_event){.kind = PS_EVENT_SHORT, .last = last_seq});
        reorder->last = reorder->top = 0;
    }
    reorder->unverified = false;
    raise_top(reorder, last_seq);
    if (!missing(reorder)) {
        reorder->repairing = reorder->ask = false;
        return;
    }
    bool progress = reorder->last != reorder->asked_last;
    reorder->ask = true;
    reorder->retry_ns = progress ? now_ns : now_ns + RETRY_SECONDS * second_ns;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A third of the timeout, so that a short timeout also allows a second request. */
static int64_t answer_timeout_ns(const struct ps_reorder *reorder)
{
    int64_t third = reorder->options.timeout_ns / 3;
    int64_t max = MAX_ANSWER_TIMEOUT_SECONDS * second_ns;
    return third < max ? third : max;
}

void ps_reorder_tick(struct ps_reorder *reorder, int64_t now_ns)
{
    reorder->now_ns = now_ns;
    if (reorder->suspected && now_ns >= reorder->suspect_ns) {
        reorder->suspected = false;
        raise_top(reorder, reorder->suspect);
        repair_if_missing(reorder);
    }
    if (!reorder->repairing)
        return;
    if (missing(reorder) && now_ns - reorder->progress_ns >= reorder->options.timeout_ns)
        give_up(reorder);
    else if (reorder->outstanding && now_ns - reorder->answered_ns >= answer_timeout_ns(reorder))
        reorder->ask = true;
}

int64_t ps_reorder_deadline(const struct ps_reorder *reorder)
{
    int64_t deadline = reorder->suspected ? reorder->suspect_ns : INT64_MAX;
    if (!reorder->repairing)
        return deadline;
    int64_t next =
        reorder->ask ? reorder->retry_ns : reorder->answered_ns + answer_timeout_ns(reorder);
    if (next < deadline)
        deadline = next;
    int64_t end = reorder->progress_ns + reorder->options.timeout_ns;
    return reorder->last < reorder->top && end < deadline ? end : deadline;
}

bool ps_reorder_wants(struct ps_reorder *reorder, uint64_t *ret_since, bool *ret_fresh,
                      int64_t now_ns)
{
    if (!reorder->repairing || !reorder->ask || now_ns < reorder->retry_ns)
        return false;
    *ret_since = reorder->asked_last = reorder->last;
    *ret_fresh = reorder->outstanding;
    reorder->ask = false;
    reorder->outstanding = true;
    reorder->answered_ns = now_ns;
    return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void take_outcome(struct ps_reorder *reorder, struct ps_subscriber_event *ret)
{
    uint64_t seq = ++reorder->last;
    struct slot *slot = slot_of(reorder, seq);
    *ret = (struct ps_subscriber_event){.kind = slot->record ? PS_EVENT_OUTCOME : PS_EVENT_LOST,
                                        .record = slot->record,
                                        .first = seq,
                                        .last = seq};
    if (slot->record)
        *reorder->held_bytes -= slot->record->bytes;
    else
        (void)stpcpy(ret->text, "its message cannot be read");
    *slot = (struct slot){0};
}

static void take_loss(struct ps_reorder *reorder, struct ps_subscriber_event *ret)
{
    *ret = (struct ps_subscriber_event){.kind = PS_EVENT_LOST,
                                        .first = reorder->last + 1,
                                        .last = gap_end(reorder, reorder->given_up)};
    (void)stpcpy(ret->text, reorder->changing ? "the stream has ended"
                                              : "the replay socket does not bring it");
    reorder->last = ret->last;
}

static void change_stream(struct ps_reorder *reorder, struct ps_subscriber_event *ret)
{
    bool replay = reorder->options.replay;
    struct ps_outcome_record *record = reorder->next_record;
    memcpy(reorder->stream, reorder->next_stream, PS_STREAM_TEXT);
    reorder->last = reorder->top = replay ? 0 : reorder->next_last;
    reorder->given_up = 0;
    reorder->next_record = NULL;
    reorder->changing = reorder->suspected = reorder->unverified = false;
    *ret = (struct ps_subscriber_event){.kind = PS_EVENT_STREAM, .first = reorder->last + 1};
    raise_top(reorder, reorder->next_top);
    if (record)
        insert(reorder, record->seq, record);
    repair_if_missing(reorder);
}

void ps_reorder_next(struct ps_reorder *reorder, struct ps_subscriber_event *ret_event)
{
    if (reorder->note_count > 0) {
        *ret_event = reorder->notes[0];
        reorder->note_count--;
        memmove(reorder->notes, reorder->notes + 1, reorder->note_count * sizeof *reorder->notes);
    } else if (slot_of(reorder, reorder->last + 1)->present) {
        take_outcome(reorder, ret_event);
    } else if (reorder->last < reorder->given_up) {
        take_loss(reorder, ret_event);
    } else if (reorder->changing) {
        change_stream(reorder, ret_event);
    } else {
        *ret_event = (struct ps_subscriber_event){.kind = PS_EVENT_NONE};
    }
}

const char *ps_reorder_stream(const struct ps_reorder *reorder)
{
    return reorder->stream;
}

uint64_t ps_reorder_last(const struct ps_reorder *reorder)
{
    return reorder->last;
}
