/* Files that are there completely or not at all.
 *
 * Other programs test an output file for existence only, so it must never be seen half written: it
 * is written under a temporary name in its own directory (".pickstream-...tmp", which no glob for
 * micrographs or picks matches), brought to the disk, and renamed over the name it is to have.
 * After a power cut there is the old file or the new one. A symbolic link of that name is replaced,
 * not followed. Permissions are those of any new file (0666 less the umask).
 */
#ifndef PS_BASE_ATOMIC_FILE_H
#define PS_BASE_ATOMIC_FILE_H

#include "pickstream.h"

#include <stdio.h>

/* Writes the content. It need not look after each write: errors of the stream are found later. For
 * its own failures it returns what ps_fail() does. */
typedef int ps_file_writer(FILE *stream, const void *context, struct ps_error *error);

/* Writes a file through `writer`, making the directories above it as needed. On failure what had
 * that name before is still there, nothing else is left, and the message begins with the path.
 * PS_E_SYSTEM, or the writer's own code. */
int ps_file_write_atomically(const char *path, ps_file_writer *writer, const void *context,
                             struct ps_error *error);

#endif
