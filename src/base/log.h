/* Log lines of the service, on stderr, one event a line.
 *
 *     event=picked file=/data/x.mrc count=312 ms=41.2
 *
 * If stderr is connected to journald (JOURNAL_STREAM), a line begins with its priority, "<6>";
 * otherwise with the UTC time and the name of the level. Values with blanks, quotes or control
 * characters are quoted, and external text cannot begin a line. Warnings and errors of the same
 * event are limited to PS_LOG_BURST in PS_LOG_SECONDS; a separate line reports the number of
 * omitted ones (event=left_out lines=12 of=EVENT). Thread-safe.
 */
#ifndef PS_BASE_LOG_H
#define PS_BASE_LOG_H

#include <stdint.h>

enum ps_log_level { PS_LOG_ERROR, PS_LOG_WARNING, PS_LOG_INFO, PS_LOG_DEBUG };
enum { PS_LOG_BURST = 10, PS_LOG_SECONDS = 10 };

/* All functions accept NULL and then do nothing. */
struct ps_log;

/* Makes a log on stderr, which is checked for journald. NULL without memory. */
struct ps_log *ps_log_new(enum ps_log_level level);
void ps_log_free(struct ps_log *log);

/* Writes a line. `event` is a literal word of at most 31 bytes; `format` gives the rest of the
 * line,
 * "" for none; pass external text through ps_log_quote(). Levels info and debug have no rate limit.
 * A line is cut at 4 KiB. Preserves errno. */
__attribute__((format(printf, 4, 5))) void ps_log_event(struct ps_log *log, enum ps_log_level level,
                                                        const char *event, const char *format, ...);

/* Writes the line "event=EVENT reason=TEXT"; `text` is quoted. */
void ps_log_reason(struct ps_log *log, enum ps_log_level level, const char *event,
                   const char *text);

/* Formats `text` as a value: quoted if necessary, cut if too long. Returns `ret_text`. */
enum { PS_LOG_TEXT = 1024 };
const char *ps_log_quote(const char *text, char ret_text[PS_LOG_TEXT]);

/* Returns the last warning or error as valid UTF-8, and its time (ns since 1970; 0: none), for the
 * status. Includes lines omitted by the rate limit or by the level. */
int64_t ps_log_last_error(struct ps_log *log, char *ret_text, unsigned size);

#endif
