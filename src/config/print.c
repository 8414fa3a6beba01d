/* The configuration as text: values, the file with all keys, and the manual page. */
#include "config/internal.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 96 };

int ps_config_print(const struct ps_config *config, FILE *stream, struct ps_error *error)
{
    const char *section = "";
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        if (strcmp(section, key->section) != 0)
            (void)fprintf(stream, "%s[%s]\n", *section ? "\n" : "", key->section);
        section = key->section;
        char *value = ps_config_format(key, config);
        if (value && strlen(key->name) + strlen(" = ") + strlen(value) > PS_CONFIG_LINE) {
            free(value);
            value = ps_config_format_lines(key, config);
        }
        if (!value)
            return ps_fail_memory(error, PS_CONFIG_LINE, "a value of the configuration");
        if (!*value && !*key->fallback)
            (void)fprintf(stream, "; %s is not set\n", key->name);
        else
            (void)fprintf(stream, "%s =%s%s\n", key->name, *value ? " " : "", value);
        free(value);
    }
    return 0;
}

/* Writes text in lines of at most WIDTH columns, "# " before each. */
static void print_comment(FILE *stream, const char *text)
{
    int column = 0;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column == 0 || column + 1 + length > WIDTH) {
            column = fprintf(stream, "%s# %.*s", column ? "\n" : "", length, text);
        } else {
            column += fprintf(stream, " %.*s", length, text);
        }
        text += length;
        text += strspn(text, " ");
    }
    (void)fputc('\n', stream);
}

void ps_config_template(FILE *stream)
{
    print_comment(
        stream, "Configuration of pickstream. Every key is listed with its default, as a comment: "
                "remove the ; to set it. `pickstream check -c FILE --print` prints the values in "
                "effect; --set section.key=value on the command line overrides this file.");
    print_comment(stream,
                  "One key a line, at most 199 bytes, UTF-8. A line that begins with ; or # is a "
                  "comment, as is text after \" ;\" in a value. Items of a list are separated by "
                  "blanks or commas; an item that contains them needs double quotes, with \\\" and "
                  "\\\\ for \" and \\. Indented lines below a list add items to it.");
    const struct config_key *key = ps_config_keys;
    for (const struct config_section *section = ps_config_sections; section->name; section++) {
        (void)fputc('\n', stream);
        print_comment(stream, section->doc);
        (void)fprintf(stream, "[%s]\n", section->name);
        for (; key->name && strcmp(key->section, section->name) == 0; key++) {
            char accepted[PS_CONFIG_ACCEPTED];
            (void)fputc('\n', stream);
            print_comment(stream, key->doc);
            (void)ps_config_accepted(key, accepted);
            (void)fprintf(stream, "# Accepted: %s\n;%s =%s%s\n", accepted, key->name,
                          *key->fallback ? " " : "", key->fallback);
        }
    }
}

/* Escapes text for roff: no request, escape or typographic dash remains. */
static void print_roff(FILE *stream, const char *text)
{
    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", stream);
    for (; *text; text++) {
        if (*text == '\\')
            (void)fputs("\\e", stream);
        else if (*text == '-')
            (void)fputs("\\-", stream);
        else
            (void)fputc(*text, stream);
    }
}

void ps_config_man(FILE *stream)
{
    (void)fputs(
        ".TH PICKSTREAM.CONF 5 \"\" pickstream \"File formats\"\n"
        ".SH NAME\n"
        "pickstream.conf \\- configuration of pickstream\n"
        ".SH DESCRIPTION\n"
        "A file of sections and keys, given to\n"
        ".BR pickstream (1)\n"
        "with\n"
        ".BR \\-c .\n"
        "Every key has a default except\n"
        ".BR picker.particle_diameter ,\n"
        "which is required. On the command line\n"
        ".BI \\-\\-set\\  section . key = value\n"
        "sets any of them and overrides the file.\n"
        ".PP\n"
        "One key a line, at most 199 bytes, UTF\\-8. A line that begins with ; or # is a comment,\n"
        "as is text after a blank and ; in a value. An unknown key, a key set twice, a value\n"
        "out of its range and anything after a value are refused, with file and line.\n"
        ".PP\n"
        "Items of a list are separated by blanks or commas; an item that contains them needs double\n"
        "quotes, with \\e\" and \\e\\e for \" and \\e. A long list continues in indented lines below its\n"
        "first one.\n"
        ".PP\n"
        ".B pickstream watch\n"
        "reads the file again on SIGHUP; if it contains an error, that is logged, and the previous\n"
        "configuration stays in effect.\n"
        ".SH EXAMPLE\n"
        ".nf\n"
        "[input]\n"
        "directories = /data/microscope1\n"
        "    \"/data/My Session/Images\"\n"
        "\n"
        "[picker]\n"
        "particle_diameter = 180 A\n"
        "\n"
        "[output]\n"
        "formats = star json\n"
        ".fi\n",
        stream);
    const struct config_key *key = ps_config_keys;
    for (const struct config_section *section = ps_config_sections; section->name; section++) {
        (void)fprintf(stream, ".SH \"[%s]\"\n", section->name);
        print_roff(stream, section->doc);
        (void)fputc('\n', stream);
        for (; key->name && strcmp(key->section, section->name) == 0; key++) {
            char accepted[PS_CONFIG_ACCEPTED];
            (void)fprintf(stream, ".TP\n.B %s\n", key->name);
            print_roff(stream, key->doc);
            (void)fputc('\n', stream);
            (void)ps_config_accepted(key, accepted);
            (void)fputs(".br\nAccepted: ", stream);
            print_roff(stream, accepted);
            if (*key->fallback) {
                (void)fputs("\n.br\nDefault: ", stream);
                print_roff(stream, key->fallback);
            }
            (void)fputc('\n', stream);
        }
    }
    (void)fputs(".SH SEE ALSO\n.BR pickstream (1)\n", stream);
}
