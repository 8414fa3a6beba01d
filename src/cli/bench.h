/* The measurements of `pickstream bench` on one device: one micrograph at a time, stage by stage
 * (bench_latency.c), and one micrograph in each slot at the same time (bench_stream.c). */
#ifndef PS_CLI_BENCH_H
#define PS_CLI_BENCH_H

#include "backend/backend.h"
#include "picker/picker.h"

#include <stdio.h>

enum {
    BENCH_TOTAL = PS_STAGE_COUNT,
    BENCH_COLUMNS,
    BENCH_MAX_REPEAT = 1000,
    BENCH_SPAN_NAMES = 32
};

/* The micrograph: in memory, or a file that the stream reads again each time. */
struct bench_input {
    const struct ps_config *config;
    const char *file; /* NULL: synthetic */
    struct ps_image image;
};

/* One kind of stage, measured with the device's clock. */
struct bench_span {
    const char *stage;
    double median_ms; /* of the sums over a micrograph's calls */
    double calls;     /* a micrograph */
};

struct bench_latency {
    struct ps_aspire parameters; /* all 0: another profile */
    int references;
    uint64_t repeat;
    double median_ms[BENCH_COLUMNS]; /* by the host's clock; where a device works on by itself, a
                                        stage's time shows where the host next waits for it */
    double slowest_ms;               /* total */
    size_t picks;
    int threads;
    double score_nanoseconds; /* CPU, aspire: a pair of windows, by one core */
    double score_limit_share; /* of the cores' multiply-adds */
    struct bench_span spans[BENCH_SPAN_NAMES];
    size_t span_count;
    double device_ms;      /* from the first span's begin to the last one's end, median */
    double device_busy_ms; /* the part of it in stages */
};

struct bench_stream {
    size_t slots;
    uint64_t micrographs;
    double seconds;
    double device_busy; /* share of the time with any slot in a stage; 0: unknown */
};

struct bench_device {
    char name[96];
    struct bench_latency latency;
    struct bench_stream stream;
    double memory_megabytes; /* largest resident size of this process so far */
};

/* Picks once to warm up, then measures `repeat` times. */
int bench_measure_latency(struct ps_picker *picker, const struct bench_input *input,
                          uint64_t repeat, struct bench_latency *ret_latency,
                          struct ps_error *error);

/* Picks `micrographs` times with `slots` threads, each with a warmed-up slot. `timeline` (can be
 * NULL) gets a line for each stage of each micrograph: tab-separated slot, micrograph, stage, begin
 * and end in ms. */
int bench_measure_stream(const struct bench_input *input, int device, size_t slots,
                         uint64_t micrographs, FILE *timeline, struct bench_stream *ret_stream,
                         struct ps_error *error);

void bench_print_text(const struct bench_input *input, const struct bench_device *device);
/* Prints all devices as one JSON object; nothing without memory (PS_E_NOMEM). */
int bench_print_json(const struct bench_input *input, const struct bench_device *devices,
                     size_t count, struct ps_error *error);

#endif
