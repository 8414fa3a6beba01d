/* The file DIRECTORY/lock, locked while a service uses the state directory: one service at a time.
 *
 * An open-file-description lock (fcntl, F_OFD_SETLK). Like flock() it ends with the process, even
 * if that is killed. Unlike flock() it can be queried without taking it, so a `status` cannot
 * prevent a service from starting. The file contains the process number of the holder. It is not
 * removed, because two processes could then hold locks on two files of the same name.
 */
#ifndef PS_JOURNAL_LOCK_H
#define PS_JOURNAL_LOCK_H

#include "pickstream.h"

/* Takes the lock and writes the process number. `*ret_fd` holds it until ps_lock_release().
 * PS_E_SYSTEM: no such directory, not writable, or another process holds it (the message has its
 * number). */
int ps_lock_take(const char *directory, int *ret_fd, struct ps_error *error);

/* Releases the lock; ignores -1. */
void ps_lock_release(int fd);

/* The number of the process that holds the lock; 0: none, or no such directory; -1: one that has
 * not written its number yet. */
int ps_lock_holder(const char *directory);

/* If the file of the lock `*fd` is no longer in the directory, makes and locks it again: otherwise
 * another process could. PS_E_SYSTEM: it could not be locked; `*fd` is unchanged. */
int ps_lock_keep(const char *directory, int *fd, struct ps_error *error);

#endif
