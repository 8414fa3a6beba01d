/* Log lines of the service, on stderr, one event a line.
 *
 *     event=picked file=/data/x.mrc count=312 ms=41.2
 *
 * Where stderr is journald's (JOURNAL_STREAM names it) a line begins with its priority, "<6>", as
 * journald reads it; elsewhere with the UTC time and the level's name. Values with blanks, quotes
 * or control characters are quoted, and no text from outside can begin a line. Warnings and errors
 * of the same event are limited to PS_LOG_BURST in PS_LOG_SECONDS; how many were left out is said
 * in a line of its own before the next one (event=left_out lines=12 of=EVENT). Any thread may log.
 */
#ifndef PS_BASE_LOG_H
#define PS_BASE_LOG_H

#include <stdint.h>

enum ps_log_level { PS_LOG_ERROR, PS_LOG_WARNING, PS_LOG_INFO, PS_LOG_DEBUG };
enum { PS_LOG_BURST = 10, PS_LOG_SECONDS = 10 };

/* Every function takes NULL for a log that nobody reads. */
struct ps_log;

/* Finds out where stderr leads. NULL without memory. */
struct ps_log *ps_log_new(enum ps_log_level level);
void ps_log_free(struct ps_log *log);

/* `event` is a word of ours, at most 31 bytes; `format` gives the rest of the line, "" for none;
 * use %s with ps_log_quote() for text from outside. Events that are picks and the like (level info
 * and below) are not limited. A line is cut at 4 KiB. Keeps errno. */
__attribute__((format(printf, 4, 5))) void ps_log_event(struct ps_log *log, enum ps_log_level level,
                                                        const char *event, const char *format, ...);

/* `text` as a value, quoted where it must be, cut where it is too long. Returns `ret_text`. */
enum { PS_LOG_TEXT = 1024 };
const char *ps_log_quote(const char *text, char ret_text[PS_LOG_TEXT]);

/* The last warning or error, UTF-8 whatever it was about, and when (ns since 1970; 0: none), for
 * the status. Counts those that were left out too, and warnings of a log that writes errors only.
 */
int64_t ps_log_last_error(struct ps_log *log, char *ret_text, unsigned size);

#endif
