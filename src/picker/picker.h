/* A picker from inside: what tests and tools need beside the public interface. */
#ifndef PS_PICKER_PICKER_H
#define PS_PICKER_PICKER_H

#include "backend/backend.h"
#include "config/config.h"
#include "picker/adaptive.h"
#include "picker/aspire.h"
#include "picker/pick_run.h"
#include "pickstream.h"

struct ps_picker {
    struct ps_config *config;
    struct ps_backend *backend;
    struct ps_slot *slot;
    const struct ps_adaptive_rules *rules; /* ps_adaptive_rules, but for benchmarks */
};

/* ps_picker_new() on one of the devices of ps_backend_devices(), with a configuration that
 * ps_config_check() accepts. */
int ps_picker_new_on(const struct ps_config *config, int device, struct ps_picker **ret_picker,
                     struct ps_error *error);

/* ps_picker_pick() under the eyes of `observer` (may be NULL). */
int ps_picker_pick_observed(struct ps_picker *picker, const struct ps_image *image,
                            ps_stage_observer *observer, void *context,
                            struct ps_result *ret_result, struct ps_error *error);

/* What computes: "cpu AMD EPYC 9654, 16 threads, avx512". */
const char *ps_picker_device(const struct ps_picker *picker);
bool ps_picker_is_gpu(const struct ps_picker *picker);

/* Where result->pixel_size is from: "configuration", "header", or NULL where it is unknown. */
const char *ps_pixel_size_source(const struct ps_config *config, const struct ps_result *result);

/* Particle diameter in px of a micrograph of this pixel size (angstrom, 0 unknown).
 * PS_E_INPUT: it is set in angstrom and the pixel size is unknown. */
int ps_picker_diameter(const struct ps_config *config, double pixel_size, double *ret_diameter,
                       struct ps_error *error);

#endif
