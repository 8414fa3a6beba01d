/* Messages as a subscriber gets them: bytes from the network, believed only after they were
 * checked.
 *
 * The reverse of message.h, for `pickstream listen`. Nothing here trusts a length, a type or a
 * number: a header is limited to PS_MAX_HEADER bytes, every key that is used is checked for its
 * type and range, and the array of picks must be exactly as long as its shape and as the header's
 * count say. Keys, arrays and message types that are not known are ignored, so that a later
 * pickstream can add some; what is known but wrong makes the message unreadable as a whole.
 *
 * Texts that are longer than their field are cut (at the end of a character); of the warnings the
 * first PS_MAX_WARNINGS are kept. A name must be one: see ps_name_is_safe().
 */
#ifndef PS_WIRE_MESSAGE_READ_H
#define PS_WIRE_MESSAGE_READ_H

#include "image/micrograph.h"
#include "pickstream.h"
#include "wire/message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PS_STREAM_TEXT = 37,     /* bytes that hold the UUID of a stream */
    PS_MAX_HEADER = 1 << 20, /* bytes; a real one has about 1,500 */
};

enum ps_message_type {
    PS_MESSAGE_PICKS,
    PS_MESSAGE_STATUS,
    PS_MESSAGE_END,   /* of a replay */
    PS_MESSAGE_ERROR, /* a request was refused */
    PS_MESSAGE_OTHER, /* of a later version: to be ignored */
};

/* What one must know of a message to keep order, whatever else is in it. */
struct ps_envelope {
    enum ps_message_type type;
    char stream[PS_STREAM_TEXT]; /* "" where the message says none (end, error) */
    uint64_t seq;                /* picks: of this outcome, from 1; status, end: the last seq */
    char reason[256];            /* error */
};

/* Reads the envelope of a message. A frame alone is a header without its topic, as the replay
 * socket answers; an empty frame before the others (a REQ socket's delimiter) is skipped.
 * PS_E_INPUT: not a message of this schema. */
int ps_envelope_read(const struct ps_frames *frames, struct ps_envelope *ret_envelope,
                     struct ps_error *error);

enum ps_heard_status { PS_HEARD_PICKED, PS_HEARD_REJECTED, PS_HEARD_FAILED };

/* An outcome that was heard: a `picks` message, read. */
struct ps_heard {
    char stream[PS_STREAM_TEXT];
    uint64_t seq;
    char *path;     /* of the micrograph on the service's machine */
    char *name;     /* the path below the watched directory */
    int revision;   /* 1, 2, ... */
    double latency; /* seconds from the close of the file to its publication; NAN: not said */
    enum ps_heard_status status;
    char reason[256];                /* rejected or failed: why */
    bool has_micrograph;             /* it could be read: the next two are known */
    struct ps_micrograph micrograph; /* without pixels */
    char pixel_size_source[32];      /* or "" */
    char profile[32];                /* or "" */
    double read_milliseconds;
    struct ps_result result; /* of a failed one: empty */
    size_t bytes;            /* of the message: about what this takes in memory */
};

/* Reads a `picks` message. PS_E_INPUT: what is wrong with it; PS_E_NOMEM. */
int ps_heard_read(const struct ps_frames *frames, struct ps_heard **ret_heard,
                  struct ps_error *error);
void ps_heard_free(struct ps_heard *heard);

/* "picked", "rejected", "failed" */
const char *ps_heard_status_name(enum ps_heard_status status);

/* Whether a name from the network leads to a place below the directory that it is put behind: it is
 * relative, not empty, and none of its parts is empty, "." or "..". */
bool ps_name_is_safe(const char *name);

#endif
