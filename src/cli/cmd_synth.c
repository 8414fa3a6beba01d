/* pickstream synth: the microscope of demos and tests.
 *
 * Micrograph k is made and waits for its time. Then its truth is written, and after that the
 * micrograph, so that every visible micrograph has its truth. Times are absolute: micrograph k is
 * due k intervals after the first, independent of the time to make and write the others. */
#include "base/atomic_file.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "synth/deliver.h"
#include "synth/micrograph_file.h"
#include "synth/synth.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --slow: the number of pieces of a file, and the part of the interval over which they are spread.
 */
enum { SLOW_PIECES = 16 };
static const double SLOW_PART = 0.8;

/* Integers are the brightness times this factor: 960 on average, so that rounding does not add
 * noticeable noise. */
static const float INTEGER_SCALE = 16;

struct synth_options {
    uint64_t count;
    const char *size;
    uint64_t seed;
    double rate;
    bool slow;
    const char *format;
    uint64_t mode;
    double pixel_size;
    double diameter;
    double particles;
    double snr;
    double defocus;
    double ice_gradient;
    bool carbon;
    uint64_t contaminants;
};

static const struct ps_cli_option synth_options[] = {
    PS_CLI_UINT('n', "count", "N", struct synth_options, count, 0, 999999,
                "number of micrographs, 0 = until interrupted (1)"),
    PS_CLI_TEXT(0, "size", "WxH", struct synth_options, size, "size in px (2048x2048)"),
    PS_CLI_UINT(0, "seed", "S", struct synth_options, seed, 0, 9007199254740991.0,
                "another seed, another session of micrographs (1)"),
    PS_CLI_NUMBER(0, "rate", "HZ", struct synth_options, rate, 0, 1000,
                  "micrographs a second, 0 = as fast as possible (0)"),
    PS_CLI_FLAG(0, "slow", struct synth_options, slow,
                "write each file in 16 pieces spread over its interval"),
    PS_CLI_TEXT(0, "format", "mrc|tiff", struct synth_options, format, "file format (mrc)"),
    PS_CLI_UINT(0, "mode", "1|2|12", struct synth_options, mode, 1, 12,
                "1 = 16-bit integers, 2 = float32, 12 = float16, mrc only (2)"),
    PS_CLI_NUMBER(0, "pixel-size", "A", struct synth_options, pixel_size, 0.1, 100,
                  "pixel size in angstrom (1.4)"),
    PS_CLI_NUMBER(0, "diameter", "A", struct synth_options, diameter, 1, 100000,
                  "diameter of a particle in angstrom (110)"),
    PS_CLI_NUMBER(0, "particles", "N", struct synth_options, particles, 0, 1e6,
                  "mean number of particles (those that fill 20 % of the area)"),
    PS_CLI_NUMBER(0, "snr", "X", struct synth_options, snr, 0, 1e4,
                  "signal variance in the particles over noise variance (0.12)"),
    PS_CLI_NUMBER(0, "defocus", "UM", struct synth_options, defocus, 0, 20,
                  "underfocus in micrometres, within 10 % (2)"),
    PS_CLI_NUMBER(0, "ice-gradient", "X", struct synth_options, ice_gradient, 0, 1,
                  "change of brightness over the image, of its mean (0.04)"),
    PS_CLI_FLAG(0, "carbon", struct synth_options, carbon, "show the edge of a carbon film"),
    PS_CLI_UINT(0, "contaminants", "N", struct synth_options, contaminants, 0, 1000,
                "number of ice crystals (1)"),
    PS_CLI_END,
};

static const struct ps_cli synth_cli = {
    .command = "synth",
    .operands = "DIR",
    .summary =
        "Writes realistic micrographs, synth_000001.mrc and so on, into a directory, which is\n"
        "created if it is missing, and prints the path of each. The true centres are in\n"
        "synth_000001_truth.star, written before the micrograph. The same options and seed\n"
        "give the same files. The signal of --snr is the noiseless image of the particles (through\n"
        "CTF and detector) within half a diameter of their centres. With --slow odd micrographs\n"
        "grow under their final name, even ones under .pickstream-*.tmp until complete.",
    .options = synth_options,
};

/* The parameters that all micrographs share. */
struct session {
    struct ps_synth_options options;
    struct ps_file_format format;
    const char *directory;
    uint64_t count; /* 0: no end */
    bool slow;
    int64_t interval; /* ns */
    int64_t begin;    /* ns; when the first one is due */
    int64_t late;     /* ns; delay of the last one */
    float *pixels;
};

static bool parse_size(const char *text, int *ret_width, int *ret_height)
{
    char width[PS_NUMBER_TEXT];
    int64_t w, h;
    size_t digits = strcspn(text, "x");
    if (text[digits] != 'x' || digits >= sizeof width)
        return false;
    memcpy(width, text, digits);
    width[digits] = '\0';
    if (!ps_text_to_int(width, 1, INT_MAX, &w) ||
        !ps_text_to_int(text + digits + 1, 1, INT_MAX, &h))
        return false;
    *ret_width = (int)w;
    *ret_height = (int)h;
    return true;
}

/* Returns PS_CLI_GO, or the exit status after an error, which has been printed. */
static int session_from(const struct synth_options *values, struct session *ret_session)
{
    struct session session = {
        .options =
            {
                .seed = values->seed,
                .pixel_size = values->pixel_size,
                .diameter = values->diameter,
                .particles = values->particles,
                .snr = values->snr,
                .defocus = values->defocus,
                .ice_gradient = values->ice_gradient,
                .carbon = values->carbon,
                .contaminants = (int)values->contaminants,
            },
        .format = {.mode = (int)values->mode, .pixel_size = values->pixel_size},
        .count = values->count,
        .slow = values->slow,
        .interval = values->rate > 0 ? llrint(1e9 / values->rate) : 0,
    };
    if (!parse_size(values->size, &session.options.width, &session.options.height))
        return ps_cli_usage(&synth_cli, "--size is \"%s\", must be WIDTHxHEIGHT, as in 4096x4096",
                            values->size);
    if (strcmp(values->format, "mrc") != 0 && strcmp(values->format, "tiff") != 0)
        return ps_cli_usage(&synth_cli, "--format is \"%s\", must be mrc or tiff", values->format);
    if (strcmp(values->format, "tiff") == 0)
        session.format.container = PS_CONTAINER_TIFF;
    if (session.format.mode != 1 && session.format.mode != 2 &&
        (session.format.mode != 12 || session.format.container == PS_CONTAINER_TIFF))
        return ps_cli_usage(&synth_cli, "--mode is %d, must be 1 or 2, or 12 for mrc",
                            session.format.mode);
    struct ps_error error;
    if (ps_synth_validate(&session.options, &error) < 0)
        return ps_cli_refuse(&synth_cli, &error);
    *ret_session = session;
    return PS_CLI_GO;
}

/* The truth as a RELION STAR file: a ps_file_writer. */
static int write_truth(FILE *stream, const void *context, struct ps_error *error)
{
    const struct ps_synth_truth *truth = context;
    (void)error;
    (void)fprintf(stream,
                  "# true centres; diameter %.2f px, defocus %.0f %.0f A, astigmatism at %.1f deg\n"
                  "\ndata_\n\nloop_\n_rlnCoordinateX #1\n_rlnCoordinateY #2\n",
                  truth->diameter, truth->defocus_u, truth->defocus_v, truth->astigmatism_angle);
    for (size_t i = 0; i < truth->count; i++)
        (void)fprintf(stream, "%13.6f %13.6f\n", truth->centres[i].x, truth->centres[i].y);
    (void)fputc('\n', stream);
    return 0;
}

/* Waits for the micrograph's time, then writes its truth and the micrograph. */
static int publish(struct session *session, uint64_t index, const struct ps_synth_truth *truth,
                   const uint8_t *bytes, size_t length, struct ps_error *error)
{
    enum { SUFFIX = 16 };
    char path[PATH_MAX];
    int stem = snprintf(path, sizeof path - SUFFIX, "%s/synth_%06llu", session->directory,
                        (unsigned long long)index);
    if (stem >= (int)sizeof path - SUFFIX)
        return ps_fail(error, PS_E_SYSTEM, "%.64s...: %s", session->directory,
                       strerror(ENAMETOOLONG));
    struct ps_delivery delivery = {
        .pieces = 1,
        .start = session->begin + (int64_t)(index - 1) * session->interval,
    };
    if (session->slow) {
        delivery.pieces = SLOW_PIECES;
        delivery.spacing = llrint((double)session->interval * SLOW_PART / SLOW_PIECES);
        delivery.in_place = index % 2 == 1;
    }
    session->late = ps_deliver_now() - delivery.start;
    ps_deliver_wait(delivery.start);
    (void)snprintf(path + stem, SUFFIX, "_truth.star");
    int code = ps_file_write_atomically(path, write_truth, truth, error);
    if (code)
        return code;
    (void)snprintf(path + stem, SUFFIX, "%s", ps_container_extension(session->format.container));
    code = ps_deliver(path, bytes, length, &delivery, error);
    if (code)
        return code;
    ps_print(stdout, "%s", path);
    (void)fflush(stdout); /* readers need each path at once; main() checks the stream */
    return 0;
}

static int make_one(struct session *session, uint64_t index, struct ps_error *error)
{
    const struct ps_synth_options *options = &session->options;
    struct ps_synth_truth truth;
    uint8_t *bytes;
    size_t length;
    int code = ps_synth_micrograph(options, index, session->pixels, &truth, error);
    if (code)
        return code;
    if (session->format.mode == 1)
        for (size_t i = 0; i < (size_t)options->width * (size_t)options->height; i++)
            session->pixels[i] *= INTEGER_SCALE;
    code = ps_micrograph_encode(&session->format, session->pixels, options->width, options->height,
                                &bytes, &length, error);
    if (code == 0) {
        if (index == 1)
            session->begin = ps_deliver_now();
        code = publish(session, index, &truth, bytes, length, error);
        free(bytes);
    }
    ps_synth_truth_done(&truth);
    return code;
}

static int run(struct session *session, struct ps_error *error)
{
    size_t bytes = (size_t)session->options.width * (size_t)session->options.height * sizeof(float);
    session->pixels = calloc(1, bytes + 1);
    if (!session->pixels)
        return ps_fail_memory(error, bytes, "a micrograph");
    int code = 0;
    for (uint64_t i = 1; code == 0 && (session->count == 0 || i <= session->count); i++)
        code = make_one(session, i, error);
    free(session->pixels);
    return code;
}

int ps_cmd_synth(int argc, char **argv)
{
    const struct ps_synth_options defaults = PS_SYNTH_DEFAULTS;
    struct synth_options values = {
        .count = 1,
        .size = "2048x2048",
        .seed = defaults.seed,
        .format = "mrc",
        .mode = 2,
        .pixel_size = defaults.pixel_size,
        .diameter = defaults.diameter,
        .particles = defaults.particles,
        .snr = defaults.snr,
        .defocus = defaults.defocus,
        .ice_gradient = defaults.ice_gradient,
        .contaminants = (uint64_t)defaults.contaminants,
    };
    struct session session = {0};
    int operand;
    int status = ps_cli_parse(&synth_cli, argc, argv, &values, NULL, &operand);
    if (status != PS_CLI_GO)
        return status;
    if (argc - operand != 1)
        return ps_cli_usage(&synth_cli, "needs one directory to write to");
    status = session_from(&values, &session);
    if (status != PS_CLI_GO)
        return status;
    session.directory = argv[operand];
    struct ps_error error;
    if (run(&session, &error) < 0) {
        ps_say("pickstream synth: %s", error.message);
        return PS_EXIT_FAILURE;
    }
    if (session.interval > 0 && session.late > session.interval)
        (void)fprintf(
            stderr,
            "pickstream synth: this machine does not keep --rate: the last micrograph came "
            "%.1f s late\n",
            (double)session.late / 1e9);
    return PS_EXIT_OK;
}
