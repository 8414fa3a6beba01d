/* Reads the fields of a message's header, a JSON object from the network, into C.
 *
 * A reader remembers the first thing that was wrong, so that the code that reads a message is a
 * straight list of its fields; after that the values are of no use. Errors name the field and quote
 * no text of the message, for they go to a terminal. A field that is null is one that is missing.
 */
#ifndef PS_WIRE_FIELDS_H
#define PS_WIRE_FIELDS_H

#include "pickstream.h"

#include <jansson.h>
#include <stdint.h>

/* Reads the keys of one object. */
struct ps_reader {
    const json_t *object; /* or NULL: all are missing */
    const char *where;    /* its name in errors: "micrograph." */
    int *status;          /* of the whole message: 0, or what ps_fail() returned */
    struct ps_error *error;
};

/* Makes the message unreadable: "where.key: expected ...". PS_E_INPUT. */
void ps_reader_wrong(const struct ps_reader *reader, const char *key, const char *expected);

/* The value of a key; NULL where it is missing or null. */
const json_t *ps_reader_value(const struct ps_reader *reader, const char *key);

/* A reader of an object in this one; it must be there. */
struct ps_reader ps_reader_section(const struct ps_reader *root, const char *key,
                                   const char *where);

/* A whole number in [min, max]; it must be there, or `fallback` is taken. */
int64_t ps_reader_integer(const struct ps_reader *reader, const char *key, int64_t min,
                          int64_t max);
int64_t ps_reader_integer_or(const struct ps_reader *reader, const char *key, int64_t min,
                             int64_t max, int64_t fallback);

/* A finite number of at least `min`, or `fallback`. */
double ps_reader_number_or(const struct ps_reader *reader, const char *key, double min,
                           double fallback);

/* Text, cut to `size` bytes; "" where there is none. */
void ps_reader_text(const struct ps_reader *reader, const char *key, char *ret, size_t size);

/* A name or path of a file, allocated; it must be there. NULL on failure, also PS_E_NOMEM. */
char *ps_reader_name(const struct ps_reader *reader, const char *key);

/* Seconds since 1970 of "2026-05-01T12:34:56.123456Z"; NAN where there is none. */
double ps_reader_time(const struct ps_reader *reader, const char *key);

/* Copies text, cut after a whole character of UTF-8 where it is too long. */
void ps_text_cut(const char *text, char *ret, size_t size);

#endif
