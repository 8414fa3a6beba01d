/* The micrograph's file, looked at again by a worker: is it still the one that was found? */
#ifndef PS_SERVICE_SOURCE_FILE_H
#define PS_SERVICE_SOURCE_FILE_H

#include "watch/job.h"

/* True if the file has the identity of the job. Fills `ret_identity` if the file exists; otherwise
 * `*ret_errno` is not 0. */
bool ps_source_unchanged(const struct ps_job *job, struct ps_identity *ret_identity,
                         int *ret_errno);

/* True if the file system of a file that cannot be found or read is still mounted: the nearest
 * existing directory above the file, up to the watched one, is on the file's device. If it is not
 * mounted, its micrographs must not get an outcome: they can be picked when it is back (P47). */
bool ps_source_is_mounted(const struct ps_job *job);

/* True if a file that could not be found was deleted. */
bool ps_source_vanished(const struct ps_job *job);

#endif
