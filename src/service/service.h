/* The service: owns every part, starts them in the order of the data and stops them in it too.
 *
 *     watcher -> [pending] -> crew of workers -> publisher (journal, sockets)
 *
 * Stop: the watcher ends; pending is closed (what waits stays on the disk, the journal knows it);
 * workers finish what they have in hand, for drain_seconds at most; the publisher commits and
 * publishes what they submitted; then everything is freed in the reverse order of its making.
 */
#ifndef PS_SERVICE_SERVICE_H
#define PS_SERVICE_SERVICE_H

#include "base/log.h"
#include "config/config.h"

enum ps_service_end {
    PS_SERVICE_NOT_STARTED,
    PS_SERVICE_STOPPED, /* SIGTERM or SIGINT */
    PS_SERVICE_RELOAD,  /* SIGHUP, and the configuration that it brought is good */
};

/* Blocks the signals that the service answers in this thread, and so in all that it starts; to be
 * called before any thread is. Returns a signalfd, or -1. */
int ps_service_signals(void);

/* Runs until a signal or a failure of the device ends it; `*ret_end` is set in any case. `reload`
 * is called on SIGHUP; returns whether there is a good new configuration. PS_E_CONFIG, PS_E_SYSTEM,
 * PS_E_DEVICE, PS_E_NOMEM: could not start, or the device failed; nothing that was in flight is
 * lost. */
int ps_service_run(const struct ps_config *config, struct ps_log *log, int signal_fd,
                   bool (*reload)(void *context), void *context, enum ps_service_end *ret_end,
                   struct ps_error *error);

#endif
