/* Configuration: every setting in one struct, made from the table keys.def.
 *
 * A value has one way in, its text: from the defaults, from a file (file.c) or from
 * ps_config_set(); all of them are parsed and checked by the key's type (value.c). It also
 * has one way out, ps_config_get(), and what comes out goes in again unchanged. Text that a file
 * could not hold (a line break, " ;", which begins a comment) is refused wherever it comes from;
 * only its length is limited in a file alone, to what inih reads: 199 bytes a line.
 *
 * After that a `const struct ps_config *` is passed around and nothing changes it: to change a
 * setting is to start again. Strings and lists belong to the struct.
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

enum ps_poll { PS_POLL_AUTO, PS_POLL_ALWAYS, PS_POLL_NEVER };
enum ps_order { PS_ORDER_OLDEST, PS_ORDER_NEWEST };

/* What the service does when a GPU fails. */
enum ps_on_device_error { PS_ON_DEVICE_ERROR_EXIT, PS_ON_DEVICE_ERROR_CPU };

/* GPUs of one machine that can be named. */
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

/* A configuration with the same values. NULL without memory. */
struct ps_config *ps_config_copy(const struct ps_config *config);

/* Puts one more item, taken literally, at the end of the list "section.key". */
int ps_config_add(struct ps_config *config, const char *key, const char *item,
                  struct ps_error *error);

/* The value of "section.key" as text that ps_config_set() takes, "" for a value that is not set; to
 * be freed. NULL for an unknown key, or without memory. */
char *ps_config_get(const struct ps_config *config, const char *key);

/* What one key cannot tell: PS_E_CONFIG for a required value that is missing and for values that
 * contradict each other. To be called before a configuration is used. */
int ps_config_check(const struct ps_config *config, struct ps_error *error);

/* Whether a file in a directory is a micrograph by its name (without the directory): include
 * matches and exclude does not. */
bool ps_config_accepts(const struct ps_config *config, const char *name);

/* Writers of the configuration, for a stream that the caller checks. All values, so that the text
 * read as a file gives the same configuration; conf/pickstream.ini, every key with its default and
 * meaning; and pickstream.conf(5) in roff. */
void ps_config_print(const struct ps_config *config, FILE *stream);
void ps_config_template(FILE *stream);
void ps_config_man(FILE *stream);

#endif
