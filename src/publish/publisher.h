/* The publisher: the one thread that owns the sockets and commits to the journal.
 *
 * Workers submit outcomes; the thread takes what is waiting, gives each the next seq, makes the
 * message, commits them together, and only then publishes. While the journal cannot be written
 * (disk full) it keeps the outcomes, tries again every second and says so; the bounded queue of
 * outcomes fills, workers wait, and nothing is half recorded.
 *
 * Sockets: XPUB at publish.endpoint, topics "picks", "status" and "preview"; ROUTER at
 * publish.replay_endpoint and at ipc://STATE_DIRECTORY/control.sock (there also "status" and
 * "retry"). Beyond loopback and ipc both need CURVE with an allow-list of client keys (ZAP), unless
 * publish.insecure_bind. pickstream-messages(7) has the requests and their answers. A replay is
 * sent in portions between which new outcomes are published, so that a long one delays nobody.
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
    /* An outcome is committed and published: the job is the callee's again. Without an outcome, to
     * be picked again some time, it comes back when the publisher stops with a journal that cannot
     * be written, or when the journal refuses the outcome (which is logged). */
    void (*finished)(void *context, struct ps_job *job);
    /* An outcome is committed and published under this seq; comes before finished(). */
    void (*published)(void *context, const struct ps_job *job, uint64_t seq);
    /* Adds to a status header what only the service knows: "watch", "queue", "devices", "rates". */
    void (*status)(void *context, json_t *header);
    /* Micrographs were marked for retry: the watcher should look for them. */
    void (*retried)(void *context, size_t count);
    void *context;
};

/* Binds the sockets and starts the thread. PS_E_CONFIG: an endpoint that may not be bound without
 * CURVE, unreadable or malformed keys; PS_E_SYSTEM: cannot be bound. */
int ps_publisher_start(const struct ps_config *config, struct ps_journal *journal,
                       struct ps_log *log, struct ps_metrics *metrics,
                       const struct ps_publisher_hooks *hooks, struct ps_publisher **ret_publisher,
                       struct ps_error *error);

/* Hands over an outcome, whose contents then belong to the publisher; waits while its queue is
 * full. Any thread. */
void ps_publisher_submit(struct ps_publisher *publisher, struct ps_submission *outcome);

/* Publishes what is waiting (giving up on a journal that cannot be written), ends the thread,
 * closes the sockets with a finite linger. No thread may submit any more. */
void ps_publisher_stop(struct ps_publisher *publisher);

/* The header of a status message as of now. Any thread, until ps_publisher_stop(). A new reference;
 * NULL without memory. */
json_t *ps_publisher_status(struct ps_publisher *publisher);

/* Grows while the thread lives and is not stuck: for the watchdog. */
uint64_t ps_publisher_ticks(const struct ps_publisher *publisher);

#endif
