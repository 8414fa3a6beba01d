#include "picks/format.h"

#include "base/text.h"
#include "picks/input.h"
#include "picks/writers.h"

#include <string.h>

const struct ps_picks_format ps_picks_formats[] = {
    {"star", "_autopick.star", false, false, ps_picks_write_star, ps_picks_read_star, NULL},
    {"cryosparc", "_cryosparc.star", true, false, ps_picks_write_cryosparc, ps_picks_read_star,
     ps_picks_name_in_star},
    {"box", ".box", false, false, ps_picks_write_box, ps_picks_read_box, NULL},
    {"cbox", ".cbox", false, false, ps_picks_write_cbox, ps_picks_read_cbox, NULL},
    {"tsv", "_autopick.tsv", true, true, ps_picks_write_tsv, ps_picks_read_tsv,
     ps_picks_name_in_tsv},
    {"csv", "_autopick.csv", false, false, ps_picks_write_csv, ps_picks_read_csv, NULL},
    {"json", "_autopick.json", true, false, ps_picks_write_json, ps_picks_read_json, NULL},
    {.name = NULL},
};

const struct ps_picks_format *ps_picks_format_find(const char *name)
{
    for (const struct ps_picks_format *format = ps_picks_formats; format->name; format++) {
        if (strcmp(format->name, name) == 0)
            return format;
    }
    return NULL;
}

const struct ps_picks_format *ps_picks_format_of(const char *path)
{
    static const char *const extensions[][2] = {
        {".star", "star"}, {".tsv", "tsv"}, {".txt", "tsv"}, {".csv", "csv"}, {".json", "json"},
    };
    for (const struct ps_picks_format *format = ps_picks_formats; format->name; format++) {
        if (ps_text_ends_with(path, format->suffix))
            return format;
    }
    for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) {
        if (ps_text_ends_with(path, extensions[i][0]))
            return ps_picks_format_find(extensions[i][1]);
    }
    return NULL;
}
