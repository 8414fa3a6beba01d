/* pickstream bench: what this machine does with one micrograph, stage by stage. */
#include "backend/simd.h"
#include "base/config.h"
#include "base/error.h"
#include "base/parallel.h"
#include "cli.h"
#include "cmd.h"
#include "image/micrograph.h"
#include "picker/picker.h"
#include "pickstream.h"
#include "progress.h"
#include "synth/synth.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MAX_REPEAT = 1000 };

struct bench_options {
    bool json;
    uint64_t repeat;
    uint64_t size;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_FLAG(0, "json", struct bench_options, json, "print JSON"),
    PS_CLI_UINT('n', "repeat", "N", struct bench_options, repeat, 1, MAX_REPEAT,
                "pick N times after one that does not count (default: 5)"),
    PS_CLI_UINT(0, "size", "PX", struct bench_options, size, 512, 16384,
                "side of the synthetic micrograph (default: 4096)"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "bench",
    .operands = "[FILE]",
    .summary =
        "Picks one micrograph, FILE or a synthetic one, several times and prints the median\n"
        "time of each stage, micrographs a second, latency and the memory it took.\n"
        "Without --diameter the particle is 78 px wide.",
    .options = options_table,
};

enum { COLUMN_TOTAL = PS_STAGE_COUNT, COLUMNS };

struct measurement {
    int width;
    int height;
    struct ps_aspire parameters; /* all 0: another profile, which has none of these */
    int references;
    uint64_t repeat;
    double (*milliseconds)[COLUMNS]; /* a run */
    double median[COLUMNS];
    double slowest; /* total, ms */
    size_t picks;
    char device[96];
    int threads;
    double memory_megabytes;  /* largest resident size of this process */
    double score_nanoseconds; /* a pair of windows, by one core */
    double score_limit_share; /* of the cores' multiply-adds */
};

/* ---- the micrograph ---------------------------------------------------------------------------
 */

static int synthesise(const struct ps_config *config, uint64_t size, struct ps_image *ret_image,
                      void **ret_pixels, struct ps_error *error)
{
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = options.height = (int)size;
    double diameter = 0;
    int status = ps_picker_diameter(config, options.pixel_size, &diameter, error);
    if (status)
        return status;
    options.diameter = diameter * options.pixel_size;
    float *pixels = malloc(size * size * sizeof *pixels);
    if (!pixels)
        return ps_fail_memory(error, size * size * sizeof *pixels, "a micrograph");
    struct ps_synth_truth truth = {0};
    status = ps_synth_micrograph(&options, 0, pixels, &truth, error);
    if (status) {
        free(pixels);
        return status;
    }
    ps_synth_truth_done(&truth);
    *ret_pixels = pixels;
    *ret_image = (struct ps_image){pixels, PS_PIXEL_F32, (int)size, (int)size, options.pixel_size};
    return 0;
}

/* ---- measuring --------------------------------------------------------------------------------
 */

static void remember_parameters(void *context, const struct ps_stage_view *view)
{
    struct measurement *m = context;
    if (view->parameters)
        m->parameters = *view->parameters;
    m->references = view->slot->references;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Median of one column; sorts a copy. The largest goes to `ret_largest`. */
static double median(const struct measurement *m, int column, double *ret_largest)
{
    double values[MAX_REPEAT] = {0};
    for (uint64_t i = 0; i < m->repeat; i++)
        values[i] = m->milliseconds[i][column];
    qsort(values, m->repeat, sizeof *values, by_value);
    *ret_largest = values[m->repeat - 1];
    return (values[(m->repeat - 1) / 2] + values[m->repeat / 2]) / 2;
}

struct peak_job {
    const struct ps_simd *simd;
    size_t rounds;
};

static void peak_piece(void *context, int thread, size_t piece)
{
    (void)thread;
    (void)piece;
    const struct peak_job *job = context;
    float sum;
    (void)job->simd->peak(job->rounds, &sum);
}

/* Multiply-adds a second that all cores do together. */
static double peak_rate(const struct ps_simd *simd, int threads)
{
    struct peak_job job = {simd, 1000000};
    float sum;
    double operations = simd->peak(job.rounds, &sum) * threads;
    double best = 0;
    for (int trial = 0; trial < 5; trial++) {
        double start = ps_progress_clock();
        ps_parallel(threads, (size_t)threads, peak_piece, &job);
        double rate = operations / (ps_progress_clock() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

static void rate_score(struct measurement *m)
{
    double pairs = (double)m->parameters.queries * m->parameters.queries * m->references;
    double seconds = m->median[PS_STAGE_SCORE] / 1e3;
    double rate = pairs * ps_score_operations(m->parameters.query) / seconds;
    m->score_nanoseconds = seconds * m->threads / pairs * 1e9;
    m->score_limit_share = rate / peak_rate(ps_simd_best(), m->threads);
}

static int measure(struct ps_picker *picker, const struct ps_image *image, struct measurement *m,
                   struct ps_error *error)
{
    m->width = image->width;
    m->height = image->height;
    for (uint64_t i = 0; i <= m->repeat; i++) { /* the first one allocates: it does not count */
        struct ps_result result = {0};
        double start = ps_progress_clock();
        int status = ps_picker_pick_observed(picker, image, remember_parameters, m, &result, error);
        if (status)
            return status;
        if (result.outcome == PS_REJECTED)
            return ps_fail(error, PS_E_INPUT, "rejected: %s", result.reason);
        if (i > 0) {
            double *row = m->milliseconds[i - 1];
            memcpy(row, result.milliseconds, sizeof result.milliseconds);
            row[COLUMN_TOTAL] = (ps_progress_clock() - start) * 1e3;
        }
        m->picks = result.count;
        memcpy(m->device, result.device, sizeof m->device);
        ps_result_done(&result);
    }
    for (int column = 0; column < COLUMNS; column++)
        m->median[column] = median(m, column, &m->slowest);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    m->memory_megabytes = (double)usage.ru_maxrss / 1024;
    m->threads =
        picker->config->compute.threads > 0 ? picker->config->compute.threads : ps_core_count();
    if (m->parameters.query)
        rate_score(m);
    return 0;
}

/* ---- printing ---------------------------------------------------------------------------------
 */

static void print_text(const struct measurement *m)
{
    const struct ps_aspire *p = &m->parameters;
    (void)printf("pickstream %s\n%s\n", ps_version(), m->device);
    (void)printf("micrograph %d x %d px: %zu picks\n", m->width, m->height, m->picks);
    if (p->query)
        (void)printf("windows of %d working px, %d x %d queries, %d references\n", p->query,
                     p->queries, p->queries, m->references);
    (void)putchar('\n');
    (void)printf("%-12s %10s %7s\n", "stage", "median ms", "share");
    for (int stage = 0; stage < COLUMNS; stage++)
        (void)printf("%-12s %10.1f %6.1f%%\n",
                     stage == COLUMN_TOTAL ? "total" : ps_stage_name((enum ps_stage)stage),
                     m->median[stage], m->median[stage] / m->median[COLUMN_TOTAL] * 100);
    (void)printf("\n%-12s %10.2f micrographs/s\n", "rate", 1e3 / m->median[COLUMN_TOTAL]);
    (void)printf("%-12s %10.1f ms median, %.1f ms slowest of %llu\n", "latency",
                 m->median[COLUMN_TOTAL], m->slowest, (unsigned long long)m->repeat);
    (void)printf("%-12s %10.0f MB at most\n", "memory", m->memory_megabytes);
    if (p->query)
        (void)printf("%-12s %10.0f ns a pair and core, %.0f %% of the multiply-adds of %d cores\n",
                     "score", m->score_nanoseconds, m->score_limit_share * 100, m->threads);
}

static void print_json(const struct measurement *m)
{
    json_t *stages = json_object();
    for (int stage = 0; stage < COLUMNS; stage++)
        (void)json_object_set_new(
            stages, stage == COLUMN_TOTAL ? "total" : ps_stage_name((enum ps_stage)stage),
            json_real(m->median[stage]));
    json_t *root = json_pack(
        "{s:s, s:s, s:[i,i], s:i, s:i, s:i, s:I, s:I, s:o, s:f, s:f, s:f, s:f, s:f}", "version",
        ps_version(), "device", m->device, "shape", m->height, m->width, "query",
        m->parameters.query, "queries", m->parameters.queries * m->parameters.queries, "references",
        m->references, "picks", (json_int_t)m->picks, "repeat", (json_int_t)m->repeat,
        "milliseconds", stages, "slowest_milliseconds", m->slowest, "micrographs_per_second",
        1e3 / m->median[COLUMN_TOTAL], "memory_megabytes", m->memory_megabytes,
        "score_nanoseconds_a_pair", m->score_nanoseconds, "score_share_of_peak",
        m->score_limit_share);
    (void)json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(5));
    (void)putchar('\n');
    json_decref(root);
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int bench(const struct ps_config *config, const struct bench_options *options,
                 const char *file, struct ps_error *error)
{
    struct ps_micrograph *micrograph = NULL;
    void *pixels = NULL;
    struct ps_image image = {0};
    struct ps_picker *picker = NULL;
    struct ps_read_options read = {config->input.movies, config->compute.max_pixels};
    int status = ps_picker_new(config, &picker, error);
    if (status == 0 && file)
        status = ps_micrograph_read(file, &read, &micrograph, error);
    else if (status == 0)
        status = synthesise(config, options->size, &image, &pixels, error);
    if (status == 0 && micrograph)
        image = micrograph->image;
    struct measurement m = {.repeat = options->repeat};
    if (status == 0) {
        m.milliseconds = calloc(m.repeat, sizeof *m.milliseconds);
        status = m.milliseconds ? measure(picker, &image, &m, error)
                                : ps_fail_memory(error, m.repeat, "times");
    }
    if (status == 0 && options->json)
        print_json(&m);
    else if (status == 0)
        print_text(&m);
    free(m.milliseconds);
    free(pixels);
    ps_micrograph_free(micrograph);
    ps_picker_free(picker);
    return status;
}

int ps_cmd_bench(int argc, char **argv)
{
    struct ps_config *config = ps_config_new();
    struct ps_error error;
    if (!config || ps_config_set(config, "picker.particle_diameter", "78px", &error)) {
        (void)fputs("pickstream bench: no memory\n", stderr);
        ps_config_free(config);
        return PS_EXIT_FAILURE;
    }
    struct bench_options options = {.repeat = 5, .size = 4096};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO) {
        if (argc - operands > 1) {
            status = ps_cli_usage(&cli, "one FILE expected");
        } else {
            int failure = bench(config, &options, argv[operands], &error);
            if (failure)
                (void)fprintf(stderr, "pickstream bench: %s\n", error.message);
            status = failure == PS_E_CONFIG ? PS_EXIT_USAGE
                     : failure              ? PS_EXIT_FAILURE
                                            : PS_EXIT_OK;
        }
    }
    ps_config_free(config);
    return status;
}
