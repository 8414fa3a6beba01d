#include "picks/write_particles.h"

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "particles/stack.h"
#include "picks/listed_path.h"
#include "picks/star.h"

#include <stdlib.h>
#include <string.h>

/* For ps_file_write_atomically(). */
struct job {
    const struct ps_pick_file *file;
    struct ps_box_shape shape;
    char *stack;      /* as the STAR file names it */
    char *micrograph; /* the same */
};

/* RELION takes the pixel size from here alone. It refuses a table without voltage, spherical
 * aberration and amplitude contrast, although they count only with a CTF, which is unknown here.
 * Without picks there is no row. */
static void write_optics(const struct job *job, FILE *stream)
{
    char original[PS_NUMBER_TEXT], binned[PS_NUMBER_TEXT];
    const struct ps_result *result = job->file->result;
    const bool known = result->pixel_size > 0;
    const double pixel_size = known ? result->pixel_size : 1;
    (void)fprintf(
        stream,
        "# written by pickstream; there is no CTF: voltage, spherical aberration and "
        "amplitude contrast are usual values\n%s\n# version 30001\n\ndata_optics\n\nloop_\n"
        "_rlnOpticsGroupName #1\n_rlnOpticsGroup #2\n_rlnMicrographOriginalPixelSize #3\n"
        "_rlnVoltage #4\n_rlnSphericalAberration #5\n_rlnAmplitudeContrast #6\n"
        "_rlnImagePixelSize #7\n_rlnImageSize #8\n_rlnImageDimensionality #9\n",
        known ? "" : "# the pixel size is unknown: 1 A is a guess\n");
    if (result->count == 0)
        return;
    (void)ps_text_from_float((float)pixel_size, original);
    (void)ps_text_from_float((float)(pixel_size * job->shape.side / job->shape.size), binned);
    (void)fprintf(stream, "opticsGroup1 1 %s 300 2.7 0.1 %s %d 2\n", original, binned,
                  job->shape.size);
}

static int write_row(const struct job *job, size_t number, FILE *stream, struct ps_error *error)
{
    const struct ps_pick *pick = &job->file->result->picks[number];
    char x[PS_NUMBER_TEXT], y[PS_NUMBER_TEXT], score[PS_NUMBER_TEXT];
    char *image = NULL;
    if (asprintf(&image, "%06zu@%s", number + 1, job->stack) < 0)
        return ps_fail_memory(error, strlen(job->stack), "a name");
    (void)fprintf(stream, "%12s %12s %12s ", ps_text_from_float(pick->x, x),
                  ps_text_from_float(pick->y, y), ps_text_from_float(pick->score, score));
    int status = ps_star_write_word(stream, image, error);
    (void)fputc(' ', stream);
    if (status == 0)
        status = ps_star_write_word(stream, job->micrograph, error);
    (void)fputs(" 1\n", stream);
    free(image);
    return status;
}

static int write_star(FILE *stream, const void *context, struct ps_error *error)
{
    const struct job *job = context;
    write_optics(job, stream);
    (void)fputs("\n\n# version 30001\n\ndata_particles\n\nloop_\n_rlnCoordinateX #1\n"
                "_rlnCoordinateY #2\n_rlnAutopickFigureOfMerit #3\n_rlnImageName #4\n"
                "_rlnMicrographName #5\n_rlnOpticsGroup #6\n",
                stream);
    for (size_t i = 0; i < job->file->result->count; i++)
        PS_TRY(write_row(job, i, stream, error));
    (void)fputc('\n', stream);
    return 0;
}

/* Writes the stack at `path`, if there are picks. */
static int write_stack(const struct ps_config *config, const char *path, const struct job *job,
                       struct ps_error *error)
{
    const struct ps_pick_file *file = job->file;
    const struct ps_stack stack = {
        .image = &file->micrograph->image,
        .picks = file->result->picks,
        .count = file->result->count,
        .shape = job->shape,
        .threads = config->compute.threads,
        .half = config->output.extract_float16,
    };
    return stack.count ? ps_stack_write(path, &stack, error) : 0;
}

int ps_particles_write(const struct ps_config *config, const char *stem,
                       const struct ps_pick_file *file, struct ps_error *error)
{
    struct job job = {.file = file};
    if (!file->micrograph || (!file->micrograph->image.pixels && file->result->count > 0))
        return ps_fail(error, PS_E_INPUT, "%.200s: particles not extracted: not read", file->path);
    if (file->result->count > 0 &&
        ps_box_shape_find(config, file->result, config->output.bin, &job.shape, error))
        return ps_fail_prefix(error, "%.200s", file->path);
    char *stack = ps_picks_file(stem, PS_STACK_SUFFIX);
    char *star = ps_picks_file(stem, PS_PARTICLES_SUFFIX);
    int status = stack && star ? 0 : ps_fail_memory(error, strlen(stem), "a path");
    if (status == 0)
        status = ps_listed_path(file->relion, stack, &job.stack, error);
    if (status == 0)
        status =
            ps_listed_micrograph(file->relion, file->path, file->listed, &job.micrograph, error);
    if (status == 0)
        status = write_stack(config, stack, &job, error);
    if (status == 0)
        status = ps_file_write_atomically(star, write_star, &job, error);
    free(job.stack);
    free(job.micrograph);
    free(stack);
    free(star);
    return status;
}
