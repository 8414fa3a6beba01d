/* Why a database cannot be written, for its user. */
#ifndef PS_JOURNAL_EXPLAIN_H
#define PS_JOURNAL_EXPLAIN_H

#include "pickstream.h"

/* Replaces the message of `error` if this process must not write the database at `path` or a file
 * of its write-ahead log: it names the file, its owner and its mode. */
void ps_sql_explain(const char *path, struct ps_error *error);

#endif
