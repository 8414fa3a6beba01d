/* The record of names in a directory of files of picks (names.h describes the file).
 *
 * A record is read into memory, and what other processes have appended since is read at each use.
 * Locks are those of open file descriptions (F_OFD_SETLK): byte 0 of the file while it is read and
 * extended, byte START + 1 while the stem of the line at START is in use. File systems without
 * locks are used without.
 */
#ifndef PS_PICKS_NAMES_RECORD_H
#define PS_PICKS_NAMES_RECORD_H

#include "pickstream.h"

#include <stdbool.h>
#include <sys/types.h>

#define PS_NAMES_RECORD ".pickstream-names"

struct ps_named {
    char *stem;
    char *owner;     /* path of the micrograph */
    char *directory; /* of the record when it was written, a real path; or NULL */
    off_t start;     /* of the line */
};

struct ps_names_record {
    char *directory; /* with a '/' at its end */
    dev_t device;
    ino_t inode;
    off_t size; /* of what was read */
    void *stems;
};

/* Makes a record of nothing yet; `directory` ends in '/'. NULL without memory. */
struct ps_names_record *ps_names_record_new(const char *directory);
void ps_names_record_free(struct ps_names_record *record);

/* Opens the file, which is made if it does not exist, locks byte 0, and reads what is new.
 * PS_E_SYSTEM, PS_E_NOMEM. */
int ps_names_record_lock(struct ps_names_record *record, int *ret_fd, struct ps_error *error);

/* Reads what is new, without a lock; the file can be missing. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_names_record_read(struct ps_names_record *record, struct ps_error *error);

/* Finds a stem; NULL if it is not recorded. */
const struct ps_named *ps_names_record_find(const struct ps_names_record *record, const char *stem);

/* True if a stem is in use through another descriptor than `fd`. */
bool ps_names_record_in_use(int fd, const struct ps_named *named);

/* Gives a stem to `owner`; in the file too, unless `fd` is -1. PS_E_SYSTEM, PS_E_NOMEM. */
int ps_names_record_add(struct ps_names_record *record, int fd, const char *stem, const char *owner,
                        struct ps_error *error);

/* Marks a stem as in use until `fd` is closed, and unlocks byte 0. */
void ps_names_record_use(int fd, const struct ps_named *named);

#endif
