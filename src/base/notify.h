/* The service manager is told how we are: the protocol of sd_notify(3), in a datagram to the socket
 * that NOTIFY_SOCKET names (a path, or with '@' in front an abstract name).
 *
 * The order of a life: READY, any number of (RELOADING, READY), STOPPING; STATUS and WATCHDOG at
 * any time in between. Nothing is kept here between two calls, any thread may call. Without a
 * NOTIFY_SOCKET, thus outside of systemd, nothing happens.
 *
 * All functions return true where there is no service manager or it was told, false where it could
 * not be told (errno says why); a service goes on in either case.
 */
#ifndef PS_BASE_NOTIFY_H
#define PS_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Sends lines of VARIABLE=value as they are. What follows knows the variables. */
bool ps_notify(const char *message);

/* The service does its work; start, or reload, is over. */
bool ps_notify_ready(void);

/* The configuration is being read anew; ready() must follow, also where the new one is refused. */
bool ps_notify_reloading(void);

/* The service ends, and takes so many seconds at most from now on: the manager kills it not before
 * (TimeoutStopSec= of the unit counts if it is longer). Say it again to get more. */
bool ps_notify_stopping(unsigned seconds);

/* One line for `systemctl status`. A line break in it becomes a blank, the rest of a text longer
 * than 1 KiB is left out. */
__attribute__((format(printf, 1, 2))) bool ps_notify_status(const char *format, ...);

/* Work goes on. To be said at least twice in ps_notify_watchdog_usec(), by what proves it. */
bool ps_notify_watchdog(void);

/* After so many microseconds without ps_notify_watchdog() the manager restarts the service; 0 where
 * it does not watch this process (WATCHDOG_USEC, WATCHDOG_PID). */
uint64_t ps_notify_watchdog_usec(void);

#endif
