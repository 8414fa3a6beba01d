/* Tells a fault that can be the machine's from one of the micrograph. */
#ifndef PS_SERVICE_SHORTAGE_H
#define PS_SERVICE_SHORTAGE_H

#include "pickstream.h"

#include <stdbool.h>

/* True if a micrograph could not be read or picked (`status`, not 0) for want of memory or because
 * the system refused something: no descriptors, a disk or share that gives no answer. False if the
 * micrograph itself cannot be picked; also if this file alone must not be read: the watcher reports
 * it again when that has changed. */
bool ps_is_shortage(int status, const struct ps_error *error, const char *path);

/* True if descriptors are short: the few that writing a file takes cannot be had. */
bool ps_no_descriptors(void);

/* The same for the errno of a stat() of the file. */
bool ps_is_shortage_of_stat(int number);

#endif
