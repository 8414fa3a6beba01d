/* The service owns every part and starts and stops them.
 *
 *     watcher -> [job queue] -> worker pool -> [completion queue] -> publisher (journal, sockets)
 *
 * Stop: the watcher ends; the job queue is closed (waiting files stay on the disk, and the journal
 * has them as seen); workers finish their current micrographs within drain_seconds; the publisher
 * commits and publishes what they submitted; then everything is freed.
 */
#ifndef PS_SERVICE_SERVICE_H
#define PS_SERVICE_SERVICE_H

#include "base/log.h"
#include "config/config.h"

enum ps_service_end {
    PS_SERVICE_NOT_STARTED,
    PS_SERVICE_STOPPED, /* SIGTERM or SIGINT */
    PS_SERVICE_RELOAD,  /* SIGHUP, and the new configuration is valid */
};

/* Blocks the signals that the service handles, in this thread and in all that it starts later: call
 * it before any thread is started. Returns a signalfd, or -1. */
int ps_service_signals(void);

/* Runs until a signal or a device failure; `*ret_end` is always set. `reload` is called on SIGHUP
 * and returns true if there is a valid new configuration. PS_E_CONFIG, PS_E_SYSTEM, PS_E_DEVICE,
 * PS_E_NOMEM: could not start, or the device failed; micrographs in flight are picked by the next
 * run. */
int ps_service_run(const struct ps_config *config, struct ps_log *log, int signal_fd,
                   bool (*reload)(void *context), void *context, enum ps_service_end *ret_end,
                   struct ps_error *error);

#endif
