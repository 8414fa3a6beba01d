/* Reads `picks` messages as a subscriber receives them: untrusted bytes from the network.
 *
 * The reverse of message.h, for `pickstream listen`. Every length, type and number is checked: a
 * header has at most PS_MAX_HEADER bytes, every key that is used has the right type and range, and
 * the array of picks has exactly the size that its shape and the header's count give. Unknown keys,
 * arrays and message types are ignored, so that later versions can add some; an invalid known key
 * makes the whole message unreadable.
 *
 * Text longer than its field is cut at the end of a character; the first PS_MAX_WARNINGS warnings
 * are kept. Before a name is used as a path, check it with ps_name_is_safe().
 */
#ifndef PS_WIRE_MESSAGE_READ_H
#define PS_WIRE_MESSAGE_READ_H

#include "image/micrograph.h"
#include "pickstream.h"
#include "wire/envelope.h"

#include <stdbool.h>
#include <stdint.h>

enum ps_outcome_record_status { PS_OUTCOME_PICKED, PS_OUTCOME_REJECTED, PS_OUTCOME_FAILED };

/* An outcome as read from a `picks` message. */
struct ps_outcome_record {
    char stream[PS_STREAM_TEXT];
    uint64_t seq;
    char *path;     /* of the micrograph on the service's machine */
    char *name;     /* the path below the watched directory */
    int revision;   /* 1, 2, ... */
    double latency; /* seconds from the close of the file to its publication; NAN: unknown */
    enum ps_outcome_record_status status;
    char reason[256];                /* if rejected or failed */
    char problems[640];              /* of others: "code: text: advice; ..."; or "" */
    bool has_micrograph;             /* the file was readable: the next two are valid */
    struct ps_micrograph micrograph; /* without pixels, unless they were read again */
    char pixel_size_source[32];      /* or "" */
    char profile[32];                /* or "" */
    double read_milliseconds;
    struct ps_result result; /* empty if failed */
    size_t bytes;            /* of the message; about the size of this record in memory */
};

/* Reads a `picks` message. PS_E_INPUT: invalid; PS_E_NOMEM. */
int ps_outcome_record_read(const struct ps_frames *frames, struct ps_outcome_record **ret_record,
                           struct ps_error *error);
void ps_outcome_record_free(struct ps_outcome_record *record);

/* Reads micrograph and result from a header, or from an object in a JSON file of picks. Returns the
 * number of picks that must follow. */
uint64_t ps_outcome_record_fill(const struct ps_reader *root, struct ps_outcome_record *record);

/* Finds the column of each value of a pick from the key "columns"; false if one is missing. */
bool ps_columns_find(const json_t *array, size_t ret_column[PS_WIRE_COLUMNS]);

/* "picked", "rejected", "failed" */
const char *ps_outcome_record_status_name(enum ps_outcome_record_status status);

/* True if a name from the network stays below the directory it is appended to: it is relative, not
 * empty, and none of its components is empty, "." or "..". */
bool ps_name_is_safe(const char *name);

#endif
