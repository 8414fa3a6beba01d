/* Inside of the configuration: its keys as rows to walk over. Only config*.c include this. */
#ifndef PS_BASE_CONFIG_TABLE_H
#define PS_BASE_CONFIG_TABLE_H

#include "base/config.h"

enum config_type {
    CONFIG_bool,
    CONFIG_int,
    CONFIG_uint64,
    CONFIG_number,
    CONFIG_threshold,
    CONFIG_length,
    CONFIG_text,
    CONFIG_backend,
    CONFIG_choice,
    CONFIG_list,
};

struct config_key {
    const char *section;
    const char *name;
    enum config_type type;
    size_t offset; /* of its field in struct ps_config */
    const char *fallback;
    double min, max;
    const char *unit;  /* what is counted or measured, or NULL */
    const char *words; /* "a|b|c" of a choice or list, or NULL */
    const char *doc;
};

struct config_section {
    const char *name;
    const char *doc;
};

/* In the order of config.def; both end with a row whose name is NULL. */
extern const struct config_key ps_config_keys[];
extern const struct config_section ps_config_sections[];

enum { PS_CONFIG_ACCEPTED = 160 };

/* What the key takes, for a person: "a whole number, 0 to 1024 threads". Returns `ret_text`. */
const char *ps_config_accepted(const struct config_key *key, char ret_text[PS_CONFIG_ACCEPTED]);

/* Reads a value from its text into the field; the message of PS_E_CONFIG says what is accepted. */
int ps_config_parse(const struct config_key *key, const char *text, struct ps_config *config,
                    struct ps_error *error);

/* The field's value as text, to be freed; NULL without memory. */
char *ps_config_format(const struct config_key *key, const struct ps_config *config);

/* Frees what the field owns. */
void ps_config_clear(const struct config_key *key, struct ps_config *config);

/* The key, or NULL and PS_E_CONFIG with the nearest one there is. `section_length` bytes are the
 * name of the section. */
const struct config_key *ps_config_find(const char *section, size_t section_length,
                                        const char *name, struct ps_error *error);

/* PS_E_CONFIG with the nearest section there is, where there is none of this name. */
int ps_config_find_section(const char *name, size_t length, struct ps_error *error);

#endif
