#include "publish/particle_sender.h"

/* True if the rate allows another message; counts it. */
static bool spend(struct ps_particle_sender *sender, int64_t now_ns, size_t size)
{
    const double seconds = (double)(now_ns - sender->at_ns) * 1e-9;
    const double left = sender->spent - seconds * PS_MAX_PARTICLE_RATE;
    sender->spent = left > 0 ? left : 0;
    sender->at_ns = now_ns;
    if (sender->spent + (double)size > PS_PARTICLE_BURST)
        return false;
    sender->spent += (double)size;
    return true;
}

bool ps_particles_send(struct ps_particle_sender *sender, struct ps_outlet *outlet, void *socket,
                       int64_t now_ns, const struct ps_preview_facts *facts,
                       struct ps_particle_set *set)
{
    struct ps_frames frames = {0};
    struct ps_error error;
    const size_t size = ps_particle_set_bytes(set);
    if (!spend(sender, now_ns, size) || ps_message_particles(facts, set, &frames, &error) != 0) {
        ps_outlet_release(outlet, size);
        ps_particle_set_done(set);
        return false;
    }
    void *halves = set->halves;
    set->halves = NULL;
    ps_particle_set_done(set);
    return ps_outlet_send(outlet, socket, &frames, halves, size);
}
