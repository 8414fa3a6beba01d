/* Writes the plain tables: EMAN's boxes, Topaz's coordinates, and CSV. */
#include "picks/writers.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number; "" if it is unknown. */
static const char *number(float value, char ret_text[PS_NUMBER_TEXT])
{
    return isnan(value) ? "" : ps_text_from_float(value, ret_text);
}

/* Whole numbers, as EMAN and RELION read them: the centre is rounded, halves up; the corner at the
 * smallest x and y is half a side from it, rounded down. */
int ps_picks_write_box(const struct ps_pick_file *files, size_t count, FILE *stream,
                       struct ps_error *error)
{
    (void)count;
    const struct ps_result *result = files->result;
    int side = 0;
    int status = result->count ? ps_picks_box_side(files, &side, error) : 0;
    int half = side / 2;
    for (size_t i = 0; i < result->count && status == 0; i++) {
        const struct ps_pick *pick = &result->picks[i];
        (void)fprintf(stream, "%.0f\t%.0f\t%d\t%d\n", floor((double)pick->x + 0.5) - half,
                      floor((double)pick->y + 0.5) - half, side, side);
    }
    return status;
}

static bool is_tiff(const struct ps_pick_file *file)
{
    return file->micrograph && file->micrograph->format &&
           strcmp(file->micrograph->format, "tiff") == 0;
}

/* The name of a micrograph for Topaz, without directory and extension. Returns its length. */
static int topaz_name(const struct ps_pick_file *file, const char **ret_name)
{
    const char *slash = strrchr(file->path, '/');
    *ret_name = slash ? slash + 1 : file->path;
    return (int)(file->path + ps_picks_stem(file->path) - *ret_name);
}

int ps_picks_name_in_tsv(const struct ps_pick_file *file, char **ret_name, struct ps_error *error)
{
    const char *name;
    int length = topaz_name(file, &name);
    if (memchr(name, '\t', (size_t)length) || memchr(name, '\n', (size_t)length) ||
        memchr(name, '\r', (size_t)length))
        return ps_fail(error, PS_E_INPUT,
                       "%.300s: a tsv file cannot hold this name: a tab or a line end", file->path);
    return (*ret_name = strndup(name, (size_t)length))
               ? 0
               : ps_fail_memory(error, (size_t)length, "a name");
}

/* Topaz counts the rows of a TIFF from the top. */
int ps_picks_write_tsv(const struct ps_pick_file *files, size_t count, FILE *stream,
                       struct ps_error *error)
{
    bool scored = ps_picks_have_score(files, count);
    (void)fprintf(stream, "image_name\tx_coord\ty_coord%s\n", scored ? "\tscore" : "");
    for (size_t i = 0; i < count; i++) {
        const struct ps_pick_file *file = &files[i];
        const char *name;
        int length = topaz_name(file, &name);
        bool turned = is_tiff(file);
        if (turned && file->height < 1)
            return ps_fail(error, PS_E_INPUT,
                           "%.300s: the height is needed, for Topaz counts the rows of a TIFF from "
                           "the top",
                           file->path);
        for (size_t k = 0; k < file->result->count; k++) {
            const struct ps_pick *pick = &file->result->picks[k];
            char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT];
            if (turned)
                (void)ps_text_from_double(file->height - 1 - (double)pick->y, y);
            else
                (void)ps_text_from_float(pick->y, y);
            (void)fprintf(stream, "%.*s\t%s\t%s", length, name, ps_text_from_float(pick->x, x), y);
            if (scored)
                (void)fprintf(stream, "\t%s", number(pick->score, score));
            (void)fputc('\n', stream);
        }
    }
    return 0;
}

int ps_picks_write_csv(const struct ps_pick_file *files, size_t count, FILE *stream,
                       struct ps_error *error)
{
    (void)count;
    (void)error;
    const struct ps_result *result = files->result;
    (void)fputs("x,y,score,area\n", stream);
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT], area[PS_NUMBER_TEXT];
        (void)fprintf(stream, "%s,%s,%s,%s\n", number(pick->x, x), number(pick->y, y),
                      number(pick->score, score), number(pick->area, area));
    }
    return 0;
}
