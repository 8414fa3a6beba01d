/* Tells whether a file of picks was made from a micrograph as it is now, for pick --resume.
 *
 * Size and time of modification of the micrograph are recorded in an extended attribute of the file
 * of picks (user.pickstream.micrograph): copies that keep attributes keep it, and no other file is
 * needed. Where the file system has no attributes, or another program wrote the file, it counts if
 * it is not older than the micrograph. The time of the last change of the micrograph's inode and a
 * checksum of its content are recorded too (user.pickstream.content): if the inode changed, the
 * content decides (watch/job.h).
 */
#ifndef PS_CLI_RESUME_H
#define PS_CLI_RESUME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* A micrograph on the disk. */
struct ps_resume_source {
    const char *path;
    struct stat state;
    int64_t checksum; /* of the content in that state; 0: unknown */
};

/* Sets the checksum of a source that was read, if its state is still the same. */
void ps_resume_read(struct ps_resume_source *source);

/* Records in the file at `output` that it was made from a micrograph with this state. */
void ps_resume_record(const char *output, const struct ps_resume_source *source);

/* True if the file at `output` exists and was made from the micrograph with this state. */
bool ps_resume_is_current(const char *output, const struct ps_resume_source *source);

#endif
