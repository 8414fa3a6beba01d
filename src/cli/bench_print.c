/* Prints the results of bench as text and as JSON. */
#include "cli/bench.h"
#include "wire/json.h"

#include "base/error.h"

#include <jansson.h>
#include <stdlib.h>

static const char *column_name(int column)
{
    return column == BENCH_TOTAL ? "total" : ps_stage_name((enum ps_stage)column);
}

static void print_spans(const struct bench_latency *l)
{
    (void)printf("\n%-18s %10s %6s\n", "on the device", "median ms", "calls");
    for (size_t i = 0; i < l->span_count; i++)
        (void)printf("%-18s %10.3f %6.1f\n", l->spans[i].stage, l->spans[i].median_ms,
                     l->spans[i].calls);
    (void)printf("%-18s %10.3f        from the first to the last, %.3f in stages\n", "total",
                 l->device_ms, l->device_busy_ms);
}

void bench_print_text(const struct bench_input *input, const struct bench_device *device)
{
    const struct bench_latency *l = &device->latency;
    const struct ps_aspire *p = &l->parameters;
    double total = l->median_ms[BENCH_TOTAL];
    (void)printf("pickstream %s\n%s\n", ps_version(), device->name);
    (void)printf("micrograph %d x %d px: %zu picks\n", input->image.width, input->image.height,
                 l->picks);
    if (p->query)
        (void)printf("windows of %d working px, %d x %d queries, %d references\n", p->query,
                     p->queries, p->queries, l->references);
    (void)printf("\n%-18s %10s %7s\n", "stage", "median ms", "share");
    for (int column = 0; column < BENCH_COLUMNS; column++)
        (void)printf("%-18s %10.1f %6.1f%%\n", column_name(column), l->median_ms[column],
                     l->median_ms[column] / total * 100);
    if (l->span_count)
        print_spans(l);
    (void)printf("\n%-18s %10.1f ms median, %.1f ms slowest of %llu\n", "latency", total,
                 l->slowest_ms, (unsigned long long)l->repeat);
    (void)printf("%-18s %10.2f micrographs/s with %zu slot%s", "rate",
                 (double)device->stream.micrographs / device->stream.seconds, device->stream.slots,
                 device->stream.slots == 1 ? "" : "s");
    if (device->stream.device_busy > 0)
        (void)printf(", device in stages %.0f %% of the time", device->stream.device_busy * 100);
    (void)printf("\n%-18s %10.0f MB of the host at most\n", "memory", device->memory_megabytes);
    if (l->score_nanoseconds > 0)
        (void)printf("%-18s %10.0f ns a pair and core, %.0f %% of the multiply-adds of %d cores\n",
                     "score", l->score_nanoseconds, l->score_limit_share * 100, l->threads);
}

static json_t *device_json(const struct bench_device *device)
{
    const struct bench_latency *l = &device->latency;
    json_t *stages = json_object();
    int failed = !stages;
    for (int column = 0; column < BENCH_COLUMNS; column++)
        failed |= json_object_set_new(stages, column_name(column), json_real(l->median_ms[column]));
    json_t *spans = json_array();
    for (size_t i = 0; i < l->span_count; i++)
        failed |= json_array_append_new(
            spans, json_pack("{s:s, s:f, s:f}", "stage", l->spans[i].stage, "milliseconds",
                             l->spans[i].median_ms, "calls", l->spans[i].calls));
    if (failed) {
        json_decref(stages);
        json_decref(spans);
        return NULL;
    }
    return json_pack(
        "{s:s, s:i, s:i, s:i, s:I, s:I, s:o, s:f, s:o, s:f, s:f, s:f, s:I, s:I, s:f, s:f, s:f, s:f}",
        "device", device->name, "query", l->parameters.query, "queries",
        l->parameters.queries * l->parameters.queries, "references", l->references, "picks",
        (json_int_t)l->picks, "repeat", (json_int_t)l->repeat, "milliseconds", stages,
        "slowest_milliseconds", l->slowest_ms, "device_stages", spans, "device_milliseconds",
        l->device_ms, "device_busy_milliseconds", l->device_busy_ms, "micrographs_per_second",
        (double)device->stream.micrographs / device->stream.seconds, "slots",
        (json_int_t)device->stream.slots, "micrographs", (json_int_t)device->stream.micrographs,
        "device_busy_share", device->stream.device_busy, "memory_megabytes",
        device->memory_megabytes, "score_nanoseconds_a_pair", l->score_nanoseconds,
        "score_share_of_peak", l->score_limit_share);
}

int bench_print_json(const struct bench_input *input, const struct bench_device *devices,
                     size_t count, struct ps_error *error)
{
    json_t *array = json_array();
    int failed = !array;
    for (size_t i = 0; i < count; i++)
        failed |= json_array_append_new(array, device_json(&devices[i]));
    json_t *root = json_pack("{s:s, s:[i,i], s:o}", "version", ps_version(), "shape",
                             input->image.height, input->image.width, "devices", array);
    char *text =
        root && !failed ? ps_json_dump(root, JSON_INDENT(2) | JSON_REAL_PRECISION(5)) : NULL;
    json_decref(root);
    if (!text)
        return ps_fail_memory(error, count * 4096, "JSON");
    (void)puts(text);
    free(text);
    return 0;
}
