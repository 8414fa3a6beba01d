/* The stream socket of systemd-journald, which reads the standard error of services. */
#ifndef PS_BASE_JOURNALD_H
#define PS_BASE_JOURNALD_H

#define PS_JOURNALD_SOCKET "/run/systemd/journal/stdout"

/* Opens another stream to journald, as systemd does for a service (lines begin with "<6>"), after
 * the one that the process got was closed: a restart of journald can lose it. Returns a descriptor,
 * or -1 with errno. */
int ps_journald_open(const char *socket_path);

#endif
