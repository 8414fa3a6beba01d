#include "cli/pick_session.h"

#include "base/error.h"
#include "base/memory_limit.h"
#include "cli/cmd.h"
#include "cli/interrupt.h"
#include "cli/print.h"
#include "cli/turns.h"
#include "image/micrograph.h"
#include "picker/memory.h"
#include "service/shortage.h"

#include <stdio.h>
#include <string.h>

enum { SAVE_EVERY = 100 /* micrographs between two saves of the list of STAR files */ };

static struct ps_lane *lane_of(struct ps_pick_session *session, int lane)
{
    return lane ? &session->lanes.items[lane - 1] : &session->first;
}

/* ---- one micrograph ---------------------------------------------------------------------------
 */

static int report(struct ps_pick_session *session, const struct ps_found *found,
                  const struct ps_result *result, struct ps_error *error)
{
    char accuracy[PS_ACCURACY_TEXT] = "";
    if (session->truth && result->outcome == PS_PICKED) {
        struct ps_accuracy measured;
        int status = ps_accuracy_compare(session->truth, found->name, result, session->tolerance,
                                         &measured, &session->total, error);
        if (status)
            return status;
        ps_accuracy_text(&measured, accuracy);
    }
    for (size_t i = 0; i < result->warning_count; i++)
        ps_progress_note(&session->progress, "pickstream: %s: %s", found->path,
                         result->warnings[i]);
    if (result->outcome == PS_REJECTED) {
        session->rejected++;
        ps_progress_line(&session->progress, "%s: rejected: %s", found->path, result->reason);
        return 0;
    }
    session->picked++;
    session->picks += result->count;
    double total = 0;
    for (int stage = 0; stage < PS_STAGE_COUNT; stage++)
        total += result->milliseconds[stage];
    ps_progress_line(&session->progress, "%s: %zu picks in %.2f s%s%s", found->path, result->count,
                     total / 1e3, result->truncated ? " (the best of more)" : "", accuracy);
    return 0;
}

/* States pixel size and diameter, the first time and when they change. */
static void state_scale(struct ps_pick_session *session, double pixel_size, const char *source)
{
    char scale[PS_SCALE_TEXT];
    (void)ps_scale_text_of(session->config, pixel_size, source, scale);
    if (strcmp(scale, session->scale) == 0)
        return;
    memcpy(session->scale, scale, sizeof scale);
    ps_progress_note(&session->progress, "pickstream: %s", scale);
}

/* The first line states the scale even if the first micrograph cannot be read. */
static void state_first(struct ps_pick_session *session)
{
    (void)pthread_mutex_lock(&session->lock);
    if (!*session->scale)
        state_scale(session, PS_SCALE_NOT_READ, "");
    (void)pthread_mutex_unlock(&session->lock);
}

static const char *source_of(const struct ps_pick_session *session, const struct ps_found *found,
                             const struct ps_result *result)
{
    const char *source = ps_pixel_size_source(session->config, result);
    const bool listed = found->pixel_size > 0 && session->config->picker.pixel_size <= 0;
    return source && listed ? "star" : source;
}

static int pick_micrograph(struct ps_pick_session *session, struct ps_lane *lane,
                           const struct ps_found *found, const struct ps_micrograph *micrograph,
                           double read_milliseconds, struct ps_error *error)
{
    struct ps_result result = {0};
    int status = ps_picker_pick(lane->picker, &micrograph->image, &result, error);
    if (status)
        return ps_fail_prefix(error, "%s", found->path);
    struct ps_pick_file file = {
        .path = found->listed ? found->listed : found->path,
        .listed = found->listed,
        .name = found->name,
        .width = micrograph->image.width,
        .height = micrograph->image.height,
        .micrograph = micrograph,
        .pixel_size_source = source_of(session, found, &result),
        .profile = session->profile,
        .read_milliseconds = read_milliseconds,
        .result = &result,
    };
    lane->writing = true;
    (void)pthread_mutex_lock(&session->lock);
    session->image = micrograph->image;
    session->image.pixels = NULL;
    status = ps_pick_output_write(&session->output, found, &file, &lane->source, error);
    if (status == 0)
        status = report(session, found, &result, error);
    (void)pthread_mutex_unlock(&session->lock);
    ps_result_done(&result);
    return status;
}

static int pick_file(struct ps_pick_session *session, struct ps_lane *lane,
                     const struct ps_found *found, struct ps_error *error)
{
    lane->writing = false;
    if (found->problem) {
        state_first(session);
        return ps_fail(error, PS_E_INPUT, "%s: %s", found->path, found->problem);
    }
    const struct ps_picker_budget budget = {session->config, ps_picker_is_gpu(lane->picker),
                                            ps_memory_limit("")};
    const struct ps_read_options options = ps_picker_read_options(&budget);
    struct ps_micrograph *micrograph = NULL;
    double start = ps_progress_clock();
    if (stat(found->path, &lane->source) != 0)
        lane->source = (struct stat){0};
    int status = ps_micrograph_read(found->path, &options, &micrograph, error);
    if (status) {
        state_first(session);
        return status;
    }
    if (found->pixel_size > 0)
        micrograph->image.pixel_size = found->pixel_size;
    (void)pthread_mutex_lock(&session->lock);
    state_scale(session, micrograph->image.pixel_size,
                found->pixel_size > 0 ? "STAR file" : "header");
    if (micrograph->warning[0])
        ps_progress_note(&session->progress, "pickstream: %s: %s", found->path,
                         micrograph->warning);
    (void)pthread_mutex_unlock(&session->lock);
    status = pick_micrograph(session, lane, found, micrograph, (ps_progress_clock() - start) * 1e3,
                             error);
    ps_micrograph_free(micrograph);
    return status;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

static void summarise(struct ps_pick_session *session, const struct ps_found_list *list)
{
    char left_out[PS_LEFT_OUT_TEXT];
    char accuracy[PS_ACCURACY_TEXT] = "";
    char before[48] = "";
    if (session->truth && session->picked)
        ps_accuracy_text(&session->total, accuracy);
    if (session->before)
        (void)snprintf(before, sizeof before, ", %zu done before", session->before);
    ps_progress_end(&session->progress);
    if (list->count > 1 || session->failed || session->before || list->left_out.count)
        ps_say("pickstream: %zu picked (%zu picks%s), %zu rejected, %zu failed%s, on %s%s",
               session->picked, session->picks, accuracy, session->rejected, session->failed,
               before, ps_picker_device(session->picker),
               ps_left_out_text(&list->left_out, left_out));
}

/* Says how to continue after a premature end, with `count` micrographs in this run. --truth cannot
 * be resumed. */
static void report_end(const struct ps_pick_session *session, size_t count, const char *why)
{
    ps_say("pickstream: %s: %zu of %zu picked%s", why,
           session->picked + session->rejected + session->before, count + session->before,
           session->truth ? "" : "; the same command with --resume continues");
}

/* Saves the list at intervals, because a run can be killed. */
static void save_list(struct ps_pick_session *session)
{
    struct ps_error error;
    bool failed = ps_autopick_save(session->output.list, &error) != 0;
    while (failed || ps_autopick_left_out(session->output.list, &error)) {
        failed = false;
        session->unlisted = true;
        ps_progress_note(&session->progress, "pickstream: %s", error.message);
    }
}

static int pick_one(void *context, int lane, size_t number, struct ps_error *error)
{
    struct ps_pick_session *session = context;
    return pick_file(session, lane_of(session, lane), &session->list->items[number], error);
}

/* For micrographs like the first one that was picked. A GPU takes one at a time. */
static int open_lanes(void *context)
{
    struct ps_pick_session *session = context;
    if (ps_picker_is_gpu(session->picker))
        return 0;
    ps_lanes_open(session->config, &session->image, session->list->count, &session->lanes);
    session->most_bytes = session->first.source.st_size;
    return session->lanes.count;
}

/* Not one that can need more memory than the lanes were made for. */
static bool fits_lane(void *context, size_t number)
{
    const struct ps_pick_session *session = context;
    struct stat file;
    return stat(session->list->items[number].path, &file) == 0 &&
           file.st_size <= session->most_bytes;
}

/* A disk that is full stays full, so of writing only this. */
static bool is_shortage(void *context, int lane, size_t number, const struct ps_error *error)
{
    struct ps_pick_session *session = context;
    if (lane_of(session, lane)->writing)
        return error->code == PS_E_NOMEM || (error->code == PS_E_SYSTEM && ps_no_descriptors());
    return ps_is_shortage(error->code, error, session->list->items[number].path);
}

/* If it has failed, the files of an earlier run are not the result of this one. They are kept after
 * a failure of the device, which says nothing about the micrograph, and after a failure to write:
 * ps_pick_output_write() keeps the files that were made of this content, for a full disk must not
 * cost them. */
static void one_done(void *context, int lane, size_t number, const struct ps_error *error)
{
    struct ps_pick_session *session = context;
    const struct ps_found *found = &session->list->items[number];
    (void)pthread_mutex_lock(&session->lock);
    if (error) {
        session->failed++;
        if (!found->problem && !lane_of(session, lane)->writing && error->code != PS_E_DEVICE)
            ps_pick_output_remove(&session->output, found->name, found->path);
        ps_progress_note(&session->progress, "pickstream: %s", error->message);
    } else {
        ps_pick_output_replace(&session->output, found, &session->list->left_out);
    }
    if (++session->done % SAVE_EVERY == 0)
        save_list(session);
    ps_progress_step(&session->progress);
    (void)pthread_mutex_unlock(&session->lock);
}

static bool stopped(void *context)
{
    (void)context;
    return ps_interrupted();
}

int ps_pick_session_run(struct ps_pick_session *session, const struct ps_found_list *list)
{
    const struct ps_turns turns = {
        .pick = pick_one,
        .is_shortage = is_shortage,
        .lanes = open_lanes,
        .fits = fits_lane,
        .done = one_done,
        .stopped = stopped,
        .context = session,
    };
    struct ps_error error;
    session->list = list;
    session->first.picker = session->picker;
    (void)pthread_mutex_init(&session->lock, NULL);
    ps_progress_begin(&session->progress, list->count);
    const enum ps_turns_end end = ps_turns_take(&turns, list->count, &error);
    ps_lanes_done(&session->lanes);
    save_list(session);
    if (end == PS_TURNS_SHORT)
        ps_progress_note(&session->progress, "pickstream: %s", error.message);
    summarise(session, list);
    session->complete = end == PS_TURNS_ALL && !session->unlisted;
    if (end == PS_TURNS_SHORT)
        report_end(session, list->count, "ended, as the machine is short of something");
    if (end == PS_TURNS_STOPPED) {
        report_end(session, list->count, "interrupted");
        return PS_EXIT_INTERRUPTED;
    }
    return end == PS_TURNS_SHORT || session->failed || session->unlisted ? PS_EXIT_FAILURE
                                                                         : PS_EXIT_OK;
}
