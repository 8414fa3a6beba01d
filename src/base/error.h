/* Errors: filled once, where they happen, and passed up unchanged. */
#ifndef PS_BASE_ERROR_H
#define PS_BASE_ERROR_H

#include "pickstream.h"

/* Puts code and message into `error` (may be NULL) and returns code. */
__attribute__((format(printf, 3, 4))) int ps_fail(struct ps_error *error, enum ps_code code,
                                                  const char *format, ...);

/* Puts "prefix: " before the message that is there, and returns its code. */
__attribute__((format(printf, 2, 3))) int ps_fail_prefix(struct ps_error *error, const char *format,
                                                         ...);

/* The failure of an allocation of `bytes` for `what`. */
int ps_fail_memory(struct ps_error *error, size_t bytes, const char *what);

#endif
