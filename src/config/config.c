/* The configuration as a whole: its table, allocation, lookup, and checks across keys. */
#include "config/config.h"

#include "config/internal.h"
#include "base/error.h"
#include "base/text.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

const struct config_key ps_config_keys[] = {
#define SECTION(section, doc)
#define END(section)
#define ROW(section_, key_, ...)                                                                   \
    {.section = #section_,                                                                         \
     .name = #key_,                                                                                \
     .offset = offsetof(struct ps_config, section_.key_),                                          \
     __VA_ARGS__},
#define KEY(section_, key_, type_, fallback_, min_, max_, unit_, doc_)                             \
    ROW(section_, key_, .type = CONFIG_##type_, .fallback = fallback_, .min = min_, .max = max_,   \
        .unit = unit_, .doc = doc_)
#define CHOICE(section_, key_, tag_, fallback_, words_, doc_)                                      \
    ROW(section_, key_, .type = CONFIG_choice, .fallback = fallback_, .words = words_, .doc = doc_)
#define LIST(section_, key_, fallback_, min_, words_, unit_, doc_)                                 \
    ROW(section_, key_, .type = CONFIG_list, .fallback = fallback_, .min = min_, .words = words_,  \
        .unit = unit_, .doc = doc_)
#include "config/keys.def"
#undef SECTION
#undef KEY
#undef CHOICE
#undef LIST
#undef END
    {.name = NULL},
};

const struct config_section ps_config_sections[] = {
#define SECTION(section, doc) {#section, doc},
#define KEY(...)
#define CHOICE(...)
#define LIST(...)
#define END(section)
#include "config/keys.def"
    {NULL, NULL},
};

struct ps_config *ps_config_new(void)
{
    struct ps_config *config = calloc(1, sizeof *config);
    if (!config)
        return NULL;
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        if (*key->fallback && ps_config_parse(key, key->fallback, config, NULL) != 0) {
            ps_config_free(config);
            return NULL;
        }
    }
    return config;
}

void ps_config_free(struct ps_config *config)
{
    if (!config)
        return;
    for (const struct config_key *key = ps_config_keys; key->name; key++)
        ps_config_clear(key, config);
    free(config);
}

struct ps_config *ps_config_copy(const struct ps_config *config)
{
    struct ps_config *copy = ps_config_new();
    if (!copy)
        return NULL;
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        char *text = ps_config_format(key, config);
        /* A default of "" is not parsed: the field is empty already. */
        bool same = text && (!*text && !*key->fallback);
        int code = !text ? PS_E_NOMEM : same ? 0 : ps_config_parse(key, text, copy, NULL);
        free(text);
        if (code != 0) {
            ps_config_free(copy);
            return NULL;
        }
    }
    return copy;
}

int ps_config_find_section(const char *name, size_t length, struct ps_error *error)
{
    char word[64];
    (void)snprintf(word, sizeof word, "%.*s", length < sizeof word ? (int)length : 0, name);
    struct ps_suggestion suggestion = {.word = word};
    for (const struct config_section *section = ps_config_sections; section->name; section++) {
        if (strlen(section->name) == length && memcmp(section->name, name, length) == 0)
            return 0;
        ps_suggestion_offer(&suggestion, section->name);
    }
    int shown = length < 64 ? (int)length : 64;
    if (suggestion.nearest)
        return ps_fail(error, PS_E_CONFIG, "unknown section [%.*s]: did you mean [%s]?", shown,
                       name, suggestion.nearest);
    return ps_fail(error, PS_E_CONFIG, "unknown section [%.*s]", shown, name);
}

const struct config_key *ps_config_find(const char *section, size_t section_length,
                                        const char *name, struct ps_error *error)
{
    if (ps_config_find_section(section, section_length, error) != 0)
        return NULL;
    struct ps_suggestion near = {.word = name};
    const char *home = NULL; /* a section that has this key */
    for (const struct config_key *key = ps_config_keys; key->name; key++) {
        bool here = strlen(key->section) == section_length &&
                    memcmp(key->section, section, section_length) == 0;
        if (here && strcmp(key->name, name) == 0)
            return key;
        if (here)
            ps_suggestion_offer(&near, key->name);
        else if (strcmp(key->name, name) == 0)
            home = key->section;
    }
    int length = (int)section_length;
    if (home)
        (void)ps_fail(error, PS_E_CONFIG, "unknown key %.*s.%.64s: did you mean %s.%s?", length,
                      section, name, home, name);
    else if (near.nearest)
        (void)ps_fail(error, PS_E_CONFIG, "unknown key %.*s.%.64s: did you mean %.*s.%s?", length,
                      section, name, length, section, near.nearest);
    else
        (void)ps_fail(error, PS_E_CONFIG, "unknown key %.*s.%.64s", length, section, name);
    return NULL;
}

/* Finds the row for "section.key". */
static const struct config_key *find_path(const char *path, struct ps_error *error)
{
    const char *dot = strchr(path, '.');
    if (!dot) {
        (void)ps_fail(error, PS_E_CONFIG, "unknown key %.64s: expected section.key", path);
        return NULL;
    }
    return ps_config_find(path, (size_t)(dot - path), dot + 1, error);
}

int ps_config_set(struct ps_config *config, const char *key, const char *value,
                  struct ps_error *error)
{
    const struct config_key *row = find_path(key, error);
    return row ? ps_config_parse(row, value, config, error) : PS_E_CONFIG;
}

int ps_config_add(struct ps_config *config, const char *key, const char *item,
                  struct ps_error *error)
{
    const struct config_key *row = find_path(key, error);
    return row ? ps_config_extend_item(row, item, config, error) : PS_E_CONFIG;
}

char *ps_config_get(const struct ps_config *config, const char *key)
{
    const struct config_key *row = find_path(key, NULL);
    return row ? ps_config_format(row, config) : NULL;
}

const char *ps_config_words(const char *key)
{
    const struct config_key *row = find_path(key, NULL);
    if (!row)
        return NULL;
    return row->type == CONFIG_bool ? "yes|no" : row->words;
}

void ps_config_print_keys(FILE *stream, const char *before, const char *after)
{
    for (const struct config_key *key = ps_config_keys; key->name; key++)
        (void)fprintf(stream, "%s%s.%s%s", before, key->section, key->name, after);
}

int ps_config_check(const struct ps_config *config, struct ps_error *error)
{
    if (config->picker.particle_diameter.value <= 0)
        return ps_fail(error, PS_E_CONFIG,
                       "picker.particle_diameter is not set: it is required, for example 180 (in "
                       "A) or 64px");
    int min = config->picker.min_particle_size;
    int max = config->picker.max_particle_size;
    if (min && max && min >= max)
        return ps_fail(error, PS_E_CONFIG,
                       "picker.min_particle_size = %d must be less than picker.max_particle_size = "
                       "%d",
                       min, max);
    int tau1 = config->picker.tau1;
    int tau2 = config->picker.tau2;
    if (tau1 && tau2 && tau1 >= tau2)
        return ps_fail(error, PS_E_CONFIG,
                       "picker.tau1 = %d must be less than picker.tau2 = %d: windows between are "
                       "examples of neither",
                       tau1, tau2);
    if (config->picker.profile == PS_PROFILE_ADAPTIVE && config->picker.min_score > 1)
        return ps_fail(error, PS_E_CONFIG,
                       "picker.min_score = %g drops every pick: with picker.profile = adaptive a "
                       "score is a probability, from 0 to 1",
                       config->picker.min_score);
    if (config->compute.require_gpu && strcmp(config->compute.backend, "cpu") == 0)
        return ps_fail(error, PS_E_CONFIG,
                       "compute.require_gpu = yes contradicts compute.backend = cpu");
    const struct ps_list *devices = &config->compute.devices;
    for (size_t i = 0; i < devices->count; i++) {
        uint64_t number;
        bool all = devices->count == 1 && strcmp(devices->items[i], "all") == 0;
        if (!all && !ps_text_to_uint(devices->items[i], 0, PS_MAX_DEVICES - 1, &number))
            return ps_fail(error, PS_E_CONFIG,
                           "compute.devices = %.100s: expected all, or numbers from 0 to %d",
                           devices->items[i], PS_MAX_DEVICES - 1);
    }
    return 0;
}

static bool matches(const struct ps_list *globs, const char *name)
{
    for (size_t i = 0; i < globs->count; i++) {
        if (fnmatch(globs->items[i], name, FNM_CASEFOLD) == 0)
            return true;
    }
    return false;
}

bool ps_config_includes(const struct ps_config *config, const char *name)
{
    return matches(&config->input.include, name);
}

bool ps_config_names(const struct ps_config *config, const char *name)
{
    for (size_t i = 0; i < config->input.include.count; i++) {
        const char *glob = config->input.include.items[i];
        const bool extension =
            glob[0] == '*' && (!glob[1] || (glob[1] == '.' && !strchr(glob + 2, '.')));
        if (!extension && fnmatch(glob, name, FNM_CASEFOLD) == 0)
            return true;
    }
    return false;
}

bool ps_config_accepts(const struct ps_config *config, const char *name)
{
    return matches(&config->input.include, name) && !matches(&config->input.exclude, name);
}
