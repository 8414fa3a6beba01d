/* Reads the fields of a message's header, a JSON object from the network.
 *
 * A reader keeps the first error, so that the caller can read all fields in a row and check once;
 * after an error the values are meaningless. Errors name the field but do not quote the message,
 * because they are printed on terminals. A null field counts as missing.
 */
#ifndef PS_WIRE_FIELDS_H
#define PS_WIRE_FIELDS_H

#include "pickstream.h"

#include <jansson.h>
#include <stdint.h>

/* Reads the keys of one object. */
struct ps_reader {
    const json_t *object; /* NULL: all keys are missing */
    const char *where;    /* its name in errors: "micrograph." */
    int *status;          /* of the whole message: 0 or an error code */
    struct ps_error *error;
};

/* Records the error "where.key: expected ..." (PS_E_INPUT), unless there is one. */
void ps_reader_wrong(const struct ps_reader *reader, const char *key, const char *expected);

/* The value of a key; NULL if it is missing or null. */
const json_t *ps_reader_value(const struct ps_reader *reader, const char *key);

/* A reader of a nested object, which must exist. */
struct ps_reader ps_reader_section(const struct ps_reader *root, const char *key,
                                   const char *where);

/* A whole number in [min, max]. If it is missing: an error, or `fallback`. */
int64_t ps_reader_integer(const struct ps_reader *reader, const char *key, int64_t min,
                          int64_t max);
int64_t ps_reader_integer_or(const struct ps_reader *reader, const char *key, int64_t min,
                             int64_t max, int64_t fallback);

/* A finite number of at least `min`; `fallback` if it is missing. */
double ps_reader_number_or(const struct ps_reader *reader, const char *key, double min,
                           double fallback);

/* Text, cut to `size` bytes; "" if it is missing. */
void ps_reader_text(const struct ps_reader *reader, const char *key, char *ret, size_t size);

/* A file name or path, which must exist; to be freed. NULL on failure, also PS_E_NOMEM. */
char *ps_reader_name(const struct ps_reader *reader, const char *key);

/* Seconds since 1970 of "2026-05-01T12:34:56.123456Z"; NAN if it is missing. */
double ps_reader_time(const struct ps_reader *reader, const char *key);

/* Copies text; if it is too long, cuts it after a complete UTF-8 character. */
void ps_text_cut(const char *text, char *ret, size_t size);

#endif
