/* File descriptors: how many the process can have, and who may use how many of them, so that
 * connections leave enough for the work. */
#ifndef PS_BASE_DESCRIPTORS_H
#define PS_BASE_DESCRIPTORS_H

#include "pickstream.h"

#include <stddef.h>

/* Raises the limit of descriptors (RLIMIT_NOFILE) as far as this process may, up to 65,536. */
void ps_descriptors_raise(void);

/* Fails unless this number of descriptors, up to 64, can be had now: ZeroMQ ends the process if it
 * gets none. PS_E_SYSTEM. */
int ps_descriptors_check(size_t count, struct ps_error *error);

/* Descriptors for connections of a ZeroMQ socket: `eighths` of what is left of the limit beside the
 * files of the work and the live view; at least 1, at most 4,096. */
size_t ps_descriptors_for_socket(int eighths);

/* Descriptors for connections to the live view, at least 1, at most `max`. */
size_t ps_descriptors_for_http(size_t max);

#endif
