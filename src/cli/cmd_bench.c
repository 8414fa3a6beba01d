/* pickstream bench: measures one micrograph stage by stage, and many at the same time. */
#include "base/error.h"
#include "cli/arguments.h"
#include "cli/bench.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "config/config.h"
#include "image/micrograph.h"
#include "picker/scale.h"
#include "service/picker_pool.h"
#include "synth/synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct bench_options {
    bool json;
    uint64_t repeat;
    uint64_t size;
    uint64_t slots;
    uint64_t micrographs;
    char *timeline;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_FLAG(0, "json", struct bench_options, json, "print JSON"),
    PS_CLI_UINT('n', "repeat", "N", struct bench_options, repeat, 1, BENCH_MAX_REPEAT,
                "pick N times after one that does not count (default: 5)"),
    PS_CLI_UINT(0, "size", "PX", struct bench_options, size, 512, 16384,
                "side of the synthetic micrograph (default: 4096)"),
    PS_CLI_UINT(0, "slots", "N", struct bench_options, slots, 1, 64,
                "micrographs at once for the rate (default: 1 on the CPU, 3 on a GPU)"),
    PS_CLI_UINT(0, "micrographs", "N", struct bench_options, micrographs, 1, 1000000,
                "micrographs for the rate (default: as --repeat)"),
    PS_CLI_TEXT(0, "timeline", "FILE", struct bench_options, timeline,
                "write when the GPU did what for the rate, as tab-separated lines"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "bench",
    .picks = true,
    .operands = "[FILE]",
    .summary =
        "Picks one micrograph, FILE or a synthetic one, several times on every GPU and on the\n"
        "CPU (or on --backend), and prints the median time of each stage, the rate with one in\n"
        "each slot at the same time, latency and memory.\n"
        "Without --diameter the particle is 78 px wide.",
    .options = options_table,
};

enum { DEFAULT_SIDE = 4096 /* px, of the synthetic micrograph */ };
enum { MOST_DEVICES = PS_MAX_DEVICES + 1 };

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

/* ---- devices ----------------------------------------------------------------------------------
 */

static int bench_device(const struct bench_input *input, const struct bench_options *options,
                        int number, FILE *timeline, struct bench_device *ret_device,
                        struct ps_error *error)
{
    struct ps_picker *picker = NULL;
    int status = ps_picker_new_on(input->config, number, &picker, error);
    if (status)
        return status;
    struct bench_device device = {0};
    memcpy(device.name, ps_picker_device(picker), sizeof device.name);
    bool gpu = ps_picker_is_gpu(picker);
    status = bench_measure_latency(picker, input, options->repeat, &device.latency, error);
    ps_picker_free(picker);
    size_t slots = options->slots ? options->slots
                   : gpu          ? PS_DEFAULT_GPU_SLOTS
                                  : PS_DEFAULT_CPU_SLOTS;
    uint64_t micrographs = options->micrographs ? options->micrographs : options->repeat;
    if (status == 0)
        status = bench_measure_stream(input, number, slots, micrographs, timeline, &device.stream,
                                      error);
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    device.memory_megabytes = (double)usage.ru_maxrss / 1024;
    if (status == 0)
        *ret_device = device;
    return status;
}

/* Lists the configured devices, and with backend "auto" the CPU as the last one. */
static int bench_devices(struct bench_input *input, const struct bench_options *options,
                         struct ps_config *config, FILE *timeline, struct ps_error *error)
{
    int numbers[PS_MAX_DEVICES];
    int count = 0;
    struct bench_device devices[MOST_DEVICES];
    int done = 0;
    bool both = strcmp(config->compute.backend, "auto") == 0 && !config->compute.require_gpu &&
                ps_cuda_count() > 0;
    int status = ps_backend_devices(config->compute.backend, &config->compute.devices, numbers,
                                    &count, error);
    for (int i = 0; status == 0 && i < count + both; i++) {
        if (i == count)
            status = ps_config_set(config, "compute.backend", "cpu", error);
        if (status == 0)
            status = bench_device(input, options, i < count ? numbers[i] : 0, timeline,
                                  &devices[done], error);
        if (status == 0 && !options->json) {
            if (done)
                (void)putchar('\n');
            bench_print_text(input, &devices[done]);
        }
        done += status == 0;
    }
    if (status == 0 && options->json)
        status = bench_print_json(input, devices, (size_t)done, error);
    return status;
}

/* ---- the command -------------------------------------------------------------------------------
 */

static int bench(struct ps_config *config, const struct bench_options *options, const char *file,
                 struct ps_error *error)
{
    struct ps_micrograph *micrograph = NULL;
    void *pixels = NULL;
    struct bench_input input = {.config = config, .file = file};
    struct ps_read_options read = {.movies = config->input.movies,
                                   .max_pixels = config->compute.max_pixels};
    FILE *timeline = NULL;
    int status = ps_config_check(config, error);
    if (status == 0 && options->timeline && !(timeline = fopen(options->timeline, "we")))
        status = ps_fail(error, PS_E_SYSTEM, "%s: cannot be written", options->timeline);
    if (status == 0 && file)
        status = ps_micrograph_read(file, &read, &micrograph, error);
    else if (status == 0)
        status = synthesise(config, options->size, &input.image, &pixels, error);
    if (status == 0 && micrograph)
        input.image = micrograph->image;
    char scale[PS_SCALE_TEXT];
    if (status == 0)
        ps_say("pickstream bench: %s", ps_scale_text(config, input.image.pixel_size, scale));
    if (timeline)
        (void)fputs("slot\tmicrograph\tstage\tbegin_ms\tend_ms\n", timeline);
    if (status == 0)
        status = bench_devices(&input, options, config, timeline, error);
    if (timeline && fclose(timeline) != 0 && status == 0)
        status = ps_fail(error, PS_E_SYSTEM, "%s: cannot be written", options->timeline);
    free(pixels);
    ps_micrograph_free(micrograph);
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
    struct bench_options options = {.repeat = 5};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, config, &operands);
    if (status == PS_CLI_GO) {
        if (argc - operands > 1) {
            status = ps_cli_usage(&cli, "one FILE expected");
        } else if (options.size && argc > operands) {
            status = ps_cli_usage(&cli, "--size has no effect with FILE");
        } else {
            if (!options.size)
                options.size = DEFAULT_SIDE;
            int failure = bench(config, &options, argv[operands], &error);
            if (failure)
                ps_say("pickstream bench: %s", error.message);
            status = failure == PS_E_CONFIG ? PS_EXIT_USAGE
                     : failure              ? PS_EXIT_FAILURE
                                            : PS_EXIT_OK;
        }
    }
    ps_config_free(config);
    return status;
}
