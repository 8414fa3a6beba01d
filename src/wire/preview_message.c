#include "wire/preview_message.h"

int ps_message_preview(const struct ps_preview_facts *facts, const struct ps_preview *preview,
                       struct ps_frames *ret_frames, struct ps_error *error)
{
    struct ps_json_names names = ps_json_names(facts->path, facts->name);
    json_t *header = json_pack(
        "{s:s, s:s, s:o, s:I, s:o, s:{s:o, s:o, s:o*, s:i, s:[i, i]}, s:{s:i, s:[i, i]}, "
        "s:[{s:s, s:s, s:[I], s:s}]}",
        "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TOPIC_PREVIEW, "stream",
        ps_json_text(facts->stream), "seq", (json_int_t)facts->seq, "session",
        ps_json_text(facts->session), "micrograph", "path", names.path, "name", names.name,
        "encoding", names.encoding, "revision", facts->revision, "shape", facts->height,
        facts->width, "image", "bin", preview->bin, "shape", preview->height, preview->width,
        "arrays", "name", PS_WIRE_ARRAY_PREVIEW, "dtype", PS_WIRE_DTYPE_BYTES, "shape",
        (json_int_t)preview->size, "media_type", "image/png");
    return ps_message_header(PS_WIRE_TOPIC_PREVIEW, header, ret_frames, error);
}
