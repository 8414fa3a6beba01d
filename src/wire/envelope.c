#include "wire/envelope.h"

#include "base/error.h"
#include "pickstream_wire.h"
#include "wire/json.h"

#include <string.h>

static bool find_layout(const struct ps_frames *frames, struct ps_layout *ret_layout)
{
    size_t first = frames->count > 1 && frames->frame[0].size == 0 ? 1 : 0;
    size_t count = frames->count - first;
    const struct ps_frame *frame = frames->frame + first;
    if (count == 0)
        return false;
    *ret_layout = (struct ps_layout){.header = frame};
    if (count > 1)
        *ret_layout = (struct ps_layout){frame, frame + 1, frame + 2, count - 2};
    return true;
}

static bool frame_is(const struct ps_frame *frame, const char *text)
{
    return frame->size == strlen(text) && memcmp(frame->data, text, frame->size) == 0;
}

int ps_header_open(const struct ps_frames *frames, struct ps_layout *ret_layout,
                   json_t **ret_header, struct ps_error *error)
{
    struct ps_layout layout;
    if (!find_layout(frames, &layout))
        return ps_fail(error, PS_E_INPUT, "an empty message");
    const struct ps_frame *header = layout.header;
    if (header->size == 0 || header->size > PS_MAX_HEADER)
        return ps_fail(error, PS_E_INPUT, "a header of %zu bytes", header->size);
    PS_TRY(ps_json_parse(header->data, header->size, "the header is not a JSON object", ret_header,
                         error));
    *ret_layout = layout;
    return 0;
}

/* Reads a UUID as text; "" if the message has none. */
static void read_stream(const struct ps_reader *root, bool required, char ret[PS_STREAM_TEXT])
{
    *ret = '\0';
    if (!required && !ps_reader_value(root, "stream"))
        return;
    const char *text = json_string_value(ps_reader_value(root, "stream"));
    if (text && strlen(text) == PS_STREAM_TEXT - 1 &&
        strspn(text, "0123456789abcdefABCDEF-") == PS_STREAM_TEXT - 1)
        memcpy(ret, text, PS_STREAM_TEXT);
    else
        ps_reader_wrong(root, "stream", "a UUID");
}

static enum ps_message_type find_type(const struct ps_reader *root)
{
    static const struct {
        const char *name;
        enum ps_message_type type;
    } types[] = {{PS_WIRE_TOPIC_PICKS, PS_MESSAGE_PICKS},
                 {PS_WIRE_TOPIC_STATUS, PS_MESSAGE_STATUS},
                 {PS_WIRE_TYPE_END, PS_MESSAGE_END},
                 {PS_WIRE_TYPE_ERROR, PS_MESSAGE_ERROR},
                 {PS_WIRE_TYPE_RELAY, PS_MESSAGE_RELAY}};
    const char *name = json_string_value(ps_reader_value(root, "type"));
    if (!name)
        ps_reader_wrong(root, "type", "a text");
    for (size_t i = 0; name && i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i].name, name) == 0)
            return types[i].type;
    }
    return PS_MESSAGE_OTHER;
}

void ps_envelope_fill(const struct ps_layout *layout, const struct ps_reader *root,
                      struct ps_envelope *ret_envelope)
{
    *ret_envelope = (struct ps_envelope){.type = find_type(root)};
    bool outcome = ret_envelope->type == PS_MESSAGE_PICKS,
         status = ret_envelope->type == PS_MESSAGE_STATUS;
    if (ret_envelope->type == PS_MESSAGE_OTHER || ret_envelope->type == PS_MESSAGE_RELAY)
        return;
    /* Topic and type must be equal: subscribers can rely on either. */
    if (layout->topic && (outcome || status) &&
        !frame_is(layout->topic, outcome ? PS_WIRE_TOPIC_PICKS : PS_WIRE_TOPIC_STATUS))
        ps_reader_wrong(root, "type", "that of the topic");
    const char *schema = json_string_value(ps_reader_value(root, "schema"));
    if ((outcome || schema) && (!schema || strcmp(schema, PS_WIRE_SCHEMA) != 0))
        ps_reader_wrong(root, "schema", PS_WIRE_SCHEMA);
    read_stream(root, outcome || status, ret_envelope->stream);
    if (ret_envelope->type == PS_MESSAGE_ERROR)
        ps_reader_text(root, "reason", ret_envelope->reason, sizeof ret_envelope->reason);
    else if (outcome)
        ret_envelope->seq = (uint64_t)ps_reader_integer(root, "seq", 1, INT64_MAX);
    else
        ret_envelope->seq = (uint64_t)ps_reader_integer(root, "last_seq", 0, INT64_MAX);
}

int ps_envelope_read(const struct ps_frames *frames, struct ps_envelope *ret_envelope,
                     struct ps_error *error)
{
    struct ps_layout layout;
    json_t *header;
    int status = ps_header_open(frames, &layout, &header, error);
    if (status)
        return status;
    struct ps_reader root = {header, "", &status, error};
    struct ps_envelope envelope;
    ps_envelope_fill(&layout, &root, &envelope);
    json_decref(header);
    if (status == 0)
        *ret_envelope = envelope;
    return status;
}
