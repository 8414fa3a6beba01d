/* The CPU backend: device, slots, fetch, and the table of the stages. */
#include "backend/cpu/adaptive.h"
#include "backend/windows.h"

#include "base/error.h"
#include "base/parallel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Responses of a 4096 x 4096 micrograph with particles of 78 px take 22 MB. */
static const size_t MAX_KEPT_BYTES = (size_t)256 << 20;

/* "AMD EPYC 9654 96-Core Processor" from /proc/cpuinfo, or "processor". */
static void processor_name(char *ret_name, size_t size)
{
    (void)snprintf(ret_name, size, "processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            (void)snprintf(ret_name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    (void)fclose(file);
}

static int cpu_open(const struct ps_backend_options *options, struct ps_backend **ret_backend,
                    struct ps_error *error)
{
    struct cpu_backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        return ps_fail_memory(error, sizeof *backend, "the CPU backend");
    backend->simd = ps_simd_best();
    backend->threads = options->threads > 0 ? options->threads : ps_core_count();
    backend->base.ops = &ps_backend_cpu;
    char name[48];
    processor_name(name, sizeof name);
    (void)snprintf(backend->base.device, sizeof backend->base.device, "cpu %s, %d threads, %s",
                   name, backend->threads, backend->simd->name);
    *ret_backend = &backend->base;
    return 0;
}

static void cpu_close(struct ps_backend *backend)
{
    free(backend);
}

static int cpu_slot_new(struct ps_backend *backend, struct ps_slot **ret_slot,
                        struct ps_error *error)
{
    const struct cpu_backend *cpu = (const struct cpu_backend *)backend;
    struct cpu_slot *slot = calloc(1, sizeof *slot);
    if (!slot)
        return ps_fail_memory(error, sizeof *slot, "a slot");
    slot->base.backend = backend;
    slot->threads = cpu->threads;
    slot->simd = cpu->simd;
    slot->max_kept_bytes = MAX_KEPT_BYTES;
    *ret_slot = &slot->base;
    return 0;
}

static void cpu_slot_free(struct ps_slot *base)
{
    struct cpu_slot *slot = (struct cpu_slot *)base;
    if (!slot)
        return;
    struct cpu_buffer *buffers[] = {
        &slot->micrograph, &slot->shrunk,    &slot->narrowed, &slot->preprocessed,
        &slot->mean,       &slot->deviation, &slot->spectra,  &slot->responses,
        &slot->score,      &slot->mask,      &slot->levels,   &slot->reference_origins,
        &slot->scratch,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        free(buffers[i]->data);
    cpu_score_done(slot);
    cpu_adaptive_done(slot);
    free(slot);
}

static int cpu_features(struct ps_slot *base, const int (*windows)[2], size_t count,
                        struct ps_feature *ret_features, struct ps_error *error)
{
    const struct cpu_slot *slot = (const struct cpu_slot *)base;
    const float *mean = slot->mean.data;
    const float *deviation = slot->deviation.data;
    PS_TRY(ps_windows_check_origins(base, windows, count, error));
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)windows[i][0] * (size_t)base->windows + (size_t)windows[i][1];
        ret_features[i] =
            (struct ps_feature){base->grey_offset + (double)mean[at], (double)deviation[at]};
    }
    return 0;
}

static void fetch_references(const struct cpu_slot *slot, float *ret_data)
{
    const float *image = slot->preprocessed.data;
    const int *origin = slot->reference_origins.data;
    size_t side = (size_t)slot->base.side;
    size_t q = (size_t)slot->base.query;
    for (int r = 0; r < slot->base.references; r++, origin += 2)
        for (size_t y = 0; y < q; y++, ret_data += q)
            memcpy(ret_data, image + ((size_t)origin[0] + y) * side + (size_t)origin[1],
                   q * sizeof *image);
}

static int cpu_fetch(struct ps_slot *base, enum ps_buffer which, void *ret_data, size_t bytes,
                     struct ps_error *error)
{
    const struct cpu_slot *slot = (const struct cpu_slot *)base;
    PS_TRY(ps_windows_check_fetch(base, which, bytes, error));
    const struct cpu_buffer *const buffers[] = {
        [PS_BUFFER_PREPROCESSED] = &slot->preprocessed,
        [PS_BUFFER_MEAN] = &slot->mean,
        [PS_BUFFER_DEVIATION] = &slot->deviation,
        [PS_BUFFER_SCORE] = &slot->score,
        [PS_BUFFER_MASK] = &slot->mask,
    };
    if (which == PS_BUFFER_REFERENCES)
        fetch_references(slot, ret_data);
    else
        memcpy(ret_data, buffers[which]->data, bytes);
    return 0;
}

const struct ps_backend_ops ps_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .slot_new = cpu_slot_new,
    .slot_free = cpu_slot_free,
    .upload = cpu_upload,
    .preprocess = cpu_preprocess,
    .moments = cpu_moments,
    .references_choose = cpu_references_choose,
    .score = cpu_score,
    .features = cpu_features,
    .classify = cpu_classify,
    .clean = cpu_clean,
    .regions = cpu_regions,
    .fetch = cpu_fetch,
    .adaptive = &ps_adaptive_cpu,
};
