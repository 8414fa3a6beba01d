/* pickstream convert: files of picks from one format to another. */
#include "base/error.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cmd.h"
#include "cli/print.h"
#include "picks/autopick.h"
#include "picks/format.h"
#include "picks/input.h"
#include "picks/read.h"
#include "picks/relion.h"
#include "picks/write.h"
#include "picks/writers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct convert_options {
    const char *from;
    const char *to;
    const char *micrographs;
    double box_size;
    double min_score;
    bool invert_y;
};

static const struct ps_cli_option options_table[] = {
    PS_CLI_TEXT(0, "format", "FORMAT", struct convert_options, to,
                "format of OUT: star, cryosparc, box, cbox, tsv, csv or json"),
    PS_CLI_TEXT(0, "from", "FORMAT", struct convert_options, from, "format of IN, as above"),
    PS_CLI_TEXT(0, "micrographs", "DIR", struct convert_options, micrographs,
                "directory of the micrographs, for their names and shapes"),
    PS_CLI_NUMBER(0, "box", "PX", struct convert_options, box_size, 1.0, 100000.0,
                  "side of the boxes (default: as in IN, or the particle diameter)"),
    PS_CLI_NUMBER(0, "min-score", "P", struct convert_options, min_score, -1e9, 1e9,
                  "drop picks with a lower score"),
    PS_CLI_FLAG(0, "invert-y", struct convert_options, invert_y,
                "count rows from the other end, for a micrograph stored upside down"),
    PS_CLI_END,
};

static const struct ps_cli cli = {
    .command = "convert",
    .operands = "IN OUT",
    .summary =
        "Converts picks between formats and the conventions of their programs. IN is a file of\n"
        "picks, RELION's autopick.star with all files in it, or a directory. OUT is a file, or a\n"
        "directory (it ends in /, or exists) for one file per micrograph. File names give the\n"
        "formats: x.star, x.box, x.cbox, x.tsv, x.csv, x.json. Where the name of OUT tells none,\n"
        "it is that of IN: of any file for a directory, of a STAR file for a name without extension.",
    .options = options_table,
};

static bool is_directory(const char *path)
{
    struct stat info;
    size_t length = strlen(path);
    return (length > 0 && path[length - 1] == '/') ||
           (stat(path, &info) == 0 && S_ISDIR(info.st_mode));
}

/* ---- one micrograph ---------------------------------------------------------------------------
 */

static int invert(struct ps_outcome_record *record, struct ps_error *error)
{
    int status = ps_outcome_record_load_shape(record, error);
    for (size_t i = 0; i < record->result.count && status == 0; i++) {
        struct ps_pick *pick = &record->result.picks[i];
        pick->y = (float)(record->micrograph.image.height - 1 - (double)pick->y);
    }
    return status;
}

/* Loads the shape of a micrograph if its rows must be flipped: with --invert-y, and for a TIFF in a
 * format that counts rows from the top. Otherwise the micrograph does not need to exist. */
static int prepare(struct ps_outcome_record *record, const struct convert_options *options,
                   const struct ps_picks_format *format, struct ps_error *error)
{
    int status = 0;
    if (options->min_score > -INFINITY)
        status = ps_picks_filter(&record->result, options->min_score, error);
    if (status == 0 && options->invert_y)
        status = invert(record, error);
    else if (status == 0 && format->top_down && ps_outcome_record_is_tiff(record))
        status = ps_outcome_record_load_shape(record, error);
    return status;
}

/* The path of a micrograph's picks below OUT: its name, or only the last component if the name
 * leads out of the directory. */
static const char *name_below(const char *name)
{
    while (*name == '/')
        name++;
    if (ps_name_is_safe(name))
        return name;
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* ---- all of them ------------------------------------------------------------------------------
 */

/* One run of the command. */
struct conversion {
    const struct convert_options *options;
    const char *out;
    const struct ps_picks_format *format;
    size_t micrographs; /* written */
    size_t picks;       /* in them */
    size_t lost;        /* micrographs, or entries of autopick.star, that were not written */
};

static void report(void *context, const struct ps_error *reason)
{
    struct conversion *conversion = context;
    conversion->lost++;
    ps_say("pickstream convert: left out: %s", reason->message);
}

static void count_written(struct conversion *conversion, const struct ps_pick_file *file)
{
    conversion->micrographs++;
    conversion->picks += file->result->count;
}

/* Gives each micrograph the name of its picks below OUT, to be freed. */
static int name_files(const struct ps_relion *relion, const struct ps_pick_file *files,
                      size_t count, char **ret_names, struct ps_error *error)
{
    const char **paths = calloc(count + 1, sizeof *paths);
    if (!paths)
        return ps_fail_memory(error, count * sizeof *paths, "paths");
    for (size_t i = 0; i < count; i++)
        paths[i] = files[i].path;
    int status = ps_relion_names(relion, paths, count, ret_names, error);
    free(paths);
    for (size_t i = 0; i < count && status == 0; i++) {
        if (!ret_names[i])
            ret_names[i] = strdup(name_below(files[i].name));
        if (!ret_names[i])
            status = ps_fail_memory(error, strlen(files[i].name), "a name");
    }
    return status;
}

/* Replaces the names by stems below OUT. Names without an extension come first: they can have no
 * other stem, and are those of files that an earlier conversion or run has named. */
static int find_stems(const struct conversion *conversion, const struct ps_pick_file *files,
                      size_t count, char **names, struct ps_error *error)
{
    struct ps_names *known = NULL;
    char **stems = calloc(count + 1, sizeof *stems);
    int status = stems ? ps_names_new(PS_NAMES_PRIVATE, &known, error)
                       : ps_fail_memory(error, count * sizeof *stems, "names");
    for (size_t i = 0; i < 2 * count && status == 0; i++) {
        const struct ps_pick_file *file = &files[i % count];
        const char *name = names[i % count];
        struct ps_claim claim;
        char *identity = NULL;
        if ((ps_picks_stem(name) == strlen(name)) != (i < count))
            continue;
        if (asprintf(&identity, "%s\n%s", file->name, file->path) < 0)
            status = ps_fail_memory(error, strlen(name), "a name");
        else
            status = ps_names_claim(known, conversion->out, name, identity, &claim, error);
        if (status == 0) {
            stems[i % count] = strdup(claim.stem);
            ps_claim_done(&claim);
        }
        free(identity);
    }
    ps_names_free(known);
    for (size_t i = 0; i < count && stems; i++) {
        free(names[i]);
        names[i] = stems[i];
    }
    free(stems);
    return status;
}

static int write_one(struct conversion *conversion, const struct ps_pick_file *file,
                     const char *stem, struct ps_autopick *list, struct ps_error *error)
{
    char *path = stem ? ps_picks_file(stem, conversion->format->suffix) : NULL;
    int status = path ? ps_picks_write(path, conversion->format, file, error)
                      : ps_fail_memory(error, strlen(conversion->out), "a path");
    if (status == 0)
        count_written(conversion, file);
    if (status == 0 && conversion->format->write == ps_picks_write_star)
        status = ps_autopick_add(list, file->path, false, path, error);
    free(path);
    if (status != PS_E_INPUT)
        return status;
    report(conversion, error);
    return 0;
}

static int write_each(struct conversion *conversion, const struct ps_pick_file *files, size_t count,
                      struct ps_error *error)
{
    struct ps_autopick *list = NULL;
    char **stems = calloc(count + 1, sizeof *stems);
    if (!stems)
        return ps_fail_memory(error, count * sizeof *stems, "names");
    int status = ps_autopick_new(conversion->out, "", &list, error);
    if (status == 0)
        status = name_files(ps_autopick_relion(list), files, count, stems, error);
    if (status == 0)
        status = find_stems(conversion, files, count, stems, error);
    for (size_t i = 0; i < count && status == 0; i++)
        status = write_one(conversion, &files[i], stems[i], list, error);
    if (status == 0)
        status = ps_autopick_save(list, error);
    struct ps_error left_out;
    while (list && ps_autopick_left_out(list, &left_out))
        report(conversion, &left_out);
    ps_autopick_free(list);
    for (size_t i = 0; i < count; i++)
        free(stems[i]);
    free(stems);
    return status;
}

static int write_together(struct conversion *conversion, struct ps_pick_file *files, size_t count,
                          struct ps_error *error)
{
    size_t given = count;
    int status = ps_picks_leave_out(conversion->format, files, &count, report, conversion, error);
    if (status == 0 && count == 0 && given > 0)
        return ps_fail(error, PS_E_INPUT, "%s: nothing to write", conversion->out);
    if (status == 0)
        status = ps_picks_write_many(conversion->out, conversion->format, files, count, error);
    for (size_t i = 0; i < count && status == 0; i++)
        count_written(conversion, &files[i]);
    return status;
}

static int write_out(struct conversion *conversion, const struct ps_outcome_record_list *list,
                     struct ps_error *error)
{
    struct ps_pick_file *files = calloc(list->count + 1, sizeof *files);
    int status = 0;
    if (!files)
        return ps_fail_memory(error, list->count * sizeof *files, "a list of micrographs");
    for (size_t i = 0; i < list->count && status == 0; i++) {
        status = prepare(list->items[i], conversion->options, conversion->format, error);
        files[i] = ps_outcome_record_pick_file(list->items[i]);
        files[i].box_size = conversion->options->box_size;
    }
    if (status == 0 && is_directory(conversion->out))
        status = write_each(conversion, files, list->count, error);
    else if (status == 0 && list->count != 1 && !conversion->format->many)
        status = ps_fail(error, PS_E_INPUT,
                         "%s: a file of this format holds one micrograph, and there are %zu: give "
                         "a directory, or --format cryosparc, tsv or json",
                         conversion->out, list->count);
    else if (status == 0)
        status = write_together(conversion, files, list->count, error);
    free(files);
    return status;
}

static int find_format(const char *option, const char *name, const struct ps_picks_format **ret)
{
    *ret = name ? ps_picks_format_find(name) : NULL;
    if (name && !*ret)
        return ps_cli_usage(&cli,
                            "--%s %.100s: expected star, cryosparc, box, cbox, tsv, csv or json",
                            option, name);
    return PS_CLI_GO;
}

/* True if the beginning of a STAR file has a column with the names of micrographs. */
static bool names_micrographs(const char *path)
{
    enum { BEGINNING = 1 << 16 };
    static const char column[] = "_rlnMicrographName";
    char *text = malloc(BEGINNING);
    FILE *stream = text ? fopen(path, "re") : NULL;
    size_t length = stream ? fread(text, 1, BEGINNING, stream) : 0;
    bool found = length && memmem(text, length, column, sizeof column - 1);
    if (stream)
        (void)fclose(stream);
    free(text);
    return found;
}

/* The format of OUT without --format: by its name. If that tells none, because OUT is a directory
 * or has no extension, that of IN: of any file for a directory, of a STAR file otherwise. A STAR
 * file with several micrographs becomes one STAR file for each. NULL: unclear. */
static const struct ps_picks_format *infer_format(const struct ps_picks_format *from,
                                                  const char *in, const char *out)
{
    const bool directory = is_directory(out);
    const char *slash = strrchr(out, '/');
    if (!directory && strchr(slash ? slash : out, '.'))
        return ps_picks_format_of(out);
    const struct ps_picks_format *format = from ? from : ps_picks_format_of(in);
    if (is_directory(in) || !format)
        return NULL;
    if (format->read == ps_picks_read_star)
        return ps_picks_format_find("star");
    return directory ? format : NULL;
}

/* x.star has names of micrographs if it holds several, or if IN is a STAR file that has them. */
static bool needs_names(const struct ps_picks_format *to, const char *in, size_t count,
                        const char *out)
{
    if (to->write != ps_picks_write_star || is_directory(out))
        return false;
    return count != 1 || (!ps_text_ends_with(out, to->suffix) && ps_text_ends_with(in, ".star") &&
                          names_micrographs(in));
}

/* For ps_picks_read_options.left_out. */
static void leave_out(void *context, const struct ps_error *error)
{
    ++*(size_t *)context;
    ps_say("pickstream convert: %s", error->message);
}

/* Reports the result. Files of input and micrographs that were left out have been named. */
static int finish(int status, const struct conversion *conversion, size_t left_out,
                  const struct ps_error *error)
{
    if (status)
        ps_say("pickstream convert: %s", error->message);
    else if (left_out && conversion->micrographs)
        ps_say("pickstream convert: %zu micrographs, %zu picks, %zu files left out",
               conversion->micrographs, conversion->picks, left_out);
    else if (!left_out)
        ps_say("pickstream convert: %zu micrographs, %zu picks", conversion->micrographs,
               conversion->picks);
    return status || left_out || conversion->lost ? PS_EXIT_FAILURE : PS_EXIT_OK;
}

static int convert(const struct convert_options *options, const char *in, const char *out)
{
    const struct ps_picks_format *from, *to;
    if (find_format("from", options->from, &from) != PS_CLI_GO ||
        find_format("format", options->to, &to) != PS_CLI_GO)
        return PS_EXIT_USAGE;
    if (!to)
        to = infer_format(from, in, out);
    if (!to)
        return ps_cli_usage(&cli, "%.200s: its name does not tell a format: give --format", out);
    size_t left_out = 0;
    const struct ps_picks_read_options read_options = {.format = from,
                                                       .micrographs = options->micrographs,
                                                       .left_out = leave_out,
                                                       .context = &left_out};
    struct ps_outcome_record_list list = {0};
    struct ps_error error;
    int status = ps_picks_read(in, &read_options, &list, &error);
    if (status == 0 && !options->to && needs_names(to, in, list.count, out))
        to = ps_picks_format_find("cryosparc");
    struct conversion conversion = {.options = options, .out = out, .format = to};
    if (status == 0 && (list.count || !left_out))
        status = write_out(&conversion, &list, &error);
    status = finish(status, &conversion, left_out, &error);
    ps_outcome_record_list_done(&list);
    return status;
}

int ps_cmd_convert(int argc, char **argv)
{
    struct convert_options options = {.min_score = -INFINITY};
    int operands;
    int status = ps_cli_parse(&cli, argc, argv, &options, NULL, &operands);
    if (status != PS_CLI_GO)
        return status;
    if (argc - operands != 2)
        return ps_cli_usage(&cli, "expected IN and OUT");
    return convert(&options, argv[operands], argv[operands + 1]);
}
