/* The words in which a micrograph and what came of it are described, as JSON: the header of a
 * `picks` message and the object of a JSON file of picks are made of the same parts.
 *
 * What is not known is null; text that is not UTF-8 has '?' for every byte above ASCII; a number
 * that JSON cannot hold (NaN, infinity) is null. Keys stand in a fixed order, so the same facts
 * give the same bytes. Functions return a new reference, or NULL without memory; as Jansson's
 * functions take NULL for an element as a failure of their own and release what they are given,
 * missing memory anywhere comes out as a missing object at the end, and only that need be looked
 * at.
 */
#ifndef PS_WIRE_HEADER_H
#define PS_WIRE_HEADER_H

#include "image/micrograph.h"
#include "pickstream.h"
#include "pickstream_wire.h"

#include <jansson.h>
#include <stdint.h>

/* What a `picks` message says beside the picks. Everything is borrowed. Text that is not known is
 * NULL, a revision, attempt or length that is not known 0. */
struct ps_outcome_facts {
    const char *stream; /* UUID of the journal */
    uint64_t seq;
    const char *session; /* publish.session */
    int64_t closed_ns;   /* since 1970 */
    int64_t detected_ns;
    int64_t published_ns;
    const char *path;
    const char *name;
    int revision;
    int attempt;
    uint64_t bytes;                         /* of the file */
    int width;                              /* px; 0 where unknown */
    int height;                             /* px */
    const struct ps_micrograph *micrograph; /* NULL where it could not be read */
    const char *pixel_size_source;          /* "header" or "configuration"; NULL: unknown */
    const char *profile;
    const char *parameters;         /* hash of the settings that decide about picks */
    const char *failure;            /* why it failed, where `result` is NULL */
    const struct ps_result *result; /* NULL if failed */
    double read_milliseconds;
    double total_milliseconds;
};

/* Of everything that we write; floats keep their value with 9 digits. */
enum { PS_JSON_FORMAT = JSON_COMPACT | JSON_REAL_PRECISION(9) };

json_t *ps_json_text(const char *value); /* NULL: null */
json_t *ps_json_number(double value);

/* The columns of a pick: ["x", "y", "score", "area"]. */
json_t *ps_header_columns(void);

/* The values of the keys "micrograph", "coordinates", "picker", "result" and "milliseconds". */
json_t *ps_header_micrograph(const struct ps_outcome_facts *facts);
json_t *ps_header_coordinates(const struct ps_outcome_facts *facts);
json_t *ps_header_picker(const struct ps_outcome_facts *facts);
json_t *ps_header_result(const struct ps_outcome_facts *facts);
json_t *ps_header_milliseconds(const struct ps_outcome_facts *facts);

/* "picked", "rejected" or "failed". */
const char *ps_header_status(const struct ps_outcome_facts *facts);
/* Why it was rejected or failed; NULL: neither. */
const char *ps_header_reason(const struct ps_outcome_facts *facts);

#endif
