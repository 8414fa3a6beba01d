/* Writes each log line with one write() of at most PIPE_BUF bytes, so that lines of several
 * threads, and of several processes on one stderr, do not mix.
 *
 * Rate limit: warnings and errors are counted by event in a small table of windows. The first
 * PS_LOG_BURST lines in a window of PS_LOG_SECONDS are written. The number of omitted lines is
 * reported before the first line after the window (of any event), or when the log is freed. Events
 * are words in the source code, so the table is large enough; if it is full, the oldest window is
 * reused.
 */
#include "base/log.h"

#include "base/journald.h"
#include "base/text.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE = PIPE_BUF, TEXT = LINE - 64, WINDOWS = 32, EVENT = 32 };

static const struct {
    const char *name;
    int priority; /* of syslog(3), for journald */
} levels[] = {
    [PS_LOG_ERROR] = {"error", 3},
    [PS_LOG_WARNING] = {"warning", 4},
    [PS_LOG_INFO] = {"info", 6},
    [PS_LOG_DEBUG] = {"debug", 7},
};

struct window {
    char event[EVENT]; /* "" if free */
    enum ps_log_level level;
    int64_t begin_ns;
    unsigned written;
    unsigned long left_out;
};

struct ps_log {
    enum ps_log_level level;
    bool to_journal;
    pthread_mutex_t mutex; /* guards the following fields */
    struct window windows[WINDOWS];
    int64_t last_error_ns;
    char last_error[PS_LOG_TEXT];
};

static int64_t now_ns(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* True if stderr is the stream to journald that JOURNAL_STREAM names ("device:inode"). The variable
 * alone is not enough: a child of a service can inherit it with stderr redirected
 * (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (!stream || fstat(STDERR_FILENO, &status) != 0)
        return false;
    char own[64];
    (void)snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

struct ps_log *ps_log_new(enum ps_log_level level)
{
    struct ps_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->level = level;
    log->to_journal = stderr_is_journal();
    if (pthread_mutex_init(&log->mutex, NULL) == 0)
        return log;
    free(log);
    return NULL;
}

/* Prints "<6>", or time and level. Returns the length. */
static size_t print_prefix(const struct ps_log *log, enum ps_log_level level, char line[LINE])
{
    if (log->to_journal)
        return (size_t)snprintf(line, LINE, "<%d>", levels[level].priority);
    int64_t now = now_ns(CLOCK_REALTIME);
    time_t seconds = (time_t)(now / 1000000000);
    struct tm utc;
    size_t length = strftime(line, LINE, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
    return length + (size_t)snprintf(line + length, LINE - length, ".%03dZ %s ",
                                     (int)(now / 1000000 % 1000), levels[level].name);
}

static bool write_all(const char *line, size_t length)
{
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line, length);
    } while (written < 0 && errno == EINTR);
    return written >= 0;
}

/* Replaces a stream to journald that was closed at its other end. */
static bool connect_again(const struct ps_log *log)
{
    if (!log->to_journal || (errno != EPIPE && errno != ECONNRESET && errno != ENOTCONN))
        return false;
    int fd = ps_journald_open(PS_JOURNALD_SOCKET);
    if (fd < 0)
        return false;
    bool replaced = dup2(fd, STDERR_FILENO) >= 0;
    (void)close(fd);
    return replaced;
}

/* Writes prefix and text. A failure is ignored: there is no other place to report it. */
static void write_line(const struct ps_log *log, enum ps_log_level level, const char *text)
{
    char line[LINE];
    size_t start = print_prefix(log, level, line);
    size_t length = start + (size_t)snprintf(line + start, sizeof line - start, "%s\n", text);
    if (!write_all(line, length) && connect_again(log))
        (void)write_all(line, length);
}

/* The largest length up to `length` that does not split a UTF-8 character. */
static size_t cut(const char *text, size_t length)
{
    while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return length;
}

/* Makes any text one line of UTF-8: text that was not quoted must not begin a new line, and must be
 * valid in the JSON of the status. */
static void clean(char *text)
{
    bool printable;
    for (size_t bytes; *text; text += bytes) {
        bytes = ps_text_character(text, &printable);
        if (!printable)
            memset(text, '?', bytes);
    }
}

/* Reports the lines omitted in windows that have ended, or in all windows, and frees these. */
static void close_windows(struct ps_log *log, int64_t now, bool all)
{
    for (struct window *window = log->windows; window < log->windows + WINDOWS; window++) {
        if (!*window->event || (!all && now - window->begin_ns < PS_LOG_SECONDS * 1000000000LL))
            continue;
        if (window->left_out && window->level <= log->level) {
            char text[EVENT + 96];
            (void)snprintf(text, sizeof text, "event=left_out lines=%lu of=%.*s seconds=%d",
                           window->left_out, EVENT - 1, window->event, PS_LOG_SECONDS);
            write_line(log, window->level, text);
        }
        *window->event = '\0';
    }
}

/* True if the rate limit allows one more line of the event now. */
static bool admit(struct ps_log *log, enum ps_log_level level, const char *event, int64_t now)
{
    struct window *found = NULL, *oldest = log->windows;
    for (struct window *window = log->windows; window < log->windows + WINDOWS; window++) {
        if (strncmp(window->event, event, EVENT - 1) == 0 && window->level == level)
            found = window;
        if (!*window->event || (*oldest->event && window->begin_ns < oldest->begin_ns))
            oldest = window;
    }
    if (!found) {
        found = oldest;
        *found = (struct window){.level = level, .begin_ns = now};
        (void)snprintf(found->event, sizeof found->event, "%s", event);
    }
    if (found->written < PS_LOG_BURST) {
        found->written++;
        return true;
    }
    found->left_out++;
    return false;
}

void ps_log_event(struct ps_log *log, enum ps_log_level level, const char *event,
                  const char *format, ...)
{
    if (!log || (level > log->level && level > PS_LOG_WARNING))
        return;
    int saved = errno;
    char text[TEXT];
    int length = snprintf(text, sizeof text, "event=%.*s%s", EVENT - 1, event, *format ? " " : "");
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    if ((size_t)length >= sizeof text)
        (void)stpcpy(text + cut(text, sizeof text - 4), "...");
    clean(text);

    pthread_mutex_lock(&log->mutex);
    int64_t now = now_ns(CLOCK_MONOTONIC);
    close_windows(log, now, false);
    bool write = level <= log->level;
    if (level <= PS_LOG_WARNING) {
        log->last_error_ns = now_ns(CLOCK_REALTIME);
        size_t kept = cut(text, strnlen(text, sizeof log->last_error - 1));
        memcpy(log->last_error, text, kept);
        log->last_error[kept] = '\0';
        write = write && admit(log, level, event, now);
    }
    if (write)
        write_line(log, level, text);
    pthread_mutex_unlock(&log->mutex);
    errno = saved;
}

void ps_log_free(struct ps_log *log)
{
    if (!log)
        return;
    close_windows(log, 0, true);
    pthread_mutex_destroy(&log->mutex);
    free(log);
}

const char *ps_log_quote(const char *text, char ret_text[PS_LOG_TEXT])
{
    size_t length = strlen(text);
    if (length > 0 && length < PS_LOG_TEXT && ps_text_is_printable(text) &&
        !strpbrk(text, " \"\\="))
        return memcpy(ret_text, text, length + 1);

    char *at = ret_text;
    *at++ = '"';
    const char *end = ret_text + PS_LOG_TEXT - 3 - 1 - 1; /* the ellipsis, the quote and the NUL */
    while (*text) {
        bool printable;
        size_t bytes = ps_text_character(text, &printable);
        size_t width = printable ? bytes + (*text == '"' || *text == '\\') : 4 * bytes;
        if (width > (size_t)(end - at))
            break;
        if (width > bytes && printable)
            *at++ = '\\';
        if (*text == '\n')
            at = stpcpy(at, "\\n");
        else if (printable)
            at = mempcpy(at, text, bytes);
        else
            for (size_t i = 0; i < bytes; i++)
                at += sprintf(at, "\\x%02x", (unsigned char)text[i]);
        text += bytes;
    }
    (void)stpcpy(at, *text ? "...\"" : "\"");
    return ret_text;
}

void ps_log_reason(struct ps_log *log, enum ps_log_level level, const char *event, const char *text)
{
    char quoted[PS_LOG_TEXT];
    ps_log_event(log, level, event, "reason=%s", ps_log_quote(text, quoted));
}

int64_t ps_log_last_error(struct ps_log *log, char *ret_text, unsigned size)
{
    if (size)
        *ret_text = '\0';
    if (!log)
        return 0;
    pthread_mutex_lock(&log->mutex);
    int64_t time_ns = log->last_error_ns;
    (void)snprintf(ret_text, size, "%s", log->last_error);
    pthread_mutex_unlock(&log->mutex);
    return time_ns;
}
