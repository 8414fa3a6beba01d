/* A micrograph and its outcome as JSON. The header of a `picks` message and the object in a JSON
 * file of picks are made of these parts.
 *
 * An unknown value is null. Text that is not UTF-8 has '?' for every byte above ASCII, but the
 * names of micrographs are percent-encoded; a number that JSON cannot hold (NaN, infinity) is null.
 * The order of keys is fixed, so the same facts give the same bytes. Functions return a new
 * reference, or NULL without memory. Jansson's functions treat a NULL element as a failure and
 * release their arguments, so the caller needs to check only the final object.
 */
#ifndef PS_WIRE_HEADER_H
#define PS_WIRE_HEADER_H

#include "image/micrograph.h"
#include "pickstream.h"
#include "pickstream_wire.h"

#include <jansson.h>
#include <stdint.h>

/* The content of a `picks` message beside the picks. Everything is borrowed. Unknown text is NULL;
 * an unknown revision, attempt or length is 0. */
struct ps_outcome_facts {
    const char *stream; /* UUID of the journal */
    uint64_t seq;
    uint64_t replaces;   /* seq of the outcome before it of the same path; 0: none */
    const char *session; /* publish.session */
    int64_t closed_ns;   /* since 1970 */
    int64_t detected_ns;
    int64_t published_ns;
    const char *path;
    const char *name;
    int revision;
    int attempt;
    uint64_t bytes;                         /* of the file */
    int width;                              /* px; 0: unknown */
    int height;                             /* px */
    const struct ps_micrograph *micrograph; /* NULL: unreadable */
    const char *pixel_size_source;          /* "header" or "configuration"; NULL: unknown */
    const char *profile;
    const char *parameters;         /* hash of the settings that decide about picks */
    const char *failure;            /* the reason, if `result` is NULL */
    const struct ps_result *result; /* NULL if failed */
    double usual_count;             /* median of the session, if this one has far fewer; else 0 */
    double read_milliseconds;
    double total_milliseconds;
};

/* The format of all JSON output; 9 digits preserve the value of a float. */
enum { PS_JSON_FORMAT = JSON_COMPACT | JSON_REAL_PRECISION(9) };

json_t *ps_json_text(const char *value); /* NULL: null */
json_t *ps_json_number(double value);
json_t *ps_json_known(int64_t value); /* 0, which means unknown or none: null */

/* Path and name of a micrograph. If one is not UTF-8, both are percent-encoded (base/percent.h) and
 * `encoding` is "percent"; else it is NULL. The values are new references, which are NULL without
 * memory. */
struct ps_json_names {
    json_t *path;
    json_t *name;
    json_t *encoding;
};
struct ps_json_names ps_json_names(const char *path, const char *name);

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
/* The reason if rejected or failed, else NULL. */
const char *ps_header_reason(const struct ps_outcome_facts *facts);

/* What is wrong with an outcome: its reason, its warnings, and what its session says of it. */
struct ps_problem {
    enum ps_warning kind; /* code and advice: base/warning.h */
    const char *text;     /* borrowed from the facts, or from the list */
};

struct ps_problems {
    size_t count;
    struct ps_problem of[PS_MAX_WARNINGS + 3];
    char collapsed[100];
};

/* The reason of a failed or rejected micrograph comes first, then what its session says, the
 * reader's warning, and those of the picker but for those of PS_WARNING_NONE. */
void ps_header_problems(const struct ps_outcome_facts *facts, struct ps_problems *ret_problems);

#endif
