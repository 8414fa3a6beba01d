/* Reads a configuration file: inih parses it, this file makes the parser strict.
 *
 * inih (Debian's r55, built for 200 bytes a line) silently cuts longer lines, ignores sections
 * without keys and text after the ']' of a section, does not pass line numbers to its handler, and
 * continues after an error. So this file reads the lines: it checks the bytes of each, passes it on
 * without the line end (at most 199 bytes), and knows its number. inih's own errors, a line without
 * '=' or ']', are known only by its return value, a line number. Parsing stops at the first error.
 *
 * An indented line, a continuation in inih, adds items to a list, for which 199 bytes are few.
 * Other values cannot continue in a second line.
 *
 * All values go into a copy, which replaces the configuration only if the whole file is valid.
 */
#include "config/internal.h"

#include "base/error.h"
#include "base/text.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_LINE = PS_CONFIG_LINE,
    MAX_KEYS = 256,
    COUNT_LIMIT = 1 << 20, /* bytes after which the length of a line is no longer counted */
};

struct reading {
    const char *path;
    FILE *stream;
    struct ps_config *config;
    struct ps_error *error;
    int code;             /* of the first error */
    int line;             /* number of the current line */
    bool indented;        /* the line begins with a blank: a continuation for inih */
    int set_in[MAX_KEYS]; /* line that set each key; 0: none */
};

/* Records an error in the current line. */
__attribute__((format(printf, 2, 3))) static void mistake(struct reading *reading,
                                                          const char *format, ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    reading->code =
        ps_fail(reading->error, PS_E_CONFIG, "%s:%d: %s", reading->path, reading->line, text);
}

/* Reads one line without its end into `line`. False at the end of the file or after an error. */
static bool read_line(struct reading *reading, char line[MAX_LINE + 1])
{
    size_t length = 0;
    int c, last = 0;
    while ((c = getc(reading->stream)) != EOF && c != '\n' && length < COUNT_LIMIT) {
        if (c == '\0') {
            mistake(reading, "NUL byte: not a text file");
            return false;
        }
        if (length < MAX_LINE)
            line[length] = (char)c;
        length++;
        last = c;
    }
    if (ferror(reading->stream)) {
        reading->code = ps_fail(reading->error, PS_E_SYSTEM, "%s: cannot read: %s", reading->path,
                                strerror(errno));
        return false;
    }
    if (c == EOF && length == 0)
        return false;
    /* '\r' before the line break belongs to the line end (Windows). */
    length -= last == '\r';
    if (length > MAX_LINE) {
        mistake(reading, "line of %s%zu bytes, at most %d accepted",
                length == COUNT_LIMIT ? "more than " : "", length, MAX_LINE);
        return false;
    }
    line[length] = '\0';
    if (!ps_text_is_utf8(line, length)) {
        mistake(reading, "not UTF-8");
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        if ((byte < ' ' && byte != '\t') || byte == 127) {
            mistake(reading, "control character (byte 0x%02x)", byte);
            return false;
        }
    }
    return true;
}

/* Checks a "[section] ..." line for text that inih ignores. */
static bool check_section(struct reading *reading, const char *line)
{
    const char *name = line + 1;
    const char *end = strchr(name, ']');
    if (!end)
        return true; /* inih reports it */
    struct ps_error error;
    if (ps_config_find_section(name, (size_t)(end - name), &error) != 0) {
        mistake(reading, "%s", error.message);
        return false;
    }
    const char *rest = end + 1 + strspn(end + 1, " \t");
    if (*rest && *rest != ';' && *rest != '#') {
        mistake(reading, "[%.*s] is followed by \"%.64s\": expected the end of the line",
                (int)(end - name), name, rest);
        return false;
    }
    return true;
}

/* Cuts a comment at the end of a continuation line, which inih does only for other lines. */
static void cut_comment(char *line)
{
    for (char *at = strchr(line, ';'); at; at = strchr(at + 1, ';')) {
        if (at > line && strchr(" \t", at[-1])) {
            *at = '\0';
            return;
        }
    }
}

/* inih's reader, called for every line; NULL ends the parsing. */
static char *next_line(char *line, int size, void *user)
{
    struct reading *reading = user;
    if (reading->code != 0)
        return NULL;
    reading->line++;
    if (size < MAX_LINE + 1) {
        mistake(reading, "inih was built for lines of %d bytes only", size);
        return NULL;
    }
    if (!read_line(reading, line))
        return NULL;
    const char *text = line;
    if (reading->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    reading->indented = *text == ' ' || *text == '\t';
    if (reading->indented)
        cut_comment(line);
    if (*text == '[' && !check_section(reading, text))
        return NULL;
    return line;
}

/* True if a continuation line looks like an indented key = value. */
static bool is_setting(const char *line)
{
    line += strcspn(line, " \t=\"");
    return line[strspn(line, " \t")] == '=';
}

/* inih's handler, called for every key = value, and for each indented line after it, which adds
 * items to a list. Returns 0 after an error. */
static int take_value(void *user, const char *section, const char *name, const char *value)
{
    struct reading *reading = user;
    if (reading->code != 0)
        return 0;
    if (!*section) {
        mistake(reading, "key %.64s stands before the first [section]", name);
        return 0;
    }
    struct ps_error error;
    const struct config_key *key = ps_config_find(section, strlen(section), name, &error);
    if (!key) {
        mistake(reading, "%s", error.message);
        return 0;
    }
    int *set_in = &reading->set_in[key - ps_config_keys];
    bool goes_on = *set_in && reading->indented && key->type == CONFIG_list && !is_setting(value);
    if (*set_in && !goes_on) {
        mistake(reading, "duplicate key %s.%s: set in line %d already%s", section, name, *set_in,
                reading->indented ? " (an indented line continues the one before)" : "");
        return 0;
    }
    *set_in = reading->line;
    int code = goes_on ? ps_config_extend(key, value, reading->config, &error)
                       : ps_config_parse(key, value, reading->config, &error);
    if (code != 0) {
        mistake(reading, "%s", error.message);
        reading->code = code;
        return 0;
    }
    return 1;
}

static int read_stream(struct reading *reading)
{
    int line = ini_parse_stream(next_line, reading, take_value, reading);
    /* inih also returns the number of a line that the handler has refused and reported. */
    if (line > 0 && (reading->code == 0 || line < reading->line)) {
        reading->line = line;
        mistake(reading, "expected [section], key = value, or a comment that begins with ; or #");
    } else if (line < 0 && reading->code == 0) {
        reading->code = ps_fail_memory(reading->error, MAX_LINE, "a line of the configuration");
    }
    return reading->code;
}

int ps_config_read(struct ps_config *config, const char *path, struct ps_error *error)
{
    /* The table is small; a check is simpler than an allocation that can fail. */
    size_t keys = 0;
    while (ps_config_keys[keys].name)
        keys++;
    if (keys > MAX_KEYS)
        return ps_fail(error, PS_E_BUG, "more than %d configuration keys", MAX_KEYS);
    FILE *stream = fopen(path, "re");
    if (!stream)
        return ps_fail(error, PS_E_SYSTEM, "%s: cannot open: %s", path, strerror(errno));
    struct reading reading = {.path = path, .stream = stream, .error = error};
    reading.config = ps_config_copy(config);
    int code = reading.config ? read_stream(&reading)
                              : ps_fail_memory(error, sizeof *config, "a configuration");
    if (code == 0) {
        struct ps_config old = *config;
        *config = *reading.config;
        *reading.config = old;
    }
    ps_config_free(reading.config);
    (void)fclose(stream);
    return code;
}
