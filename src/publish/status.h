/* The header of the `status` message, and the answer to `hello`. */
#ifndef PS_PUBLISH_STATUS_H
#define PS_PUBLISH_STATUS_H

#include "config/config.h"
#include "journal/journal.h"
#include "publish/gate.h"
#include "watch/watcher.h"

#include <jansson.h>

/* Everything is borrowed except `metrics`, whose reference the header takes. */
struct ps_status_facts {
    const char *stream;  /* UUID of the journal */
    const char *session; /* publish.session */
    int64_t time_ns;     /* since 1970 */
    uint64_t last_seq;
    double uptime_seconds;
    bool stopping;
    const struct ps_journal_totals *totals; /* NULL: the journal cannot be read */
    json_t *metrics;                        /* ps_metrics_json() */
    const char *journal_failure;            /* NULL: the journal can be written */
    int64_t last_error_ns;                  /* 0: none */
    const char *last_error;
    const char *publish_endpoint; /* as bound, without wildcards */
    const char *replay_endpoint;
};

/* The header of a status message. A new reference; NULL without memory. */
json_t *ps_status_header(const struct ps_status_facts *facts);

/* The micrographs that wait. */
struct ps_status_queue_facts {
    size_t waiting;
    size_t in_flight;
    size_t capacity;
    uint64_t overflowed;
    size_t suspects;
    size_t postponed;
    const char *postponed_reason; /* "": none waits */
};

/* The object "queue" of a status message. A new reference; NULL without memory. */
json_t *ps_status_queue(const struct ps_status_queue_facts *facts);

/* The object "connections" of a status message: one object for each socket. A new reference; NULL
 * without memory. */
json_t *ps_status_connections(const struct ps_gate_status *items, size_t count);

/* The list "watch" of a status message. A new reference; NULL without memory. */
json_t *ps_status_watch(const struct ps_root_status *items, size_t count);

/* The answer to a `hello` request: the stream and the configuration; `parameters` as of
 * ps_config_parameters(). A new reference; NULL without memory. */
json_t *ps_status_hello(const struct ps_status_facts *facts, const struct ps_config *config,
                        const char *parameters);

/* Every key of the configuration except the paths of CURVE keys and notify.command: {"input":
 * {"recursive": "yes",
 * ...}, ...}, values as ps_config_get() has them. A new reference; NULL without memory. */
json_t *ps_status_configuration(const struct ps_config *config);

#endif
