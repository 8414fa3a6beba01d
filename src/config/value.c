/* Parses and formats one value, and describes what is accepted. */
#include "config/internal.h"

#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Appends to the text, cut to its size. */
__attribute__((format(printf, 2, 3))) static void append(char text[PS_CONFIG_ACCEPTED],
                                                         const char *format, ...)
{
    const size_t length = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + length, PS_CONFIG_ACCEPTED - length, format, arguments);
    va_end(arguments);
}

/* Appends words "a|b|c" as "a, b or c". */
static void append_words(char text[PS_CONFIG_ACCEPTED], const char *words)
{
    for (const char *at = words;;) {
        const size_t length = strcspn(at, "|");
        append(text, "%.*s", (int)length, at);
        at += length;
        if (!*at++)
            return;
        append(text, "%s", strchr(at, '|') ? ", " : " or ");
    }
}

const char *ps_config_accepted(const struct config_key *key, char ret_text[PS_CONFIG_ACCEPTED])
{
    char min[PS_NUMBER_TEXT], max[PS_NUMBER_TEXT];
    (void)snprintf(min, sizeof min, "%.15g", key->min);
    (void)snprintf(max, sizeof max, "%.15g", key->max);
    ret_text[0] = '\0';
    switch (key->type) {
    case CONFIG_bool:
        append(ret_text, "yes or no");
        break;
    case CONFIG_int:
    case CONFIG_uint64:
    case CONFIG_number:
        append(ret_text, "a%s number, %s to %s%s%s", key->type == CONFIG_number ? "" : " whole",
               min, max, key->unit ? " " : "", key->unit ? key->unit : "");
        break;
    case CONFIG_threshold:
        append(ret_text, "a number, %s to %s, or none", min, max);
        break;
    case CONFIG_length:
        append(ret_text, "a length, %s to %s, in A (180 or 180 A) or in pixels (64px)", min, max);
        break;
    case CONFIG_text:
        append(ret_text, "%s", key->unit);
        break;
    case CONFIG_backend:
        append(ret_text, "auto, cpu, cuda or cuda:N with N from 0 to 63");
        break;
    case CONFIG_choice:
        append_words(ret_text, key->words);
        break;
    case CONFIG_list:
        append(ret_text, "%s", key->min > 0 ? "one or more" : "none or more");
        if (key->words) {
            append(ret_text, " of ");
            append_words(ret_text, key->words);
        } else {
            append(ret_text, " %s", key->unit);
        }
        break;
    }
    return ret_text;
}

static int parse_bool(const char *text, bool *field)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *field = i % 2;
            return 0;
        }
    }
    return PS_E_CONFIG;
}

static int parse_int(const struct config_key *key, const char *text, int *field)
{
    int64_t value;
    if (!ps_text_to_int(text, (int64_t)key->min, (int64_t)key->max, &value))
        return PS_E_CONFIG;
    *field = (int)value;
    return 0;
}

static int parse_threshold(const struct config_key *key, const char *text, double *field)
{
    if (strcmp(text, "none") == 0) {
        *field = -INFINITY;
        return 0;
    }
    return ps_text_to_double(text, key->min, key->max, field, NULL) ? 0 : PS_E_CONFIG;
}

static int parse_length(const struct config_key *key, const char *text, struct ps_length *field)
{
    /* The angstrom sign: U+00C5, and U+212B, which looks the same. */
    static const struct {
        const char *text;
        enum ps_unit unit;
    } units[] = {
        {"", PS_UNIT_ANGSTROM},       {"A", PS_UNIT_ANGSTROM}, {"\u00c5", PS_UNIT_ANGSTROM},
        {"\u212b", PS_UNIT_ANGSTROM}, {"px", PS_UNIT_PIXEL},
    };
    double value;
    const char *unit;
    if (!ps_text_to_double(text, key->min, key->max, &value, &unit))
        return PS_E_CONFIG;
    unit += strspn(unit, " \t");
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(unit, units[i].text) == 0) {
            *field = (struct ps_length){.value = value, .unit = units[i].unit};
            return 0;
        }
    }
    return PS_E_CONFIG;
}

static int parse_text(const char *text, char **field)
{
    if (!*text)
        return PS_E_CONFIG;
    char *copy = strdup(text);
    if (!copy)
        return PS_E_NOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int parse_backend(const char *text, char **field)
{
    uint64_t device;
    bool device_named = strncmp(text, "cuda:", 5) == 0;
    if (strcmp(text, "auto") != 0 && strcmp(text, "cpu") != 0 && strcmp(text, "cuda") != 0 &&
        !(device_named && ps_text_to_uint(text + 5, 0, PS_MAX_DEVICES - 1, &device)))
        return PS_E_CONFIG;
    return parse_text(text, field);
}

static int parse_choice(const struct config_key *key, const char *text, void *field)
{
    int number = ps_config_find_word(key->words, text, strlen(text));
    if (number < 0)
        return PS_E_CONFIG;
    /* The type of the enum depends on the key; gcc stores enums without negative values as
     * unsigned. */
    unsigned value = (unsigned)number;
    memcpy(field, &value, sizeof value);
    return 0;
}

/* ---- any key -------------------------------------------------------------------------------- */

static void *field_of(const struct config_key *key, struct ps_config *config)
{
    return (char *)config + key->offset;
}

/* The reason why a configuration file cannot hold this text; NULL if it can. */
static const char *not_for_a_file(const char *text)
{
    size_t length = strlen(text);
    if (!ps_text_is_utf8(text, length))
        return "not UTF-8";
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return "holds a control character";
        if (c == ';' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t'))
            return "\" ;\" would begin a comment";
    }
    if (length && (strchr(" \t", text[0]) || strchr(" \t", text[length - 1])))
        return "begins or ends with a blank";
    return NULL;
}

int ps_config_parse(const struct config_key *key, const char *text, struct ps_config *config,
                    struct ps_error *error)
{
    const char *fault = not_for_a_file(text);
    if (fault)
        return ps_fail(error, PS_E_CONFIG, "%s.%s: %s", key->section, key->name, fault);
    void *field = field_of(key, config);
    int code = PS_E_BUG;
    switch (key->type) {
    case CONFIG_bool:
        code = parse_bool(text, field);
        break;
    case CONFIG_int:
        code = parse_int(key, text, field);
        break;
    case CONFIG_uint64:
        code =
            ps_text_to_uint(text, (uint64_t)key->min, (uint64_t)key->max, field) ? 0 : PS_E_CONFIG;
        break;
    case CONFIG_number:
        code = ps_text_to_double(text, key->min, key->max, field, NULL) ? 0 : PS_E_CONFIG;
        break;
    case CONFIG_threshold:
        code = parse_threshold(key, text, field);
        break;
    case CONFIG_length:
        code = parse_length(key, text, field);
        break;
    case CONFIG_text:
        code = parse_text(text, field);
        break;
    case CONFIG_backend:
        code = parse_backend(text, field);
        break;
    case CONFIG_choice:
        code = parse_choice(key, text, field);
        break;
    case CONFIG_list:
        code = ps_config_parse_list(key, text, field);
        break;
    }
    if (code == PS_E_NOMEM)
        return ps_fail_memory(error, strlen(text) + 1, "a configuration value");
    if (code != 0) {
        char accepted[PS_CONFIG_ACCEPTED];
        return ps_fail(error, PS_E_CONFIG, "%s.%s = %.100s: expected %s", key->section, key->name,
                       text, ps_config_accepted(key, accepted));
    }
    return 0;
}

static char *format_length(const struct ps_length *length)
{
    if (length->value <= 0)
        return strdup("");
    char number[PS_NUMBER_TEXT], text[PS_NUMBER_TEXT + 4];
    (void)snprintf(text, sizeof text, "%s %s", ps_text_from_double(length->value, number),
                   length->unit == PS_UNIT_PIXEL ? "px" : "A");
    return strdup(text);
}

char *ps_config_format(const struct config_key *key, const struct ps_config *config)
{
    const void *field = (const char *)config + key->offset;
    char text[PS_NUMBER_TEXT];
    switch (key->type) {
    case CONFIG_bool:
        return strdup(*(const bool *)field ? "yes" : "no");
    case CONFIG_int:
        (void)snprintf(text, sizeof text, "%d", *(const int *)field);
        return strdup(text);
    case CONFIG_uint64:
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)*(const uint64_t *)field);
        return strdup(text);
    case CONFIG_threshold:
        if (isinf(*(const double *)field))
            return strdup("none");
        return strdup(ps_text_from_double(*(const double *)field, text));
    case CONFIG_number:
        return strdup(ps_text_from_double(*(const double *)field, text));
    case CONFIG_length:
        return format_length(field);
    case CONFIG_text: /* NULL if it is not set and has no default */
    case CONFIG_backend:
        return strdup(*(char *const *)field ? *(char *const *)field : "");
    case CONFIG_choice: {
        unsigned number;
        memcpy(&number, field, sizeof number);
        return ps_config_copy_word(key->words, number);
    }
    case CONFIG_list:
        return ps_config_format_list(field, " ");
    }
    return NULL;
}

char *ps_config_format_lines(const struct config_key *key, const struct ps_config *config)
{
    const void *field = (const char *)config + key->offset;
    return key->type == CONFIG_list ? ps_config_format_list(field, "\n    ")
                                    : ps_config_format(key, config);
}

int ps_config_extend(const struct config_key *key, const char *text, struct ps_config *config,
                     struct ps_error *error)
{
    char *before = key->type == CONFIG_list ? ps_config_format(key, config) : strdup("");
    char *all = NULL;
    if (before && asprintf(&all, "%s%s%s", before, *before ? " " : "", text) < 0)
        all = NULL;
    int code = all ? ps_config_parse(key, all, config, error)
                   : ps_fail_memory(error, strlen(text) + 1, "a configuration value");
    free(before);
    free(all);
    return code;
}

int ps_config_extend_item(const struct config_key *key, const char *item, struct ps_config *config,
                          struct ps_error *error)
{
    char *text = malloc(2 * strlen(item) + 3);
    if (!text)
        return ps_fail_memory(error, strlen(item), "a configuration value");
    (void)ps_config_quote_item(text, item);
    int code = ps_config_extend(key, text, config, error);
    free(text);
    return code;
}

void ps_config_clear(const struct config_key *key, struct ps_config *config)
{
    void *field = field_of(key, config);
    if (key->type == CONFIG_text || key->type == CONFIG_backend) {
        free(*(char **)field);
        *(char **)field = NULL;
    } else if (key->type == CONFIG_list) {
        ps_config_clear_list(field);
    }
}
