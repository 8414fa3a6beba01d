/* One micrograph on its way through the stages of a profile. picker.c begins and ends it; the
 * profiles' files have the order of their stages. */
#ifndef PS_PICKER_PICKING_H
#define PS_PICKER_PICKING_H

#include "picker/picker.h"

#include <time.h>

struct ps_picking {
    const struct ps_config *config;
    struct ps_slot *slot;
    const struct ps_backend_ops *ops;
    const struct ps_image *image;
    const struct ps_adaptive_rules *rules;
    struct ps_result *result;
    struct ps_error *error;
    ps_stage_observer *observer;
    void *observer_context;
    struct ps_stage_view view; /* for the observer; a profile fills in what is its own */
    struct timespec lap;
};

/* The profiles. Both leave a result that is whole but for the order and the selection of picks. */
int ps_picking_aspire(struct ps_picking *base);
int ps_picking_adaptive(struct ps_picking *base);

/* Uploads the micrograph; says what was wrong with its pixels, and may reject it. */
int ps_picking_upload(struct ps_picking *run);

/* Ends a stage: its time is what passed since the one before ended. */
void ps_picking_stage_done(struct ps_picking *run, enum ps_stage stage);

__attribute__((format(printf, 2, 3))) void ps_picking_warn(struct ps_result *result,
                                                           const char *format, ...);
__attribute__((format(printf, 2, 3))) void ps_picking_reject(struct ps_result *result,
                                                             const char *format, ...);

#endif
