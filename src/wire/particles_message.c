#include "wire/particles_message.h"

int ps_message_particles(const struct ps_preview_facts *facts, const struct ps_particle_set *set,
                         struct ps_frames *ret_frames, struct ps_error *error)
{
    const struct ps_box_shape *shape = &set->shape;
    json_t *header = json_pack(
        "{s:s, s:s, s:o, s:I, s:o, s:o, s:{s:i, s:o, s:i, s:b}, "
        "s:[{s:s, s:s, s:[I, i, i]}]}",
        "schema", PS_WIRE_SCHEMA, "type", PS_WIRE_TOPIC_PARTICLES, "stream",
        ps_json_text(facts->stream), "seq", (json_int_t)facts->seq, "session",
        ps_json_text(facts->session), "micrograph", ps_preview_micrograph(facts), "box", "side",
        shape->side, "pixel_size",
        shape->pixel_size > 0 ? ps_json_number(shape->pixel_size) : json_null(), "radius",
        shape->radius, "inverted", (int)shape->invert, "arrays", "name", PS_WIRE_ARRAY_PARTICLES,
        "dtype", PS_WIRE_DTYPE_HALF, "shape", (json_int_t)set->count, shape->size, shape->size);
    return ps_message_header(PS_WIRE_TOPIC_PARTICLES, header, ret_frames, error);
}
