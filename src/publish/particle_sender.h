/* Publishes particles, within a limit of bytes a second (PS_MAX_PARTICLE_RATE), beside that of
 * memory (outlet.h). A message that would exceed one of them is dropped for all subscribers;
 * particles are not in the journal, so it is not sent again. */
#ifndef PS_PUBLISH_PARTICLE_SENDER_H
#define PS_PUBLISH_PARTICLE_SENDER_H

#include "publish/outlet.h"
#include "wire/particles_message.h"

#include <stdint.h>

enum {
    PS_MAX_PARTICLE_RATE = 32 << 20, /* bytes a second, on average over PS_PARTICLE_BURST bytes */
    PS_PARTICLE_BURST = 128 << 20,
};

/* Initialise to zeros. */
struct ps_particle_sender {
    double spent;  /* bytes that the time since has not allowed yet */
    int64_t at_ns; /* monotonic: the time of `spent` */
};

/* Sends the particles of an outcome, whose bytes are reserved in the outlet, on the publishing
 * socket without waiting; empties `set`. False: it was dropped. */
bool ps_particles_send(struct ps_particle_sender *sender, struct ps_outlet *outlet, void *socket,
                       int64_t now_ns, const struct ps_preview_facts *facts,
                       struct ps_particle_set *set);

#endif
