/* Frames and header of a message from the network: what its readers share (message_read.h). */
#ifndef PS_WIRE_ENVELOPE_H
#define PS_WIRE_ENVELOPE_H

#include "wire/fields.h"
#include "wire/message.h"

#include <stdint.h>

enum { PS_MAX_HEADER = 1 << 20 }; /* bytes; a real one has about 1,500 */

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

/* Which frame is what. */
struct ps_layout {
    const struct ps_frame *topic; /* NULL: a header alone */
    const struct ps_frame *header;
    const struct ps_frame *arrays;
    size_t array_count;
};

/* Tells the frames apart and parses the header, whose reference is the caller's; NULL with
 * PS_E_INPUT in `error` where there is none, or it is no JSON object. */
json_t *ps_header_open(const struct ps_frames *frames, struct ps_layout *ret_layout,
                       struct ps_error *error);

/* Reads the envelope through a reader of the header, which tells of failures. */
void ps_envelope_fill(const struct ps_layout *layout, const struct ps_reader *root,
                      struct ps_envelope *ret_envelope);

#endif
