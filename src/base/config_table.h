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

enum {
    PS_CONFIG_ACCEPTED = 160,
    PS_CONFIG_LINE = 199, /* bytes of a line in a file: what Debian's inih reads */
};

/* What the key takes, for a person: "a whole number, 0 to 1024 threads". Returns `ret_text`. */
const char *ps_config_accepted(const struct config_key *key, char ret_text[PS_CONFIG_ACCEPTED]);

/* Reads a value from its text into the field; the message of PS_E_CONFIG says what is accepted. */
int ps_config_parse(const struct config_key *key, const char *text, struct ps_config *config,
                    struct ps_error *error);

/* The same for more items of a list, behind those it has (for any other key: parse). The second
 * takes one item, literally, and quotes it itself. */
int ps_config_extend(const struct config_key *key, const char *text, struct ps_config *config,
                     struct ps_error *error);
int ps_config_extend_item(const struct config_key *key, const char *item, struct ps_config *config,
                          struct ps_error *error);

/* The field's value as text, to be freed; NULL without memory. The second writes each item of a
 * list in a line of its own, for lists that are too long for one line of a file. */
char *ps_config_format(const struct config_key *key, const struct ps_config *config);
char *ps_config_format_lines(const struct config_key *key, const struct ps_config *config);

/* Number of the word among "a|b|c", or -1. */
int ps_config_find_word(const char *words, const char *word, size_t length);

/* Lists (config_list.c), as the functions above use them: parsing returns 0, PS_E_CONFIG or
 * PS_E_NOMEM without a message, and keeps the field unless it returns 0. */
int ps_config_parse_list(const struct config_key *key, const char *text, struct ps_list *field);
char *ps_config_format_list(const struct ps_list *list, const char *separator);
void ps_config_clear_list(struct ps_list *list);

/* Frees what the field owns. */
void ps_config_clear(const struct config_key *key, struct ps_config *config);

/* The key, or NULL and PS_E_CONFIG with the nearest one there is. `section_length` bytes are the
 * name of the section. */
const struct config_key *ps_config_find(const char *section, size_t section_length,
                                        const char *name, struct ps_error *error);

/* PS_E_CONFIG with the nearest section there is, where there is none of this name. */
int ps_config_find_section(const char *name, size_t length, struct ps_error *error);

#endif
