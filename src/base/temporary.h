/* Names of temporary files, and removal of those that dead processes have left.
 *
 *     .pickstream-HOST-PID-PROCESS-NUMBER.tmp     numbers in hexadecimal
 *
 * HOST is a hash of the name of the machine and of the namespace of process numbers (containers of
 * one name have different ones), PROCESS a random number of each process, because process numbers
 * are used again. A file is removed if its process on this host does not exist any more; others,
 * of other hosts and of earlier versions, if they have not changed for a day.
 */
#ifndef PS_BASE_TEMPORARY_H
#define PS_BASE_TEMPORARY_H

#include <stdbool.h>

enum { PS_TEMPORARY_NAME = 64 };

/* Makes a name that no other file has, most likely. False: no random numbers (errno). */
bool ps_temporary_name(char ret_name[PS_TEMPORARY_NAME]);

/* Removes what dead processes have left in an open directory, the first time that it is called for
 * that directory in this process. Ignores failures. Any thread. */
void ps_temporary_clean(int directory);

#endif
