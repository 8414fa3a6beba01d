/* The table of metrics. All accesses are relaxed: each number is correct, but the order between two
 * is not guaranteed (a reader can see an outcome counted as published before it is counted as
 * seen).
 *
 * The bounds of histogram buckets grow by the square root of 2 from 10 us to 1300 s, so the error
 * of a quantile is at most a fifth. The maximum is kept, and no quantile exceeds it.
 */
#include "base/metrics.h"

#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Bucket i holds values in (bound(i - 1), bound(i)]; the last bucket has no upper bound. */
enum { BUCKETS = 56, ALL_BUCKETS = BUCKETS + 1 };

struct histogram {
    _Atomic uint64_t buckets[ALL_BUCKETS];
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
};

struct ps_metrics {
    _Atomic uint64_t counters[PS_COUNTER_COUNT];
    _Atomic int64_t gauges[PS_GAUGE_COUNT];
    struct histogram histograms[PS_HISTOGRAM_COUNT];
};

static double bound(int bucket)
{
    return bucket < 0 ? 0 : 1e-5 * exp2(0.5 * bucket);
}

struct ps_metrics *ps_metrics_new(void)
{
    return calloc(1, sizeof(struct ps_metrics));
}

void ps_metrics_free(struct ps_metrics *metrics)
{
    free(metrics);
}

void ps_metrics_add(struct ps_metrics *metrics, enum ps_counter counter, uint64_t amount)
{
    if (metrics)
        atomic_fetch_add_explicit(&metrics->counters[counter], amount, memory_order_relaxed);
}

void ps_metrics_set(struct ps_metrics *metrics, enum ps_gauge gauge, int64_t value)
{
    if (metrics)
        atomic_store_explicit(&metrics->gauges[gauge], value, memory_order_relaxed);
}

void ps_metrics_observe(struct ps_metrics *metrics, enum ps_histogram histogram, double seconds)
{
    if (!metrics || isnan(seconds))
        return;
    struct histogram *target = &metrics->histograms[histogram];
    /* A clock that is set between two readings can give any value; 18 values of 1e9 s fit the sum.
     */
    double clipped = fmin(fmax(seconds, 0), 1e9);
    uint64_t ns = (uint64_t)(clipped * 1e9);
    int bucket = 0;
    while (bucket < BUCKETS && clipped > bound(bucket))
        bucket++;
    atomic_fetch_add_explicit(&target->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&target->sum_ns, ns, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&target->max_ns, memory_order_relaxed);
    while (ns > max && !atomic_compare_exchange_weak_explicit(
                           &target->max_ns, &max, ns, memory_order_relaxed, memory_order_relaxed))
        ;
}

uint64_t ps_metrics_counter(const struct ps_metrics *metrics, enum ps_counter counter)
{
    return metrics ? atomic_load_explicit(&metrics->counters[counter], memory_order_relaxed) : 0;
}

int64_t ps_metrics_gauge(const struct ps_metrics *metrics, enum ps_gauge gauge)
{
    return metrics ? atomic_load_explicit(&metrics->gauges[gauge], memory_order_relaxed) : 0;
}

/* Copies a histogram, because other threads update it during the calculation. */
struct snapshot {
    uint64_t buckets[ALL_BUCKETS];
    uint64_t count;
    double sum, max;
};

static struct snapshot take(const struct ps_metrics *metrics, enum ps_histogram histogram)
{
    struct snapshot copy = {0};
    if (!metrics)
        return copy;
    const struct histogram *source = &metrics->histograms[histogram];
    for (int i = 0; i < ALL_BUCKETS; i++) {
        copy.buckets[i] = atomic_load_explicit(&source->buckets[i], memory_order_relaxed);
        copy.count += copy.buckets[i];
    }
    copy.sum = 1e-9 * (double)atomic_load_explicit(&source->sum_ns, memory_order_relaxed);
    copy.max = 1e-9 * (double)atomic_load_explicit(&source->max_ns, memory_order_relaxed);
    return copy;
}

static double quantile_of(const struct snapshot *copy, double quantile)
{
    double rank = fmin(fmax(quantile, 0), 1) * (double)copy->count;
    double below = 0;
    for (int i = 0; i < ALL_BUCKETS; i++) {
        double here = (double)copy->buckets[i];
        if (here > 0 && below + here >= rank) {
            double low = bound(i - 1);
            double high = i < BUCKETS ? bound(i) : fmax(low, copy->max);
            return fmin(low + (high - low) * (rank - below) / here, copy->max);
        }
        below += here;
    }
    return 0;
}

double ps_metrics_quantile(const struct ps_metrics *metrics, enum ps_histogram histogram,
                           double quantile)
{
    struct snapshot copy = take(metrics, histogram);
    return quantile_of(&copy, quantile);
}

static void print_number(const char *name, const char *suffix, const char *kind, const char *help,
                         int64_t value, FILE *stream)
{
    (void)fprintf(stream,
                  "# HELP pickstream_%s%s %s\n# TYPE pickstream_%s%s %s\npickstream_%s%s %" PRId64
                  "\n",
                  name, suffix, help, name, suffix, kind, name, suffix, value);
}

static void print_histogram(const char *name, const char *help, const struct snapshot *copy,
                            FILE *stream)
{
    (void)fprintf(stream, "# HELP pickstream_%s %s\n# TYPE pickstream_%s histogram\n", name, help,
                  name);
    uint64_t below = 0;
    char number[PS_NUMBER_TEXT];
    for (int i = 0; i < BUCKETS; i++) {
        below += copy->buckets[i];
        if (i % 2 == 0)
            (void)fprintf(stream, "pickstream_%s_bucket{le=\"%s\"} %" PRIu64 "\n", name,
                          ps_text_from_float((float)bound(i), number), below);
    }
    (void)fprintf(stream,
                  "pickstream_%s_bucket{le=\"+Inf\"} %" PRIu64 "\npickstream_%s_sum %s\n"
                  "pickstream_%s_count %" PRIu64 "\n",
                  name, copy->count, name, ps_text_from_double(copy->sum, number), name,
                  copy->count);
}

void ps_metrics_text(const struct ps_metrics *metrics, FILE *stream)
{
#define X(NAME, name, help)                                                                        \
    print_number(#name, "_total", "counter", help,                                                 \
                 (int64_t)ps_metrics_counter(metrics, PS_COUNTER_##NAME), stream);
    PS_COUNTER_MAP(X)
#undef X
#define X(NAME, name, help)                                                                        \
    print_number(#name, "", "gauge", help, ps_metrics_gauge(metrics, PS_GAUGE_##NAME), stream);
    PS_GAUGE_MAP(X)
#undef X
#define X(NAME, name, help)                                                                        \
    {                                                                                              \
        struct snapshot copy = take(metrics, PS_HISTOGRAM_##NAME);                                 \
        print_histogram(#name, help, &copy, stream);                                               \
    }
    PS_HISTOGRAM_MAP(X)
#undef X
}

json_t *ps_metrics_json(const struct ps_metrics *metrics)
{
    static const char *const counters[] = {
#define X(NAME, name, help) #name,
        PS_COUNTER_MAP(X)};
    static const char *const gauges[] = {PS_GAUGE_MAP(X)};
    static const char *const histograms[] = {PS_HISTOGRAM_MAP(X)
#undef X
    };
    json_t *json = json_object();
    int failed = !json;
    for (unsigned i = 0; i < PS_COUNTER_COUNT && !failed; i++) {
        uint64_t value = ps_metrics_counter(metrics, (enum ps_counter)i);
        failed = json_object_set_new(json, counters[i], json_integer((json_int_t)value));
    }
    for (unsigned i = 0; i < PS_GAUGE_COUNT && !failed; i++) {
        int64_t value = ps_metrics_gauge(metrics, (enum ps_gauge)i);
        failed = json_object_set_new(json, gauges[i], json_integer(value));
    }
    for (unsigned i = 0; i < PS_HISTOGRAM_COUNT && !failed; i++) {
        struct snapshot copy = take(metrics, (enum ps_histogram)i);
        failed = json_object_set_new(
            json, histograms[i],
            json_pack("{s:I, s:f, s:f, s:f}", "count", (json_int_t)copy.count, "sum", copy.sum,
                      "p50", quantile_of(&copy, 0.5), "p99", quantile_of(&copy, 0.99)));
    }
    if (!failed)
        return json;
    json_decref(json);
    return NULL;
}
