/* Time of one correlation, by window size and by the way it is computed: which path is faster from
 * which size on (LARGEST_DIRECT_QUERY in cpu_score.c). One thread.
 *
 *     make bench
 */
#include "backend/cpu/slot.h"
#include "synth/synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SIDE = 1200 };

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void stop_if(int status, const struct ps_error *error)
{
    if (status == 0)
        return;
    (void)fprintf(stderr, "%s\n", error->message);
    exit(1);
}

/* Microseconds a pair, the better of two runs. */
static double time_path(struct ps_slot *slot, const struct ps_simd *simd, struct ps_error *error)
{
    struct cpu_slot *cpu = (struct cpu_slot *)slot;
    double pairs = (double)cpu->queries * cpu->queries * slot->references;
    double best = 1e9;
    for (int run = 0; run < 2; run++) {
        double start = seconds();
        stop_if(cpu_score_responses(cpu, simd, error), error);
        double took = seconds() - start;
        best = took < best ? took : best;
    }
    return best / pairs * 1e6;
}

int main(void)
{
    static const int sizes[] = {8, 16, 20, 26, 40, 52, 66, 100, 130, 160, 200, 256, 300};
    struct ps_error error;
    struct ps_synth_options options = PS_SYNTH_DEFAULTS;
    options.width = options.height = SIDE;
    float *pixels = malloc((size_t)SIDE * SIDE * sizeof *pixels);
    struct ps_synth_truth truth = {0};
    stop_if(ps_synth_micrograph(&options, 0, pixels, &truth, &error), &error);
    ps_synth_truth_done(&truth);
    struct ps_image image = {pixels, PS_PIXEL_F32, SIDE, SIDE, 0};
    struct ps_backend_options backend_options = {.threads = 1};
    struct ps_backend *backend = NULL;
    struct ps_slot *slot = NULL;
    struct ps_pixel_report report;
    stop_if(ps_backend_cpu.open(&backend_options, &backend, &error), &error);
    stop_if(ps_backend_cpu.slot_new(backend, &slot, &error), &error);
    stop_if(ps_backend_cpu.upload(slot, &image, &report, &error), &error);
    struct ps_crop crop = {0, 0, SIDE};
    stop_if(ps_backend_cpu.preprocess(slot, &crop, &error), &error);

    const struct ps_simd *list[PS_MAX_SIMD] = {NULL};
    size_t count = ps_simd_list(list);
    (void)printf("%s\nmicroseconds a pair\n   q      fftw", backend->device);
    for (size_t i = 0; i < count; i++)
        (void)printf("%10s", list[i]->name);
    (void)printf("   fftw/best\n");
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        stop_if(ps_backend_cpu.moments(slot, sizes[s], &error), &error);
        stop_if(ps_backend_cpu.references_choose(slot, SIDE / 2, &error), &error);
        double fftw = time_path(slot, NULL, &error);
        double last = fftw;
        (void)printf("%4d%10.3f", sizes[s], fftw);
        for (size_t i = 0; i < count; i++)
            (void)printf("%10.3f", last = time_path(slot, list[i], &error));
        (void)printf("%10.1f\n", fftw / last);
    }
    ps_backend_cpu.slot_free(slot);
    ps_backend_cpu.close(backend);
    free(pixels);
    return 0;
}
