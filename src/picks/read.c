#include "picks/read.h"

#include "base/error.h"
#include "base/text.h"
#include "picks/format.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_DEPTH = 64 }; /* of directories */

/* ---- names ------------------------------------------------------------------------------------
 */

/* Cuts the suffix of the format, or else the extension if a format has it: a name can contain other
 * dots. */
static void cut_suffix(char *name, const struct ps_picks_format *format)
{
    size_t length = strlen(name);
    if (ps_text_ends_with(name, format->suffix)) {
        name[length - strlen(format->suffix)] = '\0';
        return;
    }
    char *dot = strrchr(name, '.');
    if (dot && dot != name && dot[-1] != '/' && ps_picks_format_of(name))
        *dot = '\0';
    else
        name[ps_picks_stem(name)] = '\0';
}

/* ---- files and directories --------------------------------------------------------------------
 */

/* What other programs write and pickstream does not read. */
static int refuse_unsupported(const char *path, struct ps_error *error)
{
    static const char *const kinds[][2] = {
        {"_info.json", "EMAN2's info files are not supported: export .box files in e2boxer.py"},
        {".cs", "cryoSPARC's .cs files are not supported: export a STAR file with pyem's "
                "csparc2star.py"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (ps_text_ends_with(path, kinds[i][0]))
            return ps_fail(error, PS_E_INPUT, "%s: %s", path, kinds[i][1]);
    }
    return 0;
}

/* Reads a file to the end before anything of it is in the list: a broken file leaves nothing. */
static int read_file(const char *path, const char *name, const struct ps_picks_format *format,
                     const struct ps_picks_read_options *options,
                     struct ps_outcome_record_list *list, struct ps_error *error)
{
    int status = refuse_unsupported(path, error);
    if (status)
        return status;
    FILE *stream = fopen(path, "re");
    if (!stream)
        return ps_fail(error, errno == ENOENT ? PS_E_INPUT : PS_E_SYSTEM, "%s: %s", path,
                       strerror(errno));
    char *own = strdup(name);
    struct ps_outcome_record_list file = {0};
    if (own) {
        if (!options->name)
            cut_suffix(own, format);
        struct ps_picks_input input = {stream, path, own, options, format, &file, ps_picks_read};
        status = format->read(&input, error);
    } else {
        status = ps_fail_memory(error, strlen(name), "a name");
    }
    for (size_t i = 0; i < file.count && status == 0; i++)
        status = ps_picks_filter(&file.items[i]->result, -INFINITY, error);
    if (status == 0)
        status = ps_outcome_record_list_join(list, &file, error);
    ps_outcome_record_list_done(&file);
    free(own);
    (void)fclose(stream);
    return status;
}

/* Reads a directory; `name` is its path below the first one, "" or ending in '/'. */
static int read_directory(const char *path, const char *name, int depth,
                          const struct ps_picks_format *format,
                          const struct ps_picks_read_options *options,
                          struct ps_outcome_record_list *list, struct ps_error *error)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    int status = 0;
    if (count < 0)
        return ps_fail(error, PS_E_SYSTEM, "%s: %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *entry = entries[i]->d_name;
        char *below = NULL, *inner = NULL;
        struct stat info;
        if (status == 0 && *entry != '.') {
            if (asprintf(&below, "%s/%s", path, entry) < 0 ||
                asprintf(&inner, "%s%s", name, entry) < 0)
                status = ps_fail_memory(error, strlen(path), "a path");
            else if (stat(below, &info) == 0 && S_ISDIR(info.st_mode) && depth < MAX_DEPTH) {
                char *slashed = NULL;
                status =
                    asprintf(&slashed, "%s/", inner) < 0
                        ? ps_fail_memory(error, strlen(inner), "a path")
                        : read_directory(below, slashed, depth + 1, format, options, list, error);
                free(slashed);
            } else if (ps_text_ends_with(entry, format->suffix)) {
                status = read_file(below, inner, format, options, list, error);
            }
            status = ps_picks_skip_file(options, status, error);
        }
        free(below);
        free(inner);
        free(entries[i]);
    }
    free(entries);
    return status;
}

int ps_picks_read(const char *path, const struct ps_picks_read_options *options,
                  struct ps_outcome_record_list *list, struct ps_error *error)
{
    const struct ps_picks_format *format = options->format;
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        size_t first = list->count;
        if (!format)
            format = ps_picks_format_find("star");
        int status = read_directory(path, "", 0, format, options, list, error);
        if (status == 0 && list->count == first)
            status =
                ps_fail(error, PS_E_INPUT, "%s: no readable files *%s there", path, format->suffix);
        return status;
    }
    int unsupported = refuse_unsupported(path, error);
    if (unsupported)
        return unsupported;
    if (!format)
        format = ps_picks_format_of(path);
    if (!format)
        return ps_fail(error, PS_E_INPUT,
                       "%s: its name does not tell its format: expected .star, .box, .cbox, .tsv, "
                       ".csv or .json",
                       path);
    const char *slash = strrchr(path, '/');
    const char *name = options->name ? options->name : slash ? slash + 1 : path;
    return read_file(path, name, format, options, list, error);
}
