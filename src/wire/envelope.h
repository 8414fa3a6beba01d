/* Frames and header of a message from the network: what its readers share (message_read.h). */
#ifndef PS_WIRE_ENVELOPE_H
#define PS_WIRE_ENVELOPE_H

#include "pickstream_wire.h"
#include "wire/fields.h"
#include "wire/message_read.h"

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

/* Reads what a header says of a micrograph and its result; returns how many picks there must be.
 * Files of picks in JSON say the same. */
uint64_t ps_heard_fill(const struct ps_reader *root, struct ps_heard *heard);

/* Finds out from "columns" of an object where the values of a pick are in a row. False: not all are
 * there. */
bool ps_columns_find(const json_t *array, size_t ret_column[PS_WIRE_COLUMNS]);

#endif
