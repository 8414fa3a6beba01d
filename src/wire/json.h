/* JSON text of values, and values of JSON text, whole or not at all.
 *
 * jansson continues after some failed allocations: its text lacks a key, an object lacks a value.
 * So its allocations are counted here, and what it made while one failed is thrown away.
 */
#ifndef PS_WIRE_JSON_H
#define PS_WIRE_JSON_H

#include "pickstream.h"

#include <jansson.h>
#include <stdio.h>

/* Parses an object into a new reference. PS_E_INPUT with `wrong` as its message: it is none, or has
 * a key twice; PS_E_NOMEM. */
int ps_json_parse(const void *bytes, size_t size, const char *wrong, json_t **ret_object,
                  struct ps_error *error);

/* The same for the next object of a stream, which is left behind its end. */
int ps_json_parse_next(FILE *stream, const char *wrong, json_t **ret_object,
                       struct ps_error *error);

/* The text of a value, to be freed. NULL without memory, or if `value` is NULL. */
char *ps_json_dump(const json_t *value, size_t flags);

#endif
