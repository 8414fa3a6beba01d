/* The `particles` message: the boxes of an outcome. */
#ifndef PS_WIRE_PARTICLES_MESSAGE_H
#define PS_WIRE_PARTICLES_MESSAGE_H

#include "particles/set.h"
#include "wire/preview_message.h"

/* Makes the `particles` message (pickstream-messages(7)) without the boxes. PS_E_NOMEM. */
int ps_message_particles(const struct ps_preview_facts *facts, const struct ps_particle_set *set,
                         struct ps_frames *ret_frames, struct ps_error *error);

#endif
