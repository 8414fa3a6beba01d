/* sd_notify(3): reports the service's state to the service manager, in datagrams to the socket in
 * NOTIFY_SOCKET (a path, or an abstract name after '@').
 *
 * The order: READY, any number of (RELOADING, READY), STOPPING; STATUS and WATCHDOG at any time in
 * between. Stateless and thread-safe. Without NOTIFY_SOCKET, outside of systemd, the functions do
 * nothing.
 *
 * All functions return true if the message was sent or there is no service manager, false with
 * errno if it could not be sent; a service continues in either case.
 */
#ifndef PS_BASE_NOTIFY_H
#define PS_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Sends lines of VARIABLE=value as they are; the functions below format the known variables. */
bool ps_notify(const char *message);

/* The start, or a reload, is complete. */
bool ps_notify_ready(void);

/* A reload of the configuration begins; ps_notify_ready() must follow, even if it is refused. */
bool ps_notify_reloading(void);

/* The service stops within `seconds` from now: the manager does not kill it earlier (or within
 * TimeoutStopSec= of the unit, if that is longer). Call it again to extend the time. */
bool ps_notify_stopping(unsigned seconds);

/* Sets the line in `systemctl status`. Line breaks become blanks; text beyond 1 KiB is cut. */
__attribute__((format(printf, 1, 2))) bool ps_notify_status(const char *format, ...);

/* Keep-alive of the watchdog. Call it at least twice in ps_notify_watchdog_usec(), from the code
 * whose progress it proves. */
bool ps_notify_watchdog(void);

/* The microseconds without ps_notify_watchdog() after which the manager restarts the service; 0 if
 * the watchdog is off for this process (WATCHDOG_USEC, WATCHDOG_PID). */
uint64_t ps_notify_watchdog_usec(void);

#endif
