#include "wire/preview_message.h"

json_t *ps_preview_micrograph(const struct ps_preview_facts *facts)
{
    struct ps_json_names names = ps_json_names(facts->path, facts->name);
    return json_pack("{s:o, s:o, s:o*, s:i, s:[i, i]}", "path", names.path, "name", names.name,
                     "encoding", names.encoding, "revision", facts->revision, "shape",
                     facts->height, facts->width);
}

int ps_message_preview(const struct ps_preview_facts *facts, const struct ps_preview *preview,
                       struct ps_frames *ret_frames, struct ps_error *error)
{
    json_t *header =
        json_pack("{s:s, s:s, s:o, s:I, s:o, s:o, s:{s:i, s:[i, i]}, "
                  "s:[{s:s, s:s, s:[I], s:s}]}",
                  "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TOPIC_PREVIEW, "stream",
                  ps_json_text(facts->stream), "seq", (json_int_t)facts->seq, "session",
                  ps_json_text(facts->session), "micrograph", ps_preview_micrograph(facts), "image",
                  "bin", preview->bin, "shape", preview->height, preview->width, "arrays", "name",
                  PS_WIRE_ARRAY_PREVIEW, "dtype", PS_WIRE_DTYPE_BYTES, "shape",
                  (json_int_t)preview->size, "media_type", "image/png");
    return ps_message_header(PS_WIRE_TOPIC_PREVIEW, header, ret_frames, error);
}
