#include "picker/pick_run.h"

#include "base/parallel.h"
#include "base/progress.h"
#include "base/warning.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- reporting --------------------------------------------------------------------------------
 */

void ps_picking_reject(struct ps_result *result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(result->reason, sizeof result->reason, format, arguments);
    va_end(arguments);
    result->outcome = PS_REJECTED;
}

void ps_picking_stage_done(struct ps_picking *run, enum ps_stage stage)
{
    if (run->observer) {
        run->view.stage = stage;
        run->view.slot = run->slot;
        run->observer(run->observer_context, &run->view);
    }
    ps_progress_tick();
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    run->result->milliseconds[stage] += (double)(now.tv_sec - run->lap.tv_sec) * 1e3 +
                                        (double)(now.tv_nsec - run->lap.tv_nsec) * 1e-6;
    run->lap = now;
}

/* ---- stages -----------------------------------------------------------------------------------
 */

/* From this share of the micrograph on, areas without image data are worth a warning; a usual
 * margin of motion correction is narrower. */
static const double MANY_DEAD = 0.03;

static int find_dead_areas(struct ps_picking *run)
{
    int threads = run->config->compute.threads ? run->config->compute.threads : ps_core_count();
    int status = ps_dead_areas_find(run->image, threads, &run->dead, run->error);
    double share = (double)run->dead.count / ((double)run->dead.columns * run->dead.rows);
    if (status == 0 && run->dead.count && share >= MANY_DEAD)
        ps_warning_add(run->result, PS_WARNING_NO_DATA,
                       "no image data in %.1f %% of the micrograph (constant, repeated or "
                       "non-finite pixels): not picked there",
                       100 * share);
    return status;
}

int ps_picking_upload(struct ps_picking *run)
{
    struct ps_pixel_report report = {0};
    int status = run->ops->upload(run->slot, run->image, &report, run->error);
    if (status)
        return status;
    uint64_t pixels = (uint64_t)run->image->width * (uint64_t)run->image->height;
    if (report.non_finite == pixels)
        ps_picking_reject(run->result, "no pixel is a finite number");
    else if (report.minimum >= report.maximum)
        ps_picking_reject(run->result, "constant image: every pixel is %g", report.minimum);
    else if (report.non_finite)
        ps_warning_add(run->result, PS_WARNING_PIXELS,
                       "%llu pixels are no finite numbers: replaced by the mean",
                       (unsigned long long)report.non_finite);
    if (report.dead_columns)
        ps_warning_add(run->result, PS_WARNING_PIXELS,
                       "%d dead columns, the first at x = %d: interpolated", report.dead_columns,
                       report.first_dead_column);
    if (report.dead_rows)
        ps_warning_add(run->result, PS_WARNING_PIXELS,
                       "%d dead rows, the first at y = %d: interpolated", report.dead_rows,
                       report.first_dead_row);
    if (run->result->outcome == PS_PICKED)
        status = find_dead_areas(run);
    ps_picking_stage_done(run, PS_STAGE_UPLOAD);
    return status;
}
