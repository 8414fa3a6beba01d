#include "publish/pictures.h"

#include "base/clock.h"
#include "publish/preview_sender.h"

void ps_pictures_admit(struct ps_pictures *pictures, struct ps_metrics *metrics,
                       struct ps_completion *completion)
{
    struct ps_particle_set *set = &completion->particles;
    if (set->count == 0 || ps_outlet_reserve(&pictures->outlet, ps_particle_set_bytes(set)))
        return;
    ps_particle_set_done(set);
    ps_metrics_add(metrics, PS_COUNTER_PARTICLES_DROPPED, 1);
}

void ps_pictures_publish(struct ps_pictures *pictures,
                         const struct ps_completion_dependencies *dependencies, void *socket,
                         struct ps_completion *completion)
{
    struct ps_preview_facts facts;
    if (!ps_completion_picture(dependencies, completion, &facts))
        return;
    if (completion->preview.png &&
        !ps_preview_send(&pictures->outlet, socket, &facts, &completion->preview))
        ps_metrics_add(dependencies->metrics, PS_COUNTER_PREVIEWS_DROPPED, 1);
    if (completion->particles.count > 0 &&
        !ps_particles_send(&pictures->particles, &pictures->outlet, socket, ps_clock_mono_ns(),
                           &facts, &completion->particles))
        ps_metrics_add(dependencies->metrics, PS_COUNTER_PARTICLES_DROPPED, 1);
}

void ps_pictures_drop(struct ps_pictures *pictures, struct ps_completion *completions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ps_particle_set *set = &completions[i].particles;
        ps_outlet_release(&pictures->outlet, ps_particle_set_bytes(set));
        ps_particle_set_done(set);
    }
}
