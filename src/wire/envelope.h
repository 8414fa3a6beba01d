/* Frames and header of a message from the network, for message_read.h and the subscriber. */
#ifndef PS_WIRE_ENVELOPE_H
#define PS_WIRE_ENVELOPE_H

#include "wire/fields.h"
#include "wire/message.h"

#include <stdint.h>

enum { PS_MAX_HEADER = 1 << 20 }; /* bytes; a usual header has about 1,500 */

enum ps_message_type {
    PS_MESSAGE_PICKS,
    PS_MESSAGE_STATUS,
    PS_MESSAGE_END,   /* of a replay */
    PS_MESSAGE_ERROR, /* a request was refused */
    PS_MESSAGE_RELAY, /* a relay answers, not one of its services */
    PS_MESSAGE_OTHER, /* type of a later version: ignored */
};

/* The part of a message that is needed to order it. */
struct ps_envelope {
    enum ps_message_type type;
    char stream[PS_STREAM_TEXT]; /* "" if the message has none (end, error) */
    uint64_t seq;                /* picks: of this outcome, from 1; status, end: the last seq */
    char reason[256];            /* error */
};

/* Reads the envelope of a message. A single frame is a header without a topic, as in answers of the
 * replay socket; a leading empty frame (the delimiter of a REQ socket) is skipped. PS_E_INPUT: not
 * a message of this schema; PS_E_NOMEM. */
int ps_envelope_read(const struct ps_frames *frames, struct ps_envelope *ret_envelope,
                     struct ps_error *error);

/* The frames of a message by their role. */
struct ps_layout {
    const struct ps_frame *topic; /* NULL: none */
    const struct ps_frame *header;
    const struct ps_frame *arrays;
    size_t array_count;
};

/* Assigns the frames to their roles and parses the header into a new reference. PS_E_INPUT: there
 * is no header or it is not a JSON object; PS_E_NOMEM. */
int ps_header_open(const struct ps_frames *frames, struct ps_layout *ret_layout,
                   json_t **ret_header, struct ps_error *error);

/* Reads the envelope from the header; failures go to the reader. */
void ps_envelope_fill(const struct ps_layout *layout, const struct ps_reader *root,
                      struct ps_envelope *ret_envelope);

#endif
