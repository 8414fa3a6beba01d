/* The micrograph's file, looked at again by a worker: is it still the one that was found? */
#ifndef PS_SERVICE_SOURCE_FILE_H
#define PS_SERVICE_SOURCE_FILE_H

#include "image/micrograph.h"
#include "watch/job.h"

/* Gives the job the present identity of its file. An errno, or 0. */
int ps_source_identify(struct ps_job *job);

/* ps_micrograph_read(), and sets the checksum of the job. Reads again if only the inode changed
 * meanwhile, so that the checksum is that of what was read. */
int ps_source_read(struct ps_job *job, const struct ps_read_options *options,
                   struct ps_micrograph **ret_micrograph, struct ps_error *error);

/* True if the file is there, but changed since ps_source_identify(). A change of the inode alone is
 * entered in the job. */
bool ps_source_changed(struct ps_job *job);

/* True if the file system of a file that cannot be found or read is still mounted: the nearest
 * existing directory above the file, up to the watched one, is on the file's device. If it is not
 * mounted, its micrographs must not get an outcome: they can be picked when it is back (P47). */
bool ps_source_is_mounted(const struct ps_job *job);

/* True if a file that could not be found was deleted. */
bool ps_source_vanished(const struct ps_job *job);

#endif
