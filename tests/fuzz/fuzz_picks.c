/* Fuzzes the readers of files of picks, those of other programs and ours: no file may crash one,
 * and what is accepted has finite coordinates and can be written in every format, or is refused
 * with a reason. The first byte of an input chooses the format, the rest is the file. */
#include "picks/format.h"
#include "picks/input.h"
#include "picks/read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check_error(int status, const struct ps_error *error)
{
    if (status != 0 && (error->message[0] == '\0' || strchr(error->message, '\n')))
        abort(); /* every fault is reported in one line */
}

static void write_all(struct ps_pick_file *files, size_t count)
{
    for (const struct ps_picks_format *format = ps_picks_formats; format->name; format++) {
        FILE *stream = fopen("/dev/null", "we");
        struct ps_error error = {0};
        if (!stream)
            abort();
        check_error(format->write(files, format->many ? count : 1, stream, &error), &error);
        (void)fclose(stream);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    size_t formats = 0;
    while (ps_picks_formats[formats].name)
        formats++;
    if (length < 2)
        return -1; /* no file, and fmemopen() takes no empty one */
    struct ps_outcome_record_list list = {0};
    struct ps_picks_read_options options = {0};
    struct ps_error error = {0};
    struct ps_picks_input input = {
        .stream = fmemopen((void *)(bytes + 1), length - 1, "r"),
        .path = "input",
        .name = "micrograph",
        .options = &options,
        .format = &ps_picks_formats[bytes[0] % formats],
        .list = &list,
        .read_other = ps_picks_read,
    };
    if (!input.stream)
        abort();
    int status = input.format->read(&input, &error);
    check_error(status, &error);
    struct ps_pick_file *files = calloc(list.count + 1, sizeof *files);
    for (size_t i = 0; i < list.count; i++) {
        if (ps_picks_filter(&list.items[i]->result, -INFINITY, &error) != 0)
            abort();
        files[i] = ps_outcome_record_pick_file(list.items[i]);
        for (size_t k = 0; k < files[i].result->count && status == 0; k++)
            if (!isfinite(files[i].result->picks[k].x) || !isfinite(files[i].result->picks[k].y))
                abort();
    }
    if (list.count > 0 && status == 0)
        write_all(files, list.count);
    free(files);
    ps_outcome_record_list_done(&list);
    (void)fclose(input.stream);
    return 0;
}
