/* Messages as a subscriber gets them: bytes from the network, believed only after they were
 * checked.
 *
 * The reverse of message.h, for `pickstream listen`. Nothing here trusts a length, a type or a
 * number: a header is limited to PS_MAX_HEADER bytes, every key that is used is checked for its
 * type and range, and the array of picks must be exactly as long as its shape and as the header's
 * count say. Keys, arrays and message types that are not known are ignored, so that a later
 * pickstream can add some; what is known but wrong makes the message unreadable as a whole.
 *
 * Texts that are longer than their field are cut (at the end of a character); of the warnings the
 * first PS_MAX_WARNINGS are kept. A name must be one: see ps_name_is_safe().
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
    double latency; /* seconds from the close of the file to its publication; NAN: not said */
    enum ps_outcome_record_status status;
    char reason[256];                /* rejected or failed: why */
    bool has_micrograph;             /* it could be read: the next two are known */
    struct ps_micrograph micrograph; /* without pixels */
    char pixel_size_source[32];      /* or "" */
    char profile[32];                /* or "" */
    double read_milliseconds;
    struct ps_result result; /* of a failed one: empty */
    size_t bytes;            /* of the message: about what this takes in memory */
};

/* Reads a `picks` message. PS_E_INPUT: what is wrong with it; PS_E_NOMEM. */
int ps_outcome_record_read(const struct ps_frames *frames, struct ps_outcome_record **ret_record,
                           struct ps_error *error);
void ps_outcome_record_free(struct ps_outcome_record *record);

/* Reads what a header says of a micrograph and its result; returns how many picks there must be.
 * Files of picks in JSON say the same. */
uint64_t ps_outcome_record_fill(const struct ps_reader *root, struct ps_outcome_record *record);

/* Finds out from "columns" of an object where the values of a pick are in a row. False: not all are
 * there. */
bool ps_columns_find(const json_t *array, size_t ret_column[PS_WIRE_COLUMNS]);

/* "picked", "rejected", "failed" */
const char *ps_outcome_record_status_name(enum ps_outcome_record_status status);

/* Whether a name from the network leads to a place below the directory that it is put behind: it is
 * relative, not empty, and none of its parts is empty, "." or "..". */
bool ps_name_is_safe(const char *name);

#endif
