/* Writes the STAR formats: RELION's, cryoSPARC's and crYOLO's. */
#include "picks/writers.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/star.h"

#include <math.h>
#include <string.h>

/* RELION's value for a missing figure of merit. */
static const float no_merit = -999;

/* RELION 3.1 takes any line that contains "data_" as a table, also a comment. So comments contain
 * no file name, and a '_' in a reason is replaced, as are control characters. */
static void write_head(const struct ps_result *result, const char *block, FILE *stream)
{
    (void)fprintf(stream, "# written by pickstream\n");
    if (result && result->outcome == PS_REJECTED) {
        char reason[sizeof result->reason];
        (void)snprintf(reason, sizeof reason, "%s", result->reason);
        for (char *at = reason; *at; at++) {
            if (*at == '_' || (unsigned char)*at < ' ')
                *at = ' ';
        }
        (void)fprintf(stream, "# rejected: %s\n", reason);
    }
    (void)fprintf(stream, "\n%s\n\nloop_\n", block);
}

static void write_centre(const struct ps_pick *pick, bool scored, FILE *stream)
{
    char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT];
    (void)fprintf(stream, "%12s %12s", ps_text_from_float(pick->x, x),
                  ps_text_from_float(pick->y, y));
    if (scored)
        (void)fprintf(stream, " %12s",
                      ps_text_from_float(isnan(pick->score) ? no_merit : pick->score, score));
    (void)fputc('\n', stream);
}

int ps_picks_write_star(const struct ps_pick_file *files, size_t count, FILE *stream,
                        struct ps_error *error)
{
    (void)error;
    const struct ps_result *result = files->result;
    bool scored = ps_picks_have_score(files, count);
    write_head(result, "data_", stream);
    (void)fputs("_rlnCoordinateX #1\n_rlnCoordinateY #2\n", stream);
    if (scored)
        (void)fputs("_rlnAutopickFigureOfMerit #3\n", stream);
    for (size_t i = 0; i < result->count; i++)
        write_centre(&result->picks[i], scored, stream);
    (void)fputc('\n', stream);
    return 0;
}

int ps_picks_name_in_star(const struct ps_pick_file *file, char **ret_name, struct ps_error *error)
{
    int status = ps_star_check_word(file->path, error);
    if (status == 0 && !(*ret_name = strdup(file->path)))
        status = ps_fail_memory(error, strlen(file->path), "a name");
    return status;
}

int ps_picks_write_cryosparc(const struct ps_pick_file *files, size_t count, FILE *stream,
                             struct ps_error *error)
{
    bool scored = ps_picks_have_score(files, count);
    write_head(count == 1 ? files->result : NULL, "data_particles", stream);
    (void)fputs("_rlnMicrographName #1\n_rlnCoordinateX #2\n_rlnCoordinateY #3\n", stream);
    if (scored)
        (void)fputs("_rlnAutopickFigureOfMerit #4\n", stream);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < files[i].result->count; k++) {
            int status = ps_star_write_word(stream, files[i].path, error);
            if (status)
                return status;
            (void)fputc(' ', stream);
            write_centre(&files[i].result->picks[k], scored, stream);
        }
    }
    (void)fputc('\n', stream);
    return 0;
}

/* The corner of a box is at its smallest x and y. "<NA>" is crYOLO's missing value. The confidence
 * is required; boxes without a score get 1, as boxes drawn by hand have. */
int ps_picks_write_cbox(const struct ps_pick_file *files, size_t count, FILE *stream,
                        struct ps_error *error)
{
    (void)count;
    const struct ps_result *result = files->result;
    int side = 0;
    int status = result->count ? ps_picks_box_side(files, &side, error) : 0;
    if (status)
        return status;
    char diameter[PS_NUMBER_TEXT] = "<NA>";
    if (result->diameter > 0)
        (void)ps_text_from_double(result->diameter, diameter);
    write_head(result, "data_global\n\n_cbox_format_version 1.0\n\ndata_cryolo", stream);
    (void)fputs("_CoordinateX #1\n_CoordinateY #2\n_CoordinateZ #3\n_Width #4\n_Height #5\n"
                "_Depth #6\n_EstWidth #7\n_EstHeight #8\n_Confidence #9\n_NumBoxes #10\n"
                "_Angle #11\n",
                stream);
    for (size_t i = 0; i < result->count; i++) {
        const struct ps_pick *pick = &result->picks[i];
        char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT];
        (void)fprintf(stream, "%s %s <NA> %d %d <NA> %s %s %s <NA> <NA>\n",
                      ps_text_from_double((double)pick->x - side / 2.0, x),
                      ps_text_from_double((double)pick->y - side / 2.0, y), side, side, diameter,
                      diameter, ps_text_from_float(isnan(pick->score) ? 1 : pick->score, score));
    }
    (void)fputs("\ndata_cryolo_include\n\nloop_\n_slice_index #1\n\n", stream);
    return 0;
}
