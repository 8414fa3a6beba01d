/* CURVE keys in files, and the list of clients that are allowed to connect.
 *
 * A file holds one key a line as ZeroMQ's Z85 text (40 characters), as `pickstream keygen` writes
 * it. A comment begins with '#' followed by a blank or the end of the line, on a separate line or
 * after a key: '#' itself is a Z85 character.
 */
#ifndef PS_TRANSPORT_CURVE_H
#define PS_TRANSPORT_CURVE_H

#include "pickstream.h"

#include <stdint.h>

enum {
    PS_CURVE_TEXT = 41,  /* bytes of a key as text, with its NUL */
    PS_CURVE_BYTES = 32, /* of a key */
};

/* A list of public keys; all zeros is an empty list. */
struct ps_curve_keys {
    uint8_t (*items)[PS_CURVE_BYTES];
    size_t count;
};

/* Reads a file with exactly one key. PS_E_CONFIG: not there, not permitted, no key, several
 * keys; PS_E_SYSTEM: cannot be read now. The message begins with the path. */
int ps_curve_read_key(const char *path, char ret_key[PS_CURVE_TEXT], struct ps_error *error);

/* Reads all keys of a file, or of all files in a directory except hidden ones. PS_E_CONFIG,
 * PS_E_SYSTEM, PS_E_NOMEM. */
int ps_curve_read_keys(const char *path, struct ps_curve_keys *ret_keys, struct ps_error *error);
void ps_curve_keys_done(struct ps_curve_keys *keys);

bool ps_curve_keys_have(const struct ps_curve_keys *keys, const uint8_t key[PS_CURVE_BYTES]);

#endif
