/* The `preview` message: the picture of a micrograph, for viewers. */
#ifndef PS_WIRE_PREVIEW_MESSAGE_H
#define PS_WIRE_PREVIEW_MESSAGE_H

#include "picture/preview.h"
#include "wire/message.h"

/* The content of a `preview` message beside the picture. Borrowed. */
struct ps_preview_facts {
    const char *stream;  /* UUID of the journal */
    const char *session; /* publish.session */
    uint64_t seq;        /* of the outcome */
    const char *path;
    const char *name;
    int revision;
    int width, height; /* of the micrograph, px */
};

/* The object "micrograph" of the messages that have these facts; NULL without memory. */
json_t *ps_preview_micrograph(const struct ps_preview_facts *facts);

/* Makes the `preview` message (pickstream-messages(7)) without the picture. PS_E_NOMEM. */
int ps_message_preview(const struct ps_preview_facts *facts, const struct ps_preview *preview,
                       struct ps_frames *ret_frames, struct ps_error *error);

#endif
