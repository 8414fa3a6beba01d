/* Log lines of the service, on stderr, one event a line.
 *
 *     event=picked file=/data/x.mrc count=312 ms=41.2
 *
 * Under systemd (JOURNAL_STREAM is set) a line begins with its priority, "<6>", as journald reads
 * it; elsewhere with the UTC time and the level's name. Values with blanks, quotes or control
 * characters are quoted. Lines of the same event are limited to PS_LOG_BURST in PS_LOG_SECONDS;
 * what was left out is counted and said in the next line. Any thread may log.
 */
#ifndef PS_BASE_LOG_H
#define PS_BASE_LOG_H

#include <stdint.h>

enum ps_log_level { PS_LOG_ERROR, PS_LOG_WARNING, PS_LOG_INFO, PS_LOG_DEBUG };
enum { PS_LOG_BURST = 10, PS_LOG_SECONDS = 10 };

struct ps_log;

/* NULL without memory. */
struct ps_log *ps_log_new(enum ps_log_level level);
void ps_log_free(struct ps_log *log);

/* `format` gives the rest of the line; use %s with ps_log_quote() for text from outside. Events that
 * are picks and the like (level info and below) are not limited. */
__attribute__((format(printf, 4, 5))) void ps_log_event(struct ps_log *log, enum ps_log_level level,
                                                        const char *event, const char *format, ...);

/* `text` as a value, quoted where it must be, cut where it is too long. Returns `ret_text`. */
enum { PS_LOG_TEXT = 1024 };
const char *ps_log_quote(const char *text, char ret_text[PS_LOG_TEXT]);

/* The last warning or error and when (ns since 1970; 0: none), for the status. */
int64_t ps_log_last_error(struct ps_log *log, char *ret_text, unsigned size);

#endif
