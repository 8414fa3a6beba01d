/* Configuration: every setting in one struct, made from the table keys.def.
 *
 * Every value is set from text: from the defaults, a file (file.c) or ps_config_set(). The key's
 * type parses and checks it (value.c). ps_config_get() returns text that sets the same value again.
 * Text that a file cannot hold (a line break, or " ;", which begins a comment) is refused from
 * every source; the limit of 199 bytes a line, from inih, applies only to files.
 *
 * Afterwards a `const struct ps_config *` is passed around and never changes: a new setting needs a
 * new configuration. The struct owns its strings and lists.
 */
#ifndef PS_CONFIG_CONFIG_H
#define PS_CONFIG_CONFIG_H

#include "base/log.h"
#include "pickstream.h"
#include "image/micrograph.h"

#include <stdint.h>
#include <stdio.h>

enum ps_profile { PS_PROFILE_ADAPTIVE, PS_PROFILE_ASPIRE };
enum ps_contrast { PS_CONTRAST_DARK, PS_CONTRAST_BRIGHT, PS_CONTRAST_AUTO };
enum ps_classifier { PS_CLASSIFIER_SVM, PS_CLASSIFIER_NAIVE_BAYES, PS_CLASSIFIER_MIXTURE };

/* Which names below a directory are micrographs: by rules (layout/layout.h), or by globs alone. */
enum ps_input_layout { PS_LAYOUT_AUTO, PS_LAYOUT_PLAIN };
enum ps_poll { PS_POLL_AUTO, PS_POLL_ALWAYS, PS_POLL_NEVER };
enum ps_order { PS_ORDER_OLDEST, PS_ORDER_NEWEST };

/* Whether the contrast of extracted particles is inverted. */
enum ps_extract_invert { PS_EXTRACT_INVERT_AUTO, PS_EXTRACT_INVERT_YES, PS_EXTRACT_INVERT_NO };

/* The reaction of the service to a GPU failure. */
enum ps_on_device_error { PS_ON_DEVICE_ERROR_EXIT, PS_ON_DEVICE_ERROR_CPU };

/* Highest number of GPUs in one machine. */
enum { PS_MAX_DEVICES = 64 };

enum ps_unit { PS_UNIT_ANGSTROM, PS_UNIT_PIXEL };

struct ps_length {
    double value; /* 0: not set */
    enum ps_unit unit;
};

struct ps_list {
    char **items;
    size_t count;
};

/* The field for each type in keys.def. */
#define PS_TYPE_bool      bool
#define PS_TYPE_int       int
#define PS_TYPE_uint64    uint64_t
#define PS_TYPE_number    double
#define PS_TYPE_threshold double /* -INFINITY for "none" */
#define PS_TYPE_length    struct ps_length
#define PS_TYPE_text      char *
#define PS_TYPE_backend   char * /* auto, cpu, cuda or cuda:N */

/* cfg->picker.particle_diameter and so on. */
struct ps_config {
#define SECTION(section, doc)                                  struct {
#define KEY(section, key, type, fallback, min, max, unit, doc) PS_TYPE_##type key;
#define CHOICE(section, key, tag, fallback, words, doc)        enum tag key;
#define LIST(section, key, fallback, min, words, unit, doc)    struct ps_list key;
#define END(section)                                                                               \
    }                                                                                              \
    section;
#include "config/keys.def"
#undef SECTION
#undef KEY
#undef CHOICE
#undef LIST
#undef END
};

/* ps_config_new(), _free(), _set() and _read() are public: pickstream.h. */

/* Copies a configuration. NULL without memory. */
struct ps_config *ps_config_copy(const struct ps_config *config);

/* Appends an item, taken literally, to the list "section.key". */
int ps_config_add(struct ps_config *config, const char *key, const char *item,
                  struct ps_error *error);

/* Returns the value of "section.key" as text for ps_config_set(), "" if it is not set; to be freed.
 * NULL for an unknown key, or without memory. */
char *ps_config_get(const struct ps_config *config, const char *key);

/* The words "a|b|c" that "section.key" can have; NULL if it can have others, or is unknown. */
const char *ps_config_words(const char *key);

/* Writes all keys as "section.key", each between `before` and `after`. */
void ps_config_print_keys(FILE *stream, const char *before, const char *after);

/* Checks across keys: PS_E_CONFIG for a missing required value or values that contradict each
 * other. Call it before a configuration is used. */
int ps_config_check(const struct ps_config *config, struct ps_error *error);

/* About a file name without the directory. True if a glob of input.include matches; if moreover
 * none of input.exclude does; and if one of input.include matches that says more than an extension,
 * as
 * *_DW.mrc does and *.mrc does not. */
bool ps_config_includes(const struct ps_config *config, const char *name);
bool ps_config_accepts(const struct ps_config *config, const char *name);
bool ps_config_names(const struct ps_config *config, const char *name);

/* A hash of the settings that affect picks ([picker] and input.movies): outcomes with the same
 * hash, version and profile were picked in the same way. PS_E_NOMEM. */
enum { PS_PARAMETERS_TEXT = 17 };
int ps_config_parameters(const struct ps_config *config, char ret_text[PS_PARAMETERS_TEXT],
                         struct ps_error *error);

/* Write the configuration to a stream; the caller checks the stream. In this order: all values, as
 * a file that gives the same configuration (PS_E_NOMEM); conf/pickstream.ini, with the default and
 * meaning of every key; pickstream.conf(5) in roff. */
int ps_config_print(const struct ps_config *config, FILE *stream, struct ps_error *error);
void ps_config_template(FILE *stream);
void ps_config_man(FILE *stream);

#endif
