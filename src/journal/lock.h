/* One service a state directory: the file DIRECTORY/lock, locked while the service lives.
 *
 * An open-file-description lock (fcntl, F_OFD_SETLK): like flock() it ends with the process however
 * that dies, but unlike flock() one can ask for it without taking it, so that a `status` at the
 * wrong moment keeps no service from starting. The file holds the process number of the holder; it
 * is never removed, for then two processes could hold locks on two files of one name.
 */
#ifndef PS_JOURNAL_LOCK_H
#define PS_JOURNAL_LOCK_H

#include "pickstream.h"

/* Takes the lock and writes our process number. `*ret_fd` holds it until ps_lock_release().
 * PS_E_SYSTEM: no such directory, not writable, or another process has it (the message says
 * which). */
int ps_lock_take(const char *directory, int *ret_fd, struct ps_error *error);

/* Lets go of a lock; -1 is none. */
void ps_lock_release(int fd);

/* The process that holds the lock; 0 if none does (or there is no such directory); -1 if one does
 * that has not written its number yet. */
int ps_lock_holder(const char *directory);

#endif
