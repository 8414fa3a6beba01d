/* CURVE keys in files, and who may connect.
 *
 * A file holds keys in the Z85 text of ZeroMQ: 40 characters, one key a line, as
 * `pickstream keygen` writes them. A '#' followed by a blank or the end of the line begins a
 * comment, on a line of its own or behind a key ('#' itself is a letter of Z85).
 */
#ifndef PS_TRANSPORT_CURVE_H
#define PS_TRANSPORT_CURVE_H

#include "pickstream.h"

#include <stdint.h>

enum {
    PS_CURVE_TEXT = 41,  /* bytes that hold a key as text */
    PS_CURVE_BYTES = 32, /* of a key */
};

/* A list of public keys. All zeros is an empty one. */
struct ps_curve_keys {
    uint8_t (*items)[PS_CURVE_BYTES];
    size_t count;
};

/* Reads a file that holds exactly one key. PS_E_CONFIG: unreadable, or not so; the message begins
 * with the path. */
int ps_curve_read_key(const char *path, char ret_key[PS_CURVE_TEXT], struct ps_error *error);

/* Reads all keys of a file, or of all files of a directory but hidden ones. PS_E_CONFIG,
 * PS_E_NOMEM. */
int ps_curve_read_keys(const char *path, struct ps_curve_keys *ret_keys, struct ps_error *error);
void ps_curve_keys_done(struct ps_curve_keys *keys);

bool ps_curve_keys_have(const struct ps_curve_keys *keys, const uint8_t key[PS_CURVE_BYTES]);

#endif
