/* How far a batch is: a bar with rate and time left on a terminal, one line a file otherwise.
 *
 * The bar goes to stderr where that is a terminal. Lines go to stdout unless both are terminals:
 * there the bar says enough, except for what went wrong. */
#ifndef PS_CLI_PROGRESS_H
#define PS_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct ps_progress {
    bool bar;
    bool lines;
    size_t total;
    size_t done;
    double start;
};

/* Monotonic seconds. */
double ps_progress_clock(void);

void ps_progress_begin(struct ps_progress *progress, size_t total);

/* A line about a file, on stdout if lines are wanted. */
__attribute__((format(printf, 2, 3))) void ps_progress_line(struct ps_progress *progress,
                                                            const char *format, ...);

/* A line on stderr that is always wanted. */
__attribute__((format(printf, 2, 3))) void ps_progress_note(struct ps_progress *progress,
                                                            const char *format, ...);

/* One more is done. */
void ps_progress_step(struct ps_progress *progress);

void ps_progress_end(struct ps_progress *progress);

#endif
