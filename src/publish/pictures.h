/* Preview and particles of completions: published after their outcome, within limits. */
#ifndef PS_PUBLISH_PICTURES_H
#define PS_PUBLISH_PICTURES_H

#include "publish/completion.h"
#include "publish/outlet.h"
#include "publish/particle_sender.h"

/* Initialise to zeros; must live until the socket's context is terminated. */
struct ps_pictures {
    struct ps_outlet outlet;
    struct ps_particle_sender particles;
};

/* Reserves memory for the particles of a completion, or drops and counts them. Any thread. */
void ps_pictures_admit(struct ps_pictures *pictures, struct ps_metrics *metrics,
                       struct ps_completion *completion);

/* Publishes preview and particles of a committed completion. What is dropped is counted. */
void ps_pictures_publish(struct ps_pictures *pictures,
                         const struct ps_completion_dependencies *dependencies, void *socket,
                         struct ps_completion *completion);

/* Frees admitted particles that are not to be published. */
void ps_pictures_drop(struct ps_pictures *pictures, struct ps_completion *completions,
                      size_t count);

#endif
