/* The publisher: the thread that owns the sockets and commits to the journal.
 *
 * Workers submit completions. The thread takes them, assigns seqs, makes the messages, commits them
 * together, and publishes them after that. While the journal cannot be written (disk full) it keeps
 * the completions, tries again every second and reports the failure; the bounded completion queue
 * fills up, workers wait, and nothing is recorded in part.
 *
 * Sockets: XPUB at publish.endpoint, topics "picks", "status", "preview" and "particles";
 * ROUTER at
 * publish.replay_endpoint and at ipc://STATE_DIRECTORY/control.sock (there also "status",
 * "retry" and "repick"). Beyond loopback and ipc both need CURVE with an allow-list of client keys
 * (ZAP), unless publish.insecure_bind is set. pickstream-messages(7) describes requests and
 * answers. A replay is sent in portions, and new outcomes are published between them, so a long
 * replay delays nothing.
 */
#ifndef PS_PUBLISH_PUBLISHER_H
#define PS_PUBLISH_PUBLISHER_H

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "journal/journal.h"
#include "publish/completion.h"

#include <jansson.h>

struct ps_publisher;

struct ps_publisher_hooks {
    /* An outcome is committed and published: the callee owns the job again. Also called for a job
     * without an outcome if the publisher stops while the journal cannot be written, or if the
     * journal refuses the outcome (which is logged). */
    void (*finished)(void *context, struct ps_job *job);
    /* An outcome is committed and published with this seq; called before finished(). */
    void (*published)(void *context, const struct ps_job *job, uint64_t seq);
    /* Adds the keys of the service to a status header: "watch", "queue", "devices", "rates". False:
     * no memory. */
    bool (*status)(void *context, json_t *header);
    /* Micrographs are to be picked again: queue those without an outcome. */
    void (*reopened)(void *context);
    void *context;
};

/* Binds the sockets and starts the thread. PS_E_CONFIG: an endpoint that needs CURVE to be bound,
 * or unreadable or malformed keys; PS_E_SYSTEM: an endpoint cannot be bound. */
int ps_publisher_start(const struct ps_config *config, struct ps_journal *journal,
                       struct ps_log *log, struct ps_metrics *metrics,
                       const struct ps_publisher_hooks *hooks, struct ps_publisher **ret_publisher,
                       struct ps_error *error);

/* Moves a completion into the completion queue; waits while that is full. Drops its particles if
 * there are too many bytes of them. Any thread. */
void ps_publisher_submit(struct ps_publisher *publisher, struct ps_completion *completion);

/* Publishes the rest of the completion queue (unless the journal cannot be written), ends the
 * thread, and closes the sockets with a finite linger. No thread may submit any more. */
void ps_publisher_stop(struct ps_publisher *publisher);

/* The current status header. Any thread, until ps_publisher_stop(). A new reference; NULL without
 * memory. */
json_t *ps_publisher_status(struct ps_publisher *publisher);

/* Increases as long as the thread makes progress, for the watchdog. */
uint64_t ps_publisher_ticks(const struct ps_publisher *publisher);

#endif
