/* Messages as they are published (schema pickstream/1, pickstream-messages(7)).
 *
 * Frame 1 is the topic, frame 2 the JSON header; the others are the arrays that header.arrays
 * describes. The same input gives the same bytes.
 */
#ifndef PS_WIRE_MESSAGE_H
#define PS_WIRE_MESSAGE_H

#include "wire/header.h"

#include <jansson.h>
#include <stdint.h>

enum {
    PS_MAX_FRAMES = 4,
    PS_STREAM_TEXT = 36 + 1, /* bytes of a stream's UUID, with its NUL */
};

struct ps_frame {
    void *data;
    size_t size; /* bytes */
};

struct ps_frames {
    size_t count;
    struct ps_frame frame[PS_MAX_FRAMES]; /* owned */
};

void ps_frames_done(struct ps_frames *frames);

/* Makes the `picks` message of an outcome, whatever its status. PS_E_NOMEM. */
int ps_message_picks(const struct ps_outcome_facts *facts, struct ps_frames *ret_frames,
                     struct ps_error *error);

/* Makes a message without arrays ("status"); takes the reference to `header`. */
int ps_message_header(const char *topic, json_t *header, struct ps_frames *ret_frames,
                      struct ps_error *error);

/* "2026-05-01T12:34:56.123456Z" */
enum { PS_TIME_TEXT = 32 };
const char *ps_time_text(int64_t wall_ns, char ret_text[PS_TIME_TEXT]);

#endif
