/* The progress of a batch: on a terminal a bar with rate and remaining time, otherwise a line for
 * each file.
 *
 * The bar is on stderr if that is a terminal. Lines are on stdout unless both are terminals: then
 * the bar is enough, and only failures are printed as lines. */
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

/* Prints a line about a file on stdout, if lines are enabled. */
__attribute__((format(printf, 2, 3))) void ps_progress_line(struct ps_progress *progress,
                                                            const char *format, ...);

/* Prints a line on stderr, always. */
__attribute__((format(printf, 2, 3))) void ps_progress_note(struct ps_progress *progress,
                                                            const char *format, ...);

/* Counts one more file as done. */
void ps_progress_step(struct ps_progress *progress);

void ps_progress_end(struct ps_progress *progress);

#endif
