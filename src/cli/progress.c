#include "cli/progress.h"

#include "cli/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 30 };

double ps_progress_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void clear(const struct ps_progress *progress)
{
    if (progress->bar)
        (void)fputs("\r\033[K", stderr);
}

static void draw(const struct ps_progress *progress)
{
    if (!progress->bar)
        return;
    double seconds = ps_progress_clock() - progress->start;
    double rate = seconds > 0 ? (double)progress->done / seconds : 0;
    size_t filled = progress->total ? progress->done * BAR_WIDTH / progress->total : 0;
    char bar[BAR_WIDTH + 1];
    for (size_t i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "\r\033[K[%s] %zu/%zu", bar, progress->done, progress->total);
    if (progress->done) {
        long left = (long)((double)(progress->total - progress->done) / rate + 0.5);
        (void)fprintf(stderr, "  %.2f/s  ETA %ld:%02ld:%02ld", rate, left / 3600, left / 60 % 60,
                      left % 60);
    }
    (void)fflush(stderr);
}

void ps_progress_begin(struct ps_progress *progress, size_t total)
{
    progress->bar = isatty(STDERR_FILENO) == 1;
    progress->lines = !progress->bar || isatty(STDOUT_FILENO) != 1;
    progress->total = total;
    progress->done = 0;
    progress->start = ps_progress_clock();
    draw(progress);
}

static void print(struct ps_progress *progress, FILE *stream, const char *format, va_list arguments)
{
    clear(progress);
    ps_print_arguments(stream, format, arguments);
    (void)fflush(stream);
    draw(progress);
}

void ps_progress_line(struct ps_progress *progress, const char *format, ...)
{
    if (!progress->lines)
        return;
    va_list arguments;
    va_start(arguments, format);
    print(progress, stdout, format, arguments);
    va_end(arguments);
}

void ps_progress_note(struct ps_progress *progress, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(progress, stderr, format, arguments);
    va_end(arguments);
}

void ps_progress_step(struct ps_progress *progress)
{
    progress->done++;
    draw(progress);
}

void ps_progress_end(struct ps_progress *progress)
{
    clear(progress);
    progress->bar = false;
}
