/* The table of keys, for the files of this folder only. */
#ifndef PS_CONFIG_INTERNAL_H
#define PS_CONFIG_INTERNAL_H

#include "config/config.h"

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
    size_t offset; /* of the field in struct ps_config */
    const char *fallback;
    double min, max;
    const char *unit;  /* of the value, or NULL */
    const char *words; /* "a|b|c" of a choice or list, or NULL */
    const char *doc;
};

struct config_section {
    const char *name;
    const char *doc;
};

/* In the order of keys.def; both end with a row whose name is NULL. */
extern const struct config_key ps_config_keys[];
extern const struct config_section ps_config_sections[];

enum {
    PS_CONFIG_ACCEPTED = 160,
    PS_CONFIG_LINE = 199, /* bytes of a line in a file: what Debian's inih reads */
};

/* Describes the values of a key: "a whole number, 0 to 1024 threads". Returns `ret_text`. Allocates
 * nothing: the error about a value needs it. */
const char *ps_config_accepted(const struct config_key *key, char ret_text[PS_CONFIG_ACCEPTED]);

/* Parses text into the field; the message of PS_E_CONFIG tells what is accepted. */
int ps_config_parse(const struct config_key *key, const char *text, struct ps_config *config,
                    struct ps_error *error);

/* The same, but appends to a list (for any other key: parse). The second function takes one item
 * literally and quotes it. */
int ps_config_extend(const struct config_key *key, const char *text, struct ps_config *config,
                     struct ps_error *error);
int ps_config_extend_item(const struct config_key *key, const char *item, struct ps_config *config,
                          struct ps_error *error);

/* Formats the value as text, to be freed; NULL without memory. The second function writes each item
 * of a list in a separate line, for lists that are too long for one line of a file. */
char *ps_config_format(const struct config_key *key, const struct ps_config *config);
char *ps_config_format_lines(const struct config_key *key, const struct ps_config *config);

/* Words "a|b|c" (words.c): the index of a word, or -1; a copy of the word with that index, to be
 * freed, NULL without memory. */
int ps_config_find_word(const char *words, const char *word, size_t length);
char *ps_config_copy_word(const char *words, unsigned number);

/* Lists (list.c), for the functions above: parsing returns 0, PS_E_CONFIG or PS_E_NOMEM without a
 * message, and changes the field only if it returns 0. */
int ps_config_parse_list(const struct config_key *key, const char *text, struct ps_list *field);
char *ps_config_format_list(const struct ps_list *list, const char *separator);
void ps_config_clear_list(struct ps_list *list);

/* Writes an item of a list, quoted if necessary so that it also reads back from the start of an
 * indented line (where it could look like a comment or key = value). Returns its end; `at` has the
 * capacity for twice the item and two quotes. */
char *ps_config_quote_item(char *at, const char *item);

/* Frees the memory that the field owns. */
void ps_config_clear(const struct config_key *key, struct ps_config *config);

/* Finds a key; NULL and PS_E_CONFIG with the nearest known key. `section_length` is the length of
 * the section's name. */
const struct config_key *ps_config_find(const char *section, size_t section_length,
                                        const char *name, struct ps_error *error);

/* Checks that a section exists. PS_E_CONFIG with the nearest known section. */
int ps_config_find_section(const char *name, size_t length, struct ps_error *error);

#endif
