/* Copies a micrograph to the GPU, for both profiles: in the file's pixel type, converted and
 * repaired there.
 *
 * The host waits for the GPU once, for the statistics and the marks of dead lines. Dead lines are
 * searched before it is known whether all pixels are finite; if some are not, or if columns are
 * dead, the steps that depend on it run again. */
#include "backend/cuda/slot.h"
#include "formulas/dead_lines.h"
#include "image/micrograph.h"
#include "launch.h"

#include <stdlib.h>
#include <string.h>

struct upload {
    struct cuda_slot *slot;
    float *pixels;
    int width;
    int height;
    size_t count;
    /* device */
    struct ps_upload_statistics *parts;
    struct ps_dead_line *dead;
    struct ps_upload_statistics *total;
    uint8_t *marks; /* per column, then per row; directly after `total` on both sides */
    /* host */
    struct ps_dead_line *host_dead; /* one allocation with the two below */
    struct ps_upload_statistics *host_total;
    uint8_t *host_marks;
};

static int upload_convert(const struct upload *u, const struct ps_image *image,
                          struct ps_error *error)
{
    struct cuda_slot *slot = u->slot;
    void *raw = u->pixels;
    size_t bytes = u->count * ps_pixel_bytes(image->type);
    if (image->type != PS_PIXEL_F32) {
        PS_TRY(cuda_reserve(slot, &slot->raw, bytes, "the file's pixels", error));
        raw = slot->raw.data;
    }
    PS_TRY(cuda_send(slot, raw, image->pixels, bytes, error));
    return CU(ps_launch_upload_convert(raw, image->type, u->count, u->pixels, u->parts, u->total,
                                       slot->stream));
}

static int mark_rows(const struct upload *u, struct ps_error *error)
{
    return CU(ps_launch_upload_rows(u->pixels, u->width, u->height, u->marks + u->width,
                                    u->slot->stream));
}

static int mark_lines(const struct upload *u, struct ps_error *error)
{
    int status =
        CU(ps_launch_upload_columns(u->pixels, u->width, u->height, u->marks, u->slot->stream));
    return status ? status : mark_rows(u, error);
}

static int receive_findings(const struct upload *u, struct ps_error *error)
{
    size_t marks = (size_t)u->width + (size_t)u->height;
    return cuda_receive(u->slot, u->host_total, u->total, sizeof *u->total + marks, error);
}

/* Repairs the marked lines of `lines` lines: `step` pixels apart, of `count` pixels `stride`
 * apart. */
static int upload_repair(const struct upload *u, const uint8_t *marked, int lines, size_t step,
                         int count, size_t stride, int *ret_dead, int *ret_first,
                         struct ps_error *error)
{
    size_t repairable = 0;
    *ret_dead = (int)ps_dead_lines(marked, (size_t)lines, u->host_dead, &repairable);
    *ret_first = *ret_dead ? u->host_dead[0].line : -1;
    if (!repairable)
        return 0;
    PS_TRY(cuda_send(u->slot, u->dead, u->host_dead, repairable * sizeof *u->host_dead, error));
    return CU(ps_launch_upload_interpolate(u->pixels, u->dead, repairable, step, count, stride,
                                           u->slot->stream));
}

static int repair_lines(const struct upload *u, struct ps_pixel_report *report,
                        struct ps_error *error)
{
    size_t width = (size_t)u->width;
    PS_TRY(upload_repair(u, u->host_marks, u->width, 1, u->height, width, &report->dead_columns,
                         &report->first_dead_column, error));
    /* Constant rows are only meaningful after the columns are repaired. */
    if (report->dead_columns) {
        PS_TRY(mark_rows(u, error));
        PS_TRY(receive_findings(u, error));
    }
    return upload_repair(u, u->host_marks + width, u->height, width, u->width, 1,
                         &report->dead_rows, &report->first_dead_row, error);
}

static int upload_inspect(const struct upload *u, struct ps_pixel_report *ret_report,
                          struct ps_error *error)
{
    PS_TRY(mark_lines(u, error));
    PS_TRY(receive_findings(u, error));
    const struct ps_upload_statistics *total = u->host_total;
    struct ps_pixel_report report = {
        .non_finite = u->count - total->finite,
        .first_dead_column = -1,
        .first_dead_row = -1,
        .minimum = (double)total->minimum,
        .maximum = (double)total->maximum,
        .mean = total->finite ? total->sum / (double)total->finite : 0.0,
    };
    bool lines = report.maximum > report.minimum;
    if (report.non_finite) {
        PS_TRY(
            CU(ps_launch_upload_replace(u->pixels, u->count, (float)report.mean, u->slot->stream)));
        if (lines) {
            PS_TRY(mark_lines(u, error));
            PS_TRY(receive_findings(u, error));
        }
    }
    if (lines)
        PS_TRY(repair_lines(u, &report, error));
    *ret_report = report;
    return 0;
}

/* Lays out the findings: on the device, and on the host without the parts. */
static int upload_reserve(struct upload *u, struct ps_error *error)
{
    struct cuda_slot *slot = u->slot;
    size_t marks = (size_t)u->width + (size_t)u->height;
    size_t lines = (size_t)(u->width > u->height ? u->width : u->height);
    size_t parts = ps_upload_parts(u->count) * sizeof *u->parts;
    size_t dead = lines * sizeof *u->dead;
    size_t bytes = parts + dead + sizeof *u->total + marks;
    PS_TRY(
        cuda_reserve(slot, &slot->micrograph, u->count * sizeof(float), "the micrograph", error));
    PS_TRY(cuda_reserve(slot, &slot->findings, bytes, "pixel statistics", error));
    u->host_dead = calloc(1, bytes - parts);
    if (!u->host_dead)
        return ps_fail_memory(error, bytes - parts, "pixel statistics");
    u->host_total = (struct ps_upload_statistics *)(u->host_dead + lines);
    u->host_marks = (uint8_t *)(u->host_total + 1);
    u->pixels = slot->micrograph.data;
    u->parts = slot->findings.data;
    u->dead = (struct ps_dead_line *)(u->parts + ps_upload_parts(u->count));
    u->total = (struct ps_upload_statistics *)(u->dead + lines);
    u->marks = (uint8_t *)(u->total + 1);
    return 0;
}

int cuda_upload(struct ps_slot *base, const struct ps_image *image,
                struct ps_pixel_report *ret_report, struct ps_error *error)
{
    struct upload u = {
        .slot = (struct cuda_slot *)base,
        .width = image->width,
        .height = image->height,
        .count = (size_t)image->width * (size_t)image->height,
    };
    int status = upload_reserve(&u, error);
    if (status == 0)
        status = upload_convert(&u, image, error);
    if (status == 0)
        status = upload_inspect(&u, ret_report, error);
    free(u.host_dead);
    if (status == 0) {
        u.slot->width = image->width;
        u.slot->height = image->height;
    }
    return status;
}
