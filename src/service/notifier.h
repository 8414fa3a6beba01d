/* Runs notify.command with what the people at a microscope want to be told (service/notices.h), as
 * JSON on its standard input: mail, chat and message queues are the site's.
 *
 * A thread of its own, because the program can hang. It runs one program at a time, for at most
 * notify.timeout_seconds, and for the same event once in notify.interval_seconds: what happens
 * meanwhile is one notice, with the number of events.
 */
#ifndef PS_SERVICE_NOTIFIER_H
#define PS_SERVICE_NOTIFIER_H

#include "base/log.h"
#include "config/config.h"

#include <jansson.h>

struct ps_notifier;

/* Borrowed; all of it outlives the notifier. */
struct ps_notifier_dependencies {
    const struct ps_config *config;
    struct ps_log *log;
    json_t *(*status)(void *context); /* the status of the service; a new reference, or NULL */
    void *context;
};

/* Starts the thread, or returns 0 and NULL if no command is set. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_notifier_start(const struct ps_notifier_dependencies *dependencies,
                      struct ps_notifier **ret_notifier, struct ps_error *error);

/* Ends the thread and frees it; accepts NULL. `device_failure`: why the service ends, if its device
 * failed; that is reported. A program that runs has a few seconds left. */
void ps_notifier_stop(struct ps_notifier *notifier, const char *device_failure);

#endif
