/* Counters, gauges and histograms of the service: one table, lock-free to write, readable by any
 * thread. This file is the only place with names, help and kinds; the status has them as JSON,
 * /metrics as Prometheus text.
 */
#ifndef PS_BASE_METRICS_H
#define PS_BASE_METRICS_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* X(NAME, name, help) */
#define PS_COUNTER_MAP(X)                                                                          \
    X(SEEN, seen, "micrographs found")                                                             \
    X(PICKED, picked, "micrographs picked")                                                        \
    X(REJECTED, rejected, "micrographs without trustworthy content")                               \
    X(FAILED, failed, "micrographs that could not be picked")                                      \
    X(UNRELIABLE, unreliable, "micrographs picked with no more found than in noise")               \
    X(RETRIED, retried, "failed micrographs put back")                                             \
    X(REPICKED, repicked, "micrographs put back to be picked with other settings")                 \
    X(POSTPONED, postponed, "tries put off, as the machine was short of something")                \
    X(PICKS, picks, "particles picked")                                                            \
    X(RESCANS, rescans, "scans of all directories")                                                \
    X(OVERFLOWS, overflows, "overflows of the kernel's event queue")                               \
    X(PUBLISHED, published, "outcomes published")                                                  \
    X(REPLAYED, replayed, "messages sent again on request")                                        \
    X(REFUSED_CLIENTS, refused_clients, "connections refused by the allow-list")                   \
    X(REFUSED_CONNECTIONS, refused_connections, "connections shut down, as there were too many")   \
    X(DISCONNECTED_CLIENTS, disconnected_clients, "connections closed as they exceeded a limit")   \
    X(WARNED_FAILED, warned_failed, "outcomes with the warning failed")                            \
    X(WARNED_REJECTED, warned_rejected, "outcomes with the warning rejected")                      \
    X(WARNED_UNRELIABLE, warned_unreliable, "outcomes with the warning unreliable")                \
    X(WARNED_SCALE, warned_scale, "outcomes with the warning scale")                               \
    X(WARNED_COLLAPSED, warned_collapsed, "outcomes with the warning collapsed")                   \
    X(WARNED_MASKED, warned_masked, "outcomes with the warning masked")                            \
    X(WARNED_NO_DATA, warned_no_data, "outcomes with the warning no_data")                         \
    X(WARNED_PIXELS, warned_pixels, "outcomes with the warning pixels")                            \
    X(WARNED_PIXEL_SIZE, warned_pixel_size, "outcomes with the warning pixel_size")                \
    X(WARNED_FILE, warned_file, "outcomes with the warning file")                                  \
    X(WARNED_NOT_WRITTEN, warned_not_written, "outcomes with the warning not_written")             \
    X(BAD_REQUESTS, bad_requests, "requests not understood")                                       \
    X(JOURNAL_FAILURES, journal_failures, "writes to the journal that did not succeed")            \
    X(PREVIEWS_DROPPED, previews_dropped, "previews not published, as subscribers are behind")     \
    X(PARTICLES_DROPPED, particles_dropped, "messages of particles not published: a limit")        \
    X(HTTP_REQUESTS, http_requests, "requests to the live view")                                   \
    X(HTTP_REFUSED, http_refused, "requests to the live view that were refused")
#define PS_GAUGE_MAP(X)                                                                            \
    X(SUBSCRIBERS, subscribers, "subscriptions to topics")                                         \
    X(CONNECTIONS, connections, "connections to the sockets of the service")                       \
    X(WATCHES, watches, "directories watched with inotify")                                        \
    X(DIRECTORIES_MISSING, directories_missing, "watched directories that are missing")            \
    X(GPU, gpu, "1 while GPUs pick, 0 on the CPU")                                                 \
    X(LAST_OUTCOME, last_outcome, "time of the last outcome, seconds since 1970; 0: none yet")     \
    X(OUTCOMES_WAITING, outcomes_waiting, "outcomes waiting to be committed")                      \
    X(QUEUE_WAITING, queue_waiting, "micrographs waiting to be picked")                            \
    X(QUEUE_IN_FLIGHT, queue_in_flight, "micrographs being picked")                                \
    X(QUEUE_POSTPONED, queue_postponed, "micrographs waiting until the machine can pick them")     \
    X(VIEWERS, viewers, "live views that are open")                                                \
    X(FILES_MISSING, files_missing, "outcomes whose files of picks are missing")
/* Seconds. */
#define PS_HISTOGRAM_MAP(X)                                                                        \
    X(LATENCY, latency_seconds, "from the close of a file to the publication of its picks")        \
    X(OVERHEAD, overhead_seconds, "the same without reading and picking")                          \
    X(PICKING, picking_seconds, "reading and picking a micrograph")                                \
    X(COMMIT, commit_seconds, "a commit to the journal")

#define X(NAME, name, help) PS_COUNTER_##NAME,
enum ps_counter { PS_COUNTER_MAP(X) PS_COUNTER_COUNT };
#undef X
#define X(NAME, name, help) PS_GAUGE_##NAME,
enum ps_gauge { PS_GAUGE_MAP(X) PS_GAUGE_COUNT };
#undef X
#define X(NAME, name, help) PS_HISTOGRAM_##NAME,
enum ps_histogram { PS_HISTOGRAM_MAP(X) PS_HISTOGRAM_COUNT };
#undef X

/* All functions accept NULL and then do nothing. */
struct ps_metrics;

/* Makes the table, all zero. NULL without memory. */
struct ps_metrics *ps_metrics_new(void);
void ps_metrics_free(struct ps_metrics *metrics);

void ps_metrics_add(struct ps_metrics *metrics, enum ps_counter counter, uint64_t amount);
void ps_metrics_set(struct ps_metrics *metrics, enum ps_gauge gauge, int64_t value);

/* Adds an observation; a negative time (a clock was set back) counts as 0. */
void ps_metrics_observe(struct ps_metrics *metrics, enum ps_histogram histogram, double seconds);

uint64_t ps_metrics_counter(const struct ps_metrics *metrics, enum ps_counter counter);
int64_t ps_metrics_gauge(const struct ps_metrics *metrics, enum ps_gauge gauge);

/* Estimate of a quantile (0 to 1) from the histogram's buckets, seconds; 0 without observations. */
double ps_metrics_quantile(const struct ps_metrics *metrics, enum ps_histogram histogram,
                           double quantile);

/* Formats all metrics as Prometheus text (version 0.0.4): "pickstream_seen_total 12". Histograms
 * have every second bucket: their bounds double from 10 us to 1300 s. */
void ps_metrics_text(const struct ps_metrics *metrics, FILE *stream);

/* {"seen": 12, ..., "latency_seconds": {"count", "sum", "p50", "p99"}}. NULL without memory. */
json_t *ps_metrics_json(const struct ps_metrics *metrics);

#endif
