/* One micrograph on its way through the stages of a profile. picker.c begins and ends it; the
 * profiles (profile.h) have the order of their stages. */
#ifndef PS_PICKER_PICK_RUN_H
#define PS_PICKER_PICK_RUN_H

#include "backend/backend.h"
#include "image/dead_areas.h"
#include "picker/adaptive.h"
#include "picker/aspire.h"

#include <time.h>

/* Called after each stage of a pick, while the slot still holds what the stage left: for comparing
 * stages. `model` is NULL before the stage "train"; `training` holds its `training_count` windows,
 * the first `positives` of them particle. */
struct ps_stage_view {
    enum ps_stage stage;
    struct ps_slot *slot;
    const struct ps_aspire *parameters;
    const struct ps_model *model;
    const struct ps_feature *training;
    size_t training_count;
    size_t positives;
};
typedef void ps_stage_observer(void *context, const struct ps_stage_view *view);

struct ps_picking {
    const struct ps_config *config;
    struct ps_slot *slot;
    const struct ps_backend_ops *ops;
    const struct ps_image *image;
    struct ps_dead_areas dead; /* found by the upload */
    const struct ps_adaptive_rules *rules;
    struct ps_result *result;
    struct ps_error *error;
    ps_stage_observer *observer;
    void *observer_context;
    struct ps_stage_view view; /* for the observer; a profile fills in what is its own */
    struct timespec lap;
};

/* Uploads the micrograph and finds its dead areas; warns of what is wrong with its pixels, and may
 * reject it. */
int ps_picking_upload(struct ps_picking *run);

/* Ends a stage: its time is what passed since the one before ended. */
void ps_picking_stage_done(struct ps_picking *run, enum ps_stage stage);

__attribute__((format(printf, 2, 3))) void ps_picking_reject(struct ps_result *result,
                                                             const char *format, ...);

#endif
