/* Writes files atomically.
 *
 * Other programs test an output file for existence only, so it must never be visible half written.
 * The file is written under a temporary name in the same directory (temporary.h:
 * ".pickstream-...tmp", which no glob for micrographs or picks matches), synced, and renamed to its
 * final name. After a power cut either the old file or the new one exists. A symbolic link of that
 * name is replaced, not followed. The mode is 0666 less the umask. The first write in a directory
 * removes the temporary files that killed processes have left there.
 */
#ifndef PS_BASE_ATOMIC_FILE_H
#define PS_BASE_ATOMIC_FILE_H

#include "pickstream.h"

#include <stdio.h>

/* Writes the content. Write errors of the stream are checked afterwards; for any other failure the
 * writer returns an error code. */
typedef int ps_file_writer(FILE *stream, const void *context, struct ps_error *error);

/* Writes a file with `writer`, and creates missing parent directories. After a failure the previous
 * file is unchanged and no temporary file is left; the message begins with the path. PS_E_SYSTEM,
 * or the code of the writer. */
int ps_file_write_atomically(const char *path, ps_file_writer *writer, const void *context,
                             struct ps_error *error);

/* Makes a directory and its missing parents, if it does not exist. PS_E_SYSTEM. */
int ps_directory_make(const char *path, struct ps_error *error);

#endif
