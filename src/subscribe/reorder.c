/* See reorder.h. Held outcomes are in a ring of slots, that of a seq being seq modulo the window;
 * only seqs in (last, last + window] are there, so that no two share one. */
#include "subscribe/reorder.h"

#include <stdlib.h>
#include <string.h>

static const int64_t second_ns = 1000000000;

enum {
    MAX_NOTES = 4,        /* what one thing heard can bring, beside outcomes */
    PATIENCE_SECONDS = 5, /* without an answer: ask again (at most; see patience_ns()) */
    RETRY_SECONDS = 1,    /* after an answer that brought nothing: ask again */
};

struct slot {
    bool present;
    struct ps_heard *heard; /* NULL: cannot be read */
};

struct ps_sequence {
    struct ps_sequence_options options;
    int64_t now_ns; /* of the last call that said it */

    char stream[PS_STREAM_TEXT]; /* "": none heard yet */
    bool based;                  /* `last` means something */
    bool unverified;             /* but nothing heard says that the stream has such a seq */
    uint64_t last;               /* came out, or was given up */
    uint64_t top;                /* the largest seq that is known to exist, at least `last` */
    uint64_t given_up;           /* gaps up to this seq are lost */
    struct slot slots[PS_SEQUENCE_WINDOW];
    size_t held_bytes;

    bool suspected; /* a heartbeat told of seq `suspect`; at suspect_ns it should be here */
    uint64_t suspect;
    int64_t suspect_ns;

    bool repairing;
    bool ask;            /* a request is to be sent, at retry_ns */
    bool outstanding;    /* one was, and its end has not come */
    uint64_t asked_last; /* `last` when it was */
    int64_t retry_ns;
    int64_t answered_ns; /* when the replay was asked, or said something */
    int64_t progress_ns; /* when the gap became known, or became smaller */

    bool changing; /* to another stream, when what there is of this one has come out */
    char next_stream[PS_STREAM_TEXT];
    uint64_t next_last;
    uint64_t next_top;
    struct ps_heard *next_heard;

    struct ps_news notes[MAX_NOTES];
    size_t note_count;
};

struct ps_sequence *ps_sequence_new(const struct ps_sequence_options *options, int64_t now_ns)
{
    struct ps_sequence *sequence = calloc(1, sizeof *sequence);
    if (!sequence)
        return NULL;
    sequence->options = *options;
    sequence->now_ns = sequence->retry_ns = sequence->progress_ns = now_ns;
    if (options->replay) {
        sequence->based = sequence->unverified = sequence->repairing = sequence->ask = true;
        sequence->last = sequence->top = options->since;
    }
    return sequence;
}

void ps_sequence_free(struct ps_sequence *sequence)
{
    if (!sequence)
        return;
    for (size_t i = 0; i < PS_SEQUENCE_WINDOW; i++)
        ps_heard_free(sequence->slots[i].heard);
    ps_heard_free(sequence->next_heard);
    free(sequence);
}

/* ---- what is held and what is missing -------------------------------------------------------- */

static struct slot *slot_of(struct ps_sequence *sequence, uint64_t seq)
{
    return &sequence->slots[seq % PS_SEQUENCE_WINDOW];
}

static bool missing(struct ps_sequence *sequence)
{
    return sequence->last < sequence->top && !slot_of(sequence, sequence->last + 1)->present;
}

/* The last seq of the gap behind `last`, at most `end`. */
static uint64_t gap_end(struct ps_sequence *sequence, uint64_t end)
{
    uint64_t seq = sequence->last + 1;
    while (seq < end && seq - sequence->last < PS_SEQUENCE_WINDOW &&
           !slot_of(sequence, seq + 1)->present)
        seq++;
    bool beyond = seq - sequence->last == PS_SEQUENCE_WINDOW;
    return beyond ? end : seq;
}

static void raise_top(struct ps_sequence *sequence, uint64_t seq)
{
    if (seq <= sequence->top)
        return;
    if (sequence->top == sequence->last)
        sequence->progress_ns = sequence->now_ns;
    sequence->top = seq;
}

/* Keeps an outcome until its turn, or drops it: it is a duplicate, or there is no room. */
static void insert(struct ps_sequence *sequence, uint64_t seq, struct ps_heard *heard)
{
    size_t bytes = heard ? heard->bytes : 0;
    uint64_t last = sequence->last;
    if (seq > last) {
        sequence->unverified = false;
        raise_top(sequence, seq);
    }
    struct slot *slot = slot_of(sequence, seq);
    bool full = seq > last + 1 && sequence->held_bytes + bytes > PS_SEQUENCE_BYTES;
    if (seq <= last || seq - last > PS_SEQUENCE_WINDOW || full || slot->heard) {
        ps_heard_free(heard);
        return;
    }
    *slot = (struct slot){true, heard};
    sequence->held_bytes += bytes;
    if (seq == last + 1)
        sequence->progress_ns = sequence->now_ns;
}

static void note(struct ps_sequence *sequence, struct ps_news news)
{
    if (sequence->note_count < MAX_NOTES)
        sequence->notes[sequence->note_count++] = news;
}

static void repair_if_missing(struct ps_sequence *sequence)
{
    if (sequence->repairing || !missing(sequence))
        return;
    sequence->repairing = sequence->ask = true;
    sequence->retry_ns = sequence->progress_ns = sequence->now_ns;
    note(sequence, (struct ps_news){.kind = PS_NEWS_GAP,
                                    .first = sequence->last + 1,
                                    .last = gap_end(sequence, sequence->top)});
}

static void give_up(struct ps_sequence *sequence)
{
    sequence->given_up = sequence->top;
    sequence->repairing = sequence->ask = false;
}

/* ---- what is heard --------------------------------------------------------------------------- */

/* Takes note of the stream that the live socket speaks of. False if it is another one: then what is
 * known of it, with `heard`, comes up when this one is over. */
static bool same_stream(struct ps_sequence *sequence, const char *stream, uint64_t last,
                        uint64_t top, struct ps_heard *heard)
{
    if (!*sequence->stream)
        memcpy(sequence->stream, stream, PS_STREAM_TEXT);
    if (strcmp(sequence->stream, stream) == 0) {
        if (!sequence->based)
            sequence->last = sequence->top = last;
        sequence->based = true;
        return true;
    }
    sequence->changing = true;
    memcpy(sequence->next_stream, stream, PS_STREAM_TEXT);
    sequence->next_last = last;
    sequence->next_top = top;
    sequence->next_heard = heard;
    if (sequence->suspected)
        raise_top(sequence, sequence->suspect);
    give_up(sequence); /* nobody can be asked for the old one any more */
    return false;
}

void ps_sequence_live(struct ps_sequence *sequence, struct ps_heard *heard, int64_t now_ns)
{
    sequence->now_ns = now_ns;
    uint64_t seq = heard->seq;
    if (!same_stream(sequence, heard->stream, seq - 1, seq, heard))
        return;
    insert(sequence, seq, heard);
    repair_if_missing(sequence);
}

void ps_sequence_unreadable(struct ps_sequence *sequence, const char *stream, uint64_t seq,
                            int64_t now_ns)
{
    sequence->now_ns = now_ns;
    if (!same_stream(sequence, stream, seq - 1, seq, NULL))
        return;
    raise_top(sequence, seq);
    repair_if_missing(sequence);
}

void ps_sequence_status(struct ps_sequence *sequence, const char *stream, uint64_t last_seq,
                        int64_t now_ns)
{
    sequence->now_ns = now_ns;
    if (!same_stream(sequence, stream, last_seq, last_seq, NULL) || sequence->suspected ||
        last_seq <= sequence->top)
        return;
    sequence->suspected = true;
    sequence->suspect = last_seq;
    sequence->suspect_ns = now_ns + sequence->options.heartbeat_ns;
}

void ps_sequence_replayed(struct ps_sequence *sequence, struct ps_heard *heard, const char *stream,
                          uint64_t seq, int64_t now_ns)
{
    sequence->now_ns = sequence->answered_ns = now_ns;
    if (!*sequence->stream)
        memcpy(sequence->stream, stream, PS_STREAM_TEXT);
    if (sequence->based && strcmp(sequence->stream, stream) == 0)
        insert(sequence, seq, heard);
    else
        ps_heard_free(heard);
}

void ps_sequence_end(struct ps_sequence *sequence, uint64_t last_seq, int64_t now_ns)
{
    sequence->now_ns = sequence->answered_ns = now_ns;
    bool expected = sequence->outstanding && sequence->repairing;
    sequence->outstanding = false;
    if (!expected)
        return;
    if (sequence->unverified && last_seq < sequence->last) {
        note(sequence, (struct ps_news){.kind = PS_NEWS_SHORT, .last = last_seq});
        sequence->last = sequence->top = 0;
    }
    sequence->unverified = false;
    raise_top(sequence, last_seq);
    if (!missing(sequence)) {
        sequence->repairing = sequence->ask = false;
        return;
    }
    bool progress = sequence->last != sequence->asked_last;
    sequence->ask = true;
    sequence->retry_ns = progress ? now_ns : now_ns + RETRY_SECONDS * second_ns;
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A short timeout leaves room for a second request too. */
static int64_t patience_ns(const struct ps_sequence *sequence)
{
    int64_t third = sequence->options.timeout_ns / 3;
    return third < PATIENCE_SECONDS * second_ns ? third : PATIENCE_SECONDS * second_ns;
}

void ps_sequence_tick(struct ps_sequence *sequence, int64_t now_ns)
{
    sequence->now_ns = now_ns;
    if (sequence->suspected && now_ns >= sequence->suspect_ns) {
        sequence->suspected = false;
        raise_top(sequence, sequence->suspect);
        repair_if_missing(sequence);
    }
    if (!sequence->repairing)
        return;
    if (missing(sequence) && now_ns - sequence->progress_ns >= sequence->options.timeout_ns)
        give_up(sequence);
    else if (sequence->outstanding && now_ns - sequence->answered_ns >= patience_ns(sequence))
        sequence->ask = true;
}

int64_t ps_sequence_deadline(const struct ps_sequence *sequence)
{
    int64_t deadline = sequence->suspected ? sequence->suspect_ns : INT64_MAX;
    if (!sequence->repairing)
        return deadline;
    int64_t next =
        sequence->ask ? sequence->retry_ns : sequence->answered_ns + patience_ns(sequence);
    if (next < deadline)
        deadline = next;
    int64_t end = sequence->progress_ns + sequence->options.timeout_ns;
    return sequence->last < sequence->top && end < deadline ? end : deadline;
}

bool ps_sequence_wants(struct ps_sequence *sequence, uint64_t *ret_since, bool *ret_fresh,
                       int64_t now_ns)
{
    if (!sequence->repairing || !sequence->ask || now_ns < sequence->retry_ns)
        return false;
    *ret_since = sequence->asked_last = sequence->last;
    *ret_fresh = sequence->outstanding;
    sequence->ask = false;
    sequence->outstanding = true;
    sequence->answered_ns = now_ns;
    return true;
}

/* ---- news ------------------------------------------------------------------------------------ */

static void take_outcome(struct ps_sequence *sequence, struct ps_news *ret)
{
    uint64_t seq = ++sequence->last;
    struct slot *slot = slot_of(sequence, seq);
    *ret = (struct ps_news){.kind = slot->heard ? PS_NEWS_OUTCOME : PS_NEWS_LOST,
                            .heard = slot->heard,
                            .first = seq,
                            .last = seq};
    if (slot->heard)
        sequence->held_bytes -= slot->heard->bytes;
    else
        (void)stpcpy(ret->text, "its message cannot be read");
    *slot = (struct slot){0};
}

static void take_loss(struct ps_sequence *sequence, struct ps_news *ret)
{
    *ret = (struct ps_news){.kind = PS_NEWS_LOST,
                            .first = sequence->last + 1,
                            .last = gap_end(sequence, sequence->given_up)};
    (void)stpcpy(ret->text, sequence->changing ? "the stream is no more"
                                               : "the replay socket does not bring it");
    sequence->last = ret->last;
}

static void change_stream(struct ps_sequence *sequence, struct ps_news *ret)
{
    bool replay = sequence->options.replay;
    struct ps_heard *heard = sequence->next_heard;
    memcpy(sequence->stream, sequence->next_stream, PS_STREAM_TEXT);
    sequence->last = sequence->top = replay ? 0 : sequence->next_last;
    sequence->given_up = 0;
    sequence->next_heard = NULL;
    sequence->changing = sequence->suspected = sequence->unverified = false;
    *ret = (struct ps_news){.kind = PS_NEWS_STREAM, .first = sequence->last + 1};
    raise_top(sequence, sequence->next_top);
    if (heard)
        insert(sequence, heard->seq, heard);
    repair_if_missing(sequence);
}

void ps_sequence_next(struct ps_sequence *sequence, struct ps_news *ret_news)
{
    if (sequence->note_count > 0) {
        *ret_news = sequence->notes[0];
        sequence->note_count--;
        memmove(sequence->notes, sequence->notes + 1,
                sequence->note_count * sizeof *sequence->notes);
    } else if (slot_of(sequence, sequence->last + 1)->present) {
        take_outcome(sequence, ret_news);
    } else if (sequence->last < sequence->given_up) {
        take_loss(sequence, ret_news);
    } else if (sequence->changing) {
        change_stream(sequence, ret_news);
    } else {
        *ret_news = (struct ps_news){.kind = PS_NEWS_NONE};
    }
}

const char *ps_sequence_stream(const struct ps_sequence *sequence)
{
    return sequence->stream;
}

uint64_t ps_sequence_last(const struct ps_sequence *sequence)
{
    return sequence->last;
}
